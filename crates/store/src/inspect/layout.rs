//! What lies in a store's directory, and who may read it. In use or not, it is only read.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::directory::{COPY, CURRENT, CURRENT_NEW, GENERATIONS, LOCK, parse_current};
use crate::error::StoreError;
use crate::guard::OPEN;
use crate::keyring::{CommitWatermark, KeyRing, LEFTOVERS as KEY_LEFTOVERS, MASTER, holds_keys};

/// How often a directory is read again because a server changed it meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// Bits of a mode that say who may do what.
const RIGHTS: u32 = 0o7777;

/// What the file `CURRENT` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// It is not there.
    Absent,
    /// It is there and says nothing that can be understood.
    Unreadable,
    /// It names this generation.
    Generation(u64),
}

/// Whose a file or directory is, and who else may do what with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRights {
    /// Where, below the store's directory; empty for that directory itself.
    pub path: PathBuf,
    /// The permission bits.
    pub mode: u32,
    /// The number of the user it belongs to.
    pub owner: u32,
    /// Whether keys are in it.
    pub holds_keys: bool,
}

/// What lies in a store's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What `CURRENT` says.
    pub current: Current,
    /// The generations that are there, ascending.
    pub generations: Vec<u64>,
    /// What an interrupted change left, below the store's directory. Of a store in use it is what the
    /// server is working on.
    pub leftovers: Vec<PathBuf>,
    /// Whether there is a key ring.
    pub has_key_ring: bool,
    /// The last commit that the key ring says was acknowledged; `None` without a readable one.
    pub acknowledged: Option<u64>,
    /// Whether a master key lies beside the data.
    pub has_master_key: bool,
    /// Whether a process has the store open.
    pub in_use: bool,
    /// Whether the last process that had the store open closed it. Means nothing while one has.
    pub was_closed: bool,
    /// Bytes of the files of the current generation.
    pub live_bytes: u64,
    /// Everything that is there, with its rights.
    pub files: Vec<FileRights>,
}

/// Reads what lies in the directory `path`, which must be there.
///
/// The lock is taken for an instant, to see whether it is free.
pub fn layout(path: &Path) -> Result<Layout, StoreError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let before = current(path)?;
        let layout = read(path, before);
        // A server that compacts puts another generation in its place and removes files meanwhile.
        if attempts == ATTEMPTS_MAX || (layout.is_ok() && current(path)? == before) {
            return layout;
        }
    }
}

fn read(path: &Path, current: Current) -> Result<Layout, StoreError> {
    let mut files = Vec::new();
    collect(path, Path::new(""), &mut files)?;
    let has = |relative: &Path| files.iter().any(|file| file.path == relative);
    let keys = Path::new(crate::keyring::KEYS);
    let generations = generations(&files);
    let live_bytes = match current {
        Current::Generation(number) => {
            size_of(&path.join(GENERATIONS).join(generation_name(number)))
        }
        _ => Ok(0),
    };
    Ok(Layout {
        current,
        leftovers: leftovers(&files, current),
        has_key_ring: KeyRing::exists(path),
        acknowledged: KeyRing::noted_watermark(path).map(|CommitWatermark { commit, .. }| commit),
        has_master_key: has(&keys.join(MASTER)),
        in_use: is_in_use(path)?,
        was_closed: !has(Path::new(OPEN)),
        live_bytes: live_bytes?,
        generations,
        files,
    })
}

/// The name of a generation's folder.
pub(super) fn generation_name(number: u64) -> String {
    format!("{number:06}")
}

fn current(path: &Path) -> Result<Current, StoreError> {
    let path = path.join(CURRENT);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse_current(&text).map_or(Current::Unreadable, Current::Generation)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Current::Absent),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Current::Unreadable),
        Err(error) => Err(StoreError::io(&path, &error)),
    }
}

/// Everything below `relative`, itself first.
fn collect(root: &Path, relative: &Path, into: &mut Vec<FileRights>) -> Result<(), StoreError> {
    let path = root.join(relative);
    let io = |error| StoreError::io(&path, &error);
    // The directory itself may be a link to where it is; what is in it may not.
    let metadata = if relative.as_os_str().is_empty() {
        fs::metadata(&path)
    } else {
        fs::symlink_metadata(&path)
    };
    let metadata = match metadata {
        // Removed between the listing and now.
        Err(error) if error.kind() == io::ErrorKind::NotFound && into.len() > 1 => return Ok(()),
        metadata => metadata.map_err(io)?,
    };
    into.push(FileRights {
        path: relative.to_owned(),
        mode: metadata.mode() & RIGHTS,
        owner: metadata.uid(),
        holds_keys: holds_keys(relative),
    });
    if metadata.is_dir() {
        for entry in fs::read_dir(&path).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            collect(root, &relative.join(name), into)?;
        }
    }
    Ok(())
}

