//! A disk that forgets what was not synced.
//!
//! [`Disk`] hears of every sync of a store and keeps what is certain to be on the disk after a power
//! cut at this moment: of a file the bytes it held when its last finished sync began, of a directory
//! the entries it had then. [`Disk::rebuild`] makes a directory of that. It is the worst case: a real
//! disk may hold more.
//!
//! Of the database's own files, `conf` is synced by the database itself, out of hearing, and taken
//! for whole. Its `snap.*` are only an index of its log and are left out: the worst that can happen
//! to them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use recant_store::SyncStep;

/// A file, whatever its name: its inode, and when that was made, for inodes are used again.
type FileId = (u64, Option<SystemTime>);

/// An entry of a directory.
#[derive(Debug, Clone)]
enum Entry {
    Directory,
    File(FileId),
}

type Entries = BTreeMap<PathBuf, Entry>;

#[derive(Default)]
struct State {
    /// What was there when the sync under way began, by path.
    begun_files: HashMap<PathBuf, (FileId, Vec<u8>)>,
    begun_directories: HashMap<PathBuf, Entries>,
    files: HashMap<FileId, Vec<u8>>,
    directories: HashMap<PathBuf, Entries>,
}

/// What is certain to be on the disk.
#[derive(Default)]
pub struct Disk(Mutex<State>);

fn file_id(metadata: &fs::Metadata) -> FileId {
    (metadata.ino(), metadata.created().ok())
}

fn entries(directory: &Path) -> Entries {
    let mut entries = Entries::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        // One that goes meanwhile is not certain to be there.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let kind = if metadata.is_dir() {
            Entry::Directory
        } else {
            Entry::File(file_id(&metadata))
        };
        entries.insert(PathBuf::from(entry.file_name()), kind);
    }
    entries
}

impl Disk {
    /// Takes note of a sync.
    pub fn hear(&self, step: SyncStep, path: &Path) {
        let mut state = self.0.lock().expect("sound");
        match step {
            SyncStep::Before if path.is_dir() => {
                state
                    .begun_directories
                    .insert(path.to_owned(), entries(path));
            }
            SyncStep::Before => {
                let metadata = fs::metadata(path).expect("a file that is synced");
                let bytes = fs::read(path).expect("a file that is synced");
                state
                    .begun_files
                    .insert(path.to_owned(), (file_id(&metadata), bytes));
            }
            SyncStep::After => {
                if let Some(entries) = state.begun_directories.remove(path) {
                    state.directories.insert(path.to_owned(), entries);
                }
                if let Some((id, bytes)) = state.begun_files.remove(path) {
                    state.files.insert(id, bytes);
                }
            }
        }
    }

    /// Makes `into` what `directory` is after a power cut now: of one moment, whatever other threads
    /// sync meanwhile.
    pub fn rebuild(&self, directory: &Path, into: &Path) {
        self.0.lock().expect("sound").rebuild(directory, into);
    }
}

impl State {
    fn rebuild(&self, directory: &Path, into: &Path) {
        fs::create_dir_all(into).expect("made");
        for (name, entry) in self.directories.get(directory).into_iter().flatten() {
            let (from, to) = (directory.join(name), into.join(name));
            match entry {
                Entry::Directory => self.rebuild(&from, &to),
                Entry::File(_) if name.to_string_lossy().starts_with("snap.") => {}
                Entry::File(_) if name == Path::new("conf") => {
                    // Gone by now when the whole database was removed.
                    let _ = fs::copy(&from, &to);
                }
                Entry::File(id) => {
                    let bytes = self.files.get(id).cloned().unwrap_or_default();
                    fs::write(&to, bytes).expect("written");
                }
            }
        }
    }
}
