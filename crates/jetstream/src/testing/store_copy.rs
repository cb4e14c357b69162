//! A copy of what a server has on its disk, to be put back later: a disk that went back.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// A copy of a store.
pub struct StoreCopy {
    folder: TempDir,
}

impl StoreCopy {
    pub(super) fn of(store: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the copy");
        copy(store, folder.path()).expect("a copy of the store");
        Self { folder }
    }

    pub(super) fn put_back(&self, store: &Path) {
        fs::remove_dir_all(store).expect("the store to go");
        copy(self.folder.path(), store).expect("the copy put back");
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
