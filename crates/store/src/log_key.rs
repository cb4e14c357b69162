//! The key of a log that many stores share, as each of them keeps it.

use std::fmt;

use zeroize::Zeroizing;

use crate::seal::{KEY_BYTES, SecretKey};

/// The key of the next entries of a shared log, with the numbers of its epoch and of the series of keys that were
/// derived from one another. The numbers only grow.
///
/// Its memory is overwritten when it is dropped, and `Debug` does not show it.
///
/// ```
/// use recant_store::LogKey;
/// use zeroize::Zeroizing;
///
/// let key = LogKey::new(0, 3, Zeroizing::new([7; 32]));
/// assert_eq!(format!("{key:?}"), "LogKey { series: 0, epoch: 3, .. }");
/// ```
#[derive(Clone)]
pub struct LogKey {
    series: u64,
    epoch: u64,
    key: SecretKey,
}

impl LogKey {
    /// The key of an epoch in a series.
    pub fn new(series: u64, epoch: u64, key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self::of(series, epoch, SecretKey::from_bytes(key))
    }

    pub(crate) fn of(series: u64, epoch: u64, key: SecretKey) -> Self {
        Self { series, epoch, key }
    }

    /// Which series it is of.
    pub fn series(&self) -> u64 {
        self.series
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
            .field("series", &self.series)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
