//! Files and directories for their owner only.
//!
//! A file is made anew: what stands at its path is unlinked, not opened, so that a link that
//! somebody planted there leads nowhere.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Bits of a mode that let others than the owner in.
const OTHERS: u32 = 0o077;

/// A new, empty file with mode 0600, in the place of whatever was there.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes a directory with mode 0700, and those above it that are missing.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes the rights of others from a file or directory that an earlier version made with them. Where
/// that is not possible, because it belongs to somebody else, it is reported.
pub(crate) fn withdraw_from_others(path: &Path) {
    let withdrawn = fs::symlink_metadata(path).and_then(|metadata| {
        let mode = metadata.mode();
        if mode & OTHERS == 0 || metadata.is_symlink() {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS))
    });
    if let Err(error) = withdrawn {
        tracing::warn!(path = %path.display(), %error, "others than its owner have rights on it");
    }
}

/// Whether others than the owner have any right on what is at `path`.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_made_for_its_owner_and_through_no_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (theirs, path) = (folder.path().join("theirs"), folder.path().join("ours"));
        fs::write(&theirs, "theirs").expect("written");
        symlink(&theirs, &path).expect("planted");
        let mut file = create_file(&path).expect("made");
        file.write_all(b"ours").expect("written");
        assert_eq!(fs::read(&theirs).expect("readable"), b"theirs");
        let metadata = fs::symlink_metadata(&path).expect("there");
        assert!(metadata.is_file() && metadata.mode() & 0o777 == 0o600);
        assert!(!is_open_to_others(&path));
    }

    #[test]
    fn rights_of_others_are_withdrawn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("directory");
        fs::create_dir(&path).expect("made");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
        assert!(is_open_to_others(&path));
        withdraw_from_others(&path);
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o700);
    }
}
