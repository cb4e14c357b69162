//! Was the store closed the last time? If not, the database is copied before it is opened.
//!
//! sled repairs a database while it opens it, and can lose more of a damaged one than it had to.
//! The file `OPEN` lies in the directory as long as a process has the store open. When it is there
//! already, the last process ended without closing: the current generation is copied first, and the
//! copy is removed again once the store is open and whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::directory::Directory;
use crate::disk::free_bytes;
use crate::error::StoreError;
use crate::options::StoreOptions;
use crate::private;
use crate::sync::Syncs;
use crate::zeroing;

/// The name of the file.
pub(crate) const OPEN: &str = "OPEN";

/// The file `OPEN`. Dropping this closes the store cleanly, unless something went wrong.
#[derive(Debug)]
pub(super) struct OpenMark {
    path: PathBuf,
    /// Whether the last process that had the store open did not close it.
    unclean: bool,
    /// Whether the database is not known to be whole: it was not closed the last time and has not been
    /// opened since, or it failed.
    poisoned: AtomicBool,
}

impl OpenMark {
    /// Marks the directory as open.
    pub(super) fn set(directory: &Path, syncs: &Syncs) -> Result<Self, StoreError> {
        let path = directory.join(OPEN);
        let unclean = path.exists();
        if !unclean {
            private::create_file(&path).map_err(|error| StoreError::io(&path, &error))?;
            syncs.directory(directory)?;
        }
        Ok(Self {
            path,
            unclean,
            poisoned: AtomicBool::new(unclean),
        })
    }

    /// Whether the store was not closed the last time.
    pub(super) fn was_unclean(&self) -> bool {
        self.unclean
    }

    /// Notes whether the database is in a state that it can be closed in.
    pub(super) fn set_poisoned(&self, poisoned: bool) {
        self.poisoned.store(poisoned, Ordering::Relaxed);
    }
}

impl Drop for OpenMark {
    fn drop(&mut self) {
        if !self.poisoned.load(Ordering::Relaxed) && !std::thread::panicking() {
            // Still there, it would only cost the next opening a copy.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The store that was open here is gone, closed or not.
pub(super) fn forget_open(directory: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    let path = directory.join(OPEN);
    match fs::remove_file(&path) {
        Ok(()) => syncs.directory(directory),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(&path, &error)),
    }
}

/// Copies the current generation, when there is room and it is not larger than the options allow. A
/// copy that an earlier attempt left is the older one, and stays.
pub(super) fn copy_current(
    directory: &Directory,
    options: &StoreOptions,
) -> Result<(), StoreError> {
    let Some(number) = directory.current()? else {
        return Ok(());
    };
    let (from, to) = (directory.generation(number), directory.copy());
    if to.exists() || !from.is_dir() {
        return Ok(());
    }
    let size = size_of(&from)?;
    let room = free_bytes(directory.path())?.saturating_sub(options.free_space_min_bytes);
    if size > options.recovery_copy_max_bytes || size > room {
        tracing::warn!(
            size,
            room,
            "the store was not closed the last time, and is opened without a copy: it is too large"
        );
        return Ok(());
    }
    tracing::info!(
        size,
        "the store was not closed the last time: copying it before opening"
    );
    copy_directory(&from, &to)
}

/// Removes the copy: the store is open and whole.
pub(super) fn remove_copy(directory: &Directory, syncs: &Syncs) -> Result<(), StoreError> {
    zeroing::remove_directory(&directory.copy(), syncs)
}

/// Adds to an error of opening where the copy is.
pub(super) fn with_hint(error: StoreError, copy: &Path) -> StoreError {
    match error {
        StoreError::Damaged { what } if copy.exists() => StoreError::Damaged {
            what: format!(
                "{what}; the database as it was before it was opened is in {}",
                copy.display()
            ),
        },
        error => error,
    }
}

fn entries(path: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>, StoreError> {
    let io = |error| StoreError::io(path, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        entries.push((entry.path(), entry.metadata().map_err(io)?));
    }
    Ok(entries)
}

/// Bytes of all files below a directory.
pub(crate) fn size_of(path: &Path) -> Result<u64, StoreError> {
    let mut size = 0;
    for (path, metadata) in entries(path)? {
        size += if metadata.is_dir() {
            size_of(&path)?
        } else {
            metadata.len()
        };
    }
    Ok(size)
}

/// Copies a directory with everything in it, for its owner only.
pub(crate) fn copy_directory(from: &Path, to: &Path) -> Result<(), StoreError> {
    private::create_directory(to).map_err(|error| StoreError::io(to, &error))?;
    for (path, metadata) in entries(from)? {
        let Some(name) = path.file_name() else {
            continue;
        };
        if metadata.is_dir() {
            copy_directory(&path, &to.join(name))?;
        } else {
            copy_file(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// Shares the blocks where the file system can; copies them otherwise.
fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    let io = |error| StoreError::io(to, &error);
    let mut source = File::open(from).map_err(|error| StoreError::io(from, &error))?;
    let mut target = private::create_file(to).map_err(io)?;
    if rustix::fs::ioctl_ficlone(&target, &source).is_ok() {
        return Ok(());
    }
    std::io::copy(&mut source, &mut target)
        .map(|_| ())
        .map_err(io)
}
