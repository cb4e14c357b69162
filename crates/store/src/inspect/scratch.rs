//! A folder elsewhere for a copy that is looked at and thrown away.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rand::Rng;

use crate::error::StoreError;
use crate::sync::Syncs;
use crate::zeroing;

/// A new folder for its owner only; overwritten with zeros and removed when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    syncs: Syncs,
}

impl Scratch {
    /// Makes it in `parent`.
    pub(super) fn new(parent: &Path) -> Result<Self, StoreError> {
        let name = format!("recant-inspect-{:016x}", rand::rng().random::<u64>());
        let path = parent.join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self {
            path,
            syncs: Syncs::new(None),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = zeroing::remove_directory(&self.path, &self.syncs) {
            tracing::warn!(%error, "a copy that was looked at could not be removed");
        }
    }
}
