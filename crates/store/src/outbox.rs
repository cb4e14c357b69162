//! What endpoints of webhooks have still to be told, and the root of the keys that it is signed with.
//!
//! A record says that an endpoint is to be told of an erasure. It is written with the erasure itself, so
//! there is none without the other. The states themselves are those of the erasure's record: nothing has to
//! be written when one is reached.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::keyring::{KeyRing, Special};
use crate::seal::SecretKey;
use recant_types::ErasureStatus;

/// What an endpoint goes by in keys: a digest of its name, cut to 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutboxEndpoint(pub(crate) [u8; 16]);

impl OutboxEndpoint {
    /// The endpoint of this name.
    pub fn of(name: &str) -> Self {
        let digest = Sha256::digest(name);
        Self(*digest.first_chunk().expect("a digest has 32 bytes"))
    }
}

/// How much of an erasure an endpoint has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutboxRecord {
    /// The last state that it needs to be told no more; none before the first.
    pub(crate) done: Option<ErasureStatus>,
}

/// The root of all keys that webhooks are signed with and texts sealed that others keep, made when there is
/// none yet.
pub(crate) fn root_key(ring: &KeyRing) -> Result<SecretKey, StoreError> {
    if let Some(root) = ring.key(Special::Webhook.slot())? {
        return Ok(root);
    }
    let root = SecretKey::random();
    ring.put(Special::Webhook, &root)?;
    Ok(root)
}
