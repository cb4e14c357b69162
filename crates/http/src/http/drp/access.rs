//! A request for access: nothing of it is kept here. Who asked for what, when and about whom is in the id of the
//! request, sealed, which the agent keeps.
//!
//! So nothing about a person is written because an agent asked, and a stranger's request is like anybody's. What
//! is held is read when the results are fetched.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use recant_service::Sealer;
use recant_types::{UnixMillis, UserId};

/// How long results can be fetched: as long as the protocol wants requests to be remembered at least.
const LIFETIME_MILLISECONDS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// What is sealed is filled up to a multiple of this, so that the length of an id says little about that of
/// the person's.
const STEP_BYTES: usize = 128;

/// Longest id that is looked at: far more than the longest there is.
const ID_BYTES_MAX: usize = 4_096;

/// What is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Access {
    /// Everything that is held.
    Everything,
    /// What kinds of things are.
    Categories,
}

/// What an agent asked to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccessRequest {
    /// Who asked.
    pub(super) agent: String,
    /// The agent's own id of the request, if it gave one.
    pub(super) request: Option<String>,
    /// For what.
    pub(super) what: Access,
    /// When.
    pub(super) received_at: UnixMillis,
    /// About whom.
    pub(super) user: UserId,
}

impl AccessRequest {
    /// The id of the request, for URLs.
    pub(super) fn seal(&self, sealer: &Sealer) -> String {
        let mut text = serde_json::to_vec(self).expect("texts");
        // Blanks behind a value are no part of it.
        text.resize(text.len().next_multiple_of(STEP_BYTES), b' ');
        URL_SAFE_NO_PAD.encode(sealer.seal(&text))
    }

    /// The request with this id; `None` when it is none that was sealed here.
    pub(super) fn open(id: &str, sealer: &Sealer) -> Option<Self> {
        if id.len() > ID_BYTES_MAX {
            return None;
        }
        let text = sealer.open(&URL_SAFE_NO_PAD.decode(id).ok()?)?;
        serde_json::from_slice(&text).ok()
    }

    /// Until when its results can be fetched.
    pub(super) fn expires_at(&self) -> UnixMillis {
        UnixMillis(self.received_at.0.saturating_add(LIFETIME_MILLISECONDS))
    }

    /// Whether they can be fetched no more at `now`.
    pub(super) fn has_expired(&self, now: UnixMillis) -> bool {
        self.expires_at() <= now
    }
}
