//! How long the disk takes for a sync, tried on a file that is removed again.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::StoreError;
use crate::sync::Syncs;

/// Bytes that are written before each sync, as many as a small commit writes.
const BLOCK: [u8; 4_096] = [0x5a; 4_096];

/// Syncs that are timed, after one that is not: it has to find room for the file.
const SYNCS: usize = 15;

/// The probe file; removed when it is dropped.
struct Probe {
    path: PathBuf,
    file: File,
}

impl Probe {
    fn new(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(format!(".recant-probe-{}", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self { path, file })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The median time of the sync that follows a small write to a file in `directory`. The file is new, and
/// removed again.
pub fn sync_time(directory: &Path) -> Result<Duration, StoreError> {
    let (probe, syncs) = (Probe::new(directory)?, Syncs::new(None));
    let mut times = Vec::with_capacity(SYNCS);
    for attempt in 0..=SYNCS {
        let written = probe.file.write_all_at(&BLOCK, 0);
        written.map_err(|error| StoreError::io(&probe.path, &error))?;
        let started = Instant::now();
        syncs.data(&probe.file, &probe.path)?;
        if attempt > 0 {
            times.push(started.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        sync_time(folder.path()).expect("a disk");
        let left = fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(left, 0);
        sync_time(&folder.path().join("missing")).expect_err("no such directory");
    }
}
