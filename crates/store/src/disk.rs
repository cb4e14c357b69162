//! How much room the disk has.

use std::path::Path;

use crate::error::StoreError;

/// Bytes that are free for us on the disk of `path`.
pub(super) fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    rustix::fs::statvfs(path)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(|error| StoreError::io(path, &error.into()))
}