fn generations(files: &[FileRights]) -> Vec<u64> {
    let inside = files.iter().filter_map(|file| {
        let below = file.path.strip_prefix(GENERATIONS).ok()?;
        (below.components().count() == 1).then(|| below.to_str()?.parse().ok())?
    });
    let mut numbers: Vec<u64> = inside.collect();
    numbers.sort_unstable();
    numbers
}

/// What is neither the current generation nor has another place in a store that is closed.
fn leftovers(files: &[FileRights], current: Current) -> Vec<PathBuf> {
    let is_live = |below: &Path| {
        let Current::Generation(number) = current else {
            // Without a current one, nobody can say which of them is to be kept.
            return true;
        };
        below == Path::new(&generation_name(number))
    };
    let is_leftover = |path: &Path| {
        if let Ok(below) = path.strip_prefix(GENERATIONS) {
            return below.components().count() == 1 && !is_live(below) && below != Path::new(COPY);
        }
        let keys = Path::new(crate::keyring::KEYS);
        path == Path::new(CURRENT_NEW) || KEY_LEFTOVERS.iter().any(|name| path == keys.join(name))
    };
    let paths = files.iter().map(|file| &file.path);
    paths.filter(|path| is_leftover(path)).cloned().collect()
}

/// Whether a process holds the lock of the directory.
fn is_in_use(path: &Path) -> Result<bool, StoreError> {
    match lock(path) {
        Ok(_) => Ok(false),
        Err(StoreError::Locked { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// A directory's lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct HeldLock(Option<File>);

impl Drop for HeldLock {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            // By name: closing the file would not do while a child that was just forked shares it.
            let _ = file.unlock();
        }
    }
}

/// Takes the lock of a store's directory, where there is a file to lock.
pub(super) fn lock(path: &Path) -> Result<HeldLock, StoreError> {
    let lock_path = path.join(LOCK);
    let io = |error| StoreError::io(&lock_path, &error);
    let file = match File::open(&lock_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HeldLock(None)),
        file => file.map_err(io)?,
    };
    match file.try_lock() {
        Ok(()) => Ok(HeldLock(Some(file))),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Bytes of all files below a directory; 0 when it is not there.
pub(super) fn size_of(path: &Path) -> Result<u64, StoreError> {
    if path.is_dir() {
        crate::guard::size_of(path)
    } else {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{Store, StoreOptions};

    fn store(path: &Path) -> Store {
        Store::open(path, &StoreOptions::default()).expect("opened")
    }

    #[test]
    fn a_closed_store_is_in_order_and_an_open_one_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = store(folder.path());
        let seen = layout(folder.path()).expect("readable");
        assert!(seen.in_use && seen.has_key_ring && seen.has_master_key);
        drop(open);
        let seen = layout(folder.path()).expect("readable");
        assert!(!seen.in_use && seen.was_closed && seen.live_bytes > 0);
        assert_eq!(seen.current, Current::Generation(1));
        assert_eq!(seen.generations, [1]);
        assert_eq!(seen.leftovers, Vec::<PathBuf>::new());
        assert!(seen.acknowledged.is_some());
        let secret = seen.files.iter().filter(|file| file.holds_keys);
        let secret: Vec<&Path> = secret.map(|file| file.path.as_path()).collect();
        assert!(secret.contains(&Path::new("keys/ring")), "{secret:?}");
        assert!(secret.contains(&Path::new("keys/master")), "{secret:?}");
    }

    #[test]
    fn what_is_left_and_who_may_read_is_seen_and_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(store(folder.path()));
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("generations/000009")).expect("made");
        fs::write(path("generations/000009/db"), "half").expect("written");
        fs::write(path("CURRENT.new"), "half").expect("written");
        fs::write(path("keys/ring.new"), "half").expect("written");
        fs::write(path("OPEN"), "").expect("written");
        fs::set_permissions(path("keys"), fs::Permissions::from_mode(0o755)).expect("ours");
        let seen = layout(folder.path()).expect("readable");
        let mut left = seen.leftovers.clone();
        left.sort();
        let expected = ["CURRENT.new", "generations/000009", "keys/ring.new"];
        assert_eq!(left, expected.map(PathBuf::from));
        assert!(!seen.was_closed);
        let keys = seen
            .files
            .iter()
            .find(|file| file.path == Path::new("keys"));
        assert_eq!(keys.expect("there").mode, 0o755);
        assert!(path("generations/000009/db").exists() && path("CURRENT.new").exists());
    }

    #[test]
    fn a_pointer_that_cannot_be_read_is_told_from_one_that_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let current = || layout(folder.path()).expect("readable").current;
        assert_eq!(current(), Current::Absent);
        for text in [&b"000001 00000000\n"[..], b"", b"\xff\xfe"] {
            fs::write(folder.path().join(CURRENT), text).expect("written");
            assert_eq!(current(), Current::Unreadable);
        }
    }
}
