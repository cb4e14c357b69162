//! The key of a log that many stores share, as each of them keeps it.

use std::fmt;

use zeroize::Zeroizing;

use crate::seal::{KEY_BYTES, SecretKey};

/// The key of the next entries of a shared log, and the number of its epoch. The numbers only grow.
///
/// Its memory is overwritten when it is dropped, and `Debug` does not show it.
///
/// ```
/// use recant_store::LogKey;
/// use zeroize::Zeroizing;
///
/// let key = LogKey::new(3, Zeroizing::new([7; 32]));
/// assert_eq!(format!("{key:?}"), "LogKey { epoch: 3, .. }");
/// ```
#[derive(Clone)]
pub struct LogKey {
    epoch: u64,
    key: SecretKey,
}

impl LogKey {
    /// The key of an epoch.
    pub fn new(epoch: u64, key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let key = SecretKey::from_bytes(key);
        Self { epoch, key }
    }

    pub(crate) fn of(epoch: u64, key: SecretKey) -> Self {
        Self { epoch, key }
    }

    /// Which epoch it is of.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The bytes of the key. Do not log them, and do not copy them into memory that stays.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        self.key.expose()
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.key
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogKey")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
