//! The file of the keys that were made while running.
//!
//! It is replaced as a whole, by a rename, so a reader finds the old one or the new one; and whoever
//! changes it holds the lock of another file, so that no change is lost to a second one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::record::{KeyRecord, KeyStatus, NAME_RULE, is_name};
use super::secret::Secret;
use crate::config::{AccessSettings, KEYS_MAX, Role};

const FILE: &str = "api-keys.json";
const NEW: &str = "api-keys.new";
const LOCK: &str = "api-keys.lock";

/// The form of the file.
const VERSION: u32 = 1;

/// Largest file that is read.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most keys that a file remembers, revoked ones included.
const RECORDS_MAX: usize = 10_000;

/// Rights that nobody but the owner may have: whoever may write the file may make keys.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why the file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// What it was about.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not what the commands write.
    #[error(
        "{path} is damaged: {problem}; put back a copy, or remove it, and with it every key that \
         `recant keys api create` made"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without anything that it holds.
        problem: String,
    },
    /// Somebody else may have written it.
    #[error(
        "{path} must be a file that the owner of the data directory alone may write: see who changed \
         it, then `chmod 600`"
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
    },
    /// The data directory belongs to another user.
    #[error("{path} belongs to another user: run the command as that user")]
    NotOurs {
        /// The data directory.
        path: PathBuf,
    },
    /// A key of this name is there, or was.
    #[error(
        "the name {name} was given to a key before, which may have requested erasures: take another"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The configuration has a key of that name.
    #[error(
        "the name {name} is that of a key in the configuration and of one that `recant keys api create` \
         made, revoked or not: give the one in the configuration another"
    )]
    NameConfigured {
        /// The name.
        name: String,
    },
    /// The key cannot be made so.
    #[error("{0}")]
    Invalid(String),
    /// There is no such key.
    #[error(
        "no key of the name {name} was made with `recant keys api create`: see `recant keys api list`"
    )]
    Unknown {
        /// The name.
        name: String,
    },
}

impl KeyFileError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its name, which no key had before.
    pub name: String,
    /// What the holder may do.
    pub roles: Vec<Role>,
    /// How long it lasts; without, until it is revoked.
    pub lifetime: Option<Duration>,
    /// Requests a second, in place of `server.requests_per_second_max`; 0 for as many as come.
    pub requests_per_second_max: Option<u64>,
}

impl NewKey {
    fn record(&self, secret: &Secret) -> Result<KeyRecord, KeyFileError> {
        let invalid = |problem: &str| Err(KeyFileError::Invalid(problem.to_owned()));
        if !is_name(&self.name) {
            return invalid(&format!("the name {NAME_RULE}"));
        }
        // The clock is shown to the millisecond.
        let created_at = Timestamp::from_millisecond(Timestamp::now().as_millisecond());
        let created_at = created_at.expect("a time that the clock had");
        let end = |lifetime: Duration| {
            let lifetime = SignedDuration::try_from(lifetime).ok()?;
            created_at.checked_add(lifetime).ok()
        };
        let expires_at = match self.lifetime.map(end) {
            Some(None) => return invalid("it would expire after the end of the calendar"),
            Some(Some(end)) if end <= created_at => return invalid("it would expire at once"),
            Some(end) => end,
            None => None,
        };
        let mut roles = self.roles.clone();
        roles.sort_unstable_by_key(|role| *role as u8);
        roles.dedup();
        let record = KeyRecord {
            name: self.name.clone(),
            sha256: secret.sha256(),
            roles,
            created_at,
            expires_at,
            revoked_at: None,
            requests_per_second_max: self.requests_per_second_max,
        };
        match record.flaw() {
            Some(problem) => invalid(&problem),
            None => Ok(record),
        }
    }
}

/// What the file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    keys: Vec<KeyRecord>,
}

/// The file of a data directory, there or not.
#[derive(Debug, Clone)]
pub struct KeyFile {
    directory: PathBuf,
}

impl KeyFile {
    /// That of the store in `directory`.
    pub fn of_store(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Every key that it holds, oldest first; none when it is not there.
    pub fn records(&self) -> Result<Vec<KeyRecord>, KeyFileError> {
        let bytes = self.bytes()?;
        bytes.map_or(Ok(Vec::new()), |bytes| self.parse(&bytes))
    }

    /// Makes a key. Its name may be none that this file or `configured` has; the directory is made
    /// when it is missing. Durable when this returns.
    pub fn create(
        &self,
        new: &NewKey,
        configured: &AccessSettings,
    ) -> Result<(KeyRecord, Secret), KeyFileError> {
        let secret = Secret::generate();
        let record = new.record(&secret)?;
        let directory = &self.directory;
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(|error| KeyFileError::io(directory, error))?;
        let lock = self.lock()?;
        let mut records = self.records()?;
        let mut configured = configured.keys.iter().map(|key| &key.name);
        if configured.any(|name| *name == new.name) || find(&records, &new.name).is_some() {
            let name = new.name.clone();
            return Err(KeyFileError::NameTaken { name });
        }
        let active = |record: &&KeyRecord| record.status() == KeyStatus::Active;
        if records.len() >= RECORDS_MAX || records.iter().filter(active).count() >= KEYS_MAX {
            let problem = format!(
                "there are {KEYS_MAX} keys, or {RECORDS_MAX} with those that are over: no more is kept"
            );
            return Err(KeyFileError::Invalid(problem));
        }
        records.push(record.clone());
        self.write(records)?;
        drop(lock);
        Ok((record, secret))
    }

    /// Takes a key back; one that was revoked before stays as it is. Durable when this returns, and
    /// in force when a server has read the file again.
    pub fn revoke(&self, name: &str) -> Result<KeyRecord, KeyFileError> {
        let unknown = || KeyFileError::Unknown {
            name: name.to_owned(),
        };
        // Without this a mistyped directory would be an error about its lock.
        if self.bytes()?.is_none() {
            return Err(unknown());
        }
        let lock = self.lock()?;
        let mut records = self.records()?;
        let index = find(&records, name).ok_or_else(unknown)?;
        if records[index].revoked_at.is_none() {
            let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond());
            records[index].revoked_at = Some(now.expect("a time that the clock had"));
            self.write(records.clone())?;
        }
        drop(lock);
        Ok(records.swap_remove(index))
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// What it holds, unread; `None` when it is not there.
    pub(super) fn bytes(&self) -> Result<Option<Vec<u8>>, KeyFileError> {
        let path = self.path();
        let io = |error| KeyFileError::io(&path, error);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let owner = fs::metadata(&self.directory).map_err(io)?.uid();
        let is_of_owner = metadata.uid() == owner || metadata.uid() == 0;
        if !metadata.is_file() || metadata.mode() & WRITABLE_BY_OTHERS != 0 || !is_of_owner {
            return Err(KeyFileError::OpenToOthers { path });
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(self.damaged(format!("it is larger than {BYTES_MAX} bytes")));
        }
        Ok(Some(bytes))
    }

    /// The keys in `bytes`, checked. What is wrong is told by its place: somebody may have put a key
    /// itself there.
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Vec<KeyRecord>, KeyFileError> {
        let contents: Contents = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            self.damaged(format!(
                "line {line}, column {column} is not what it should be"
            ))
        })?;
        if contents.version != VERSION {
            let problem = "another version of the program wrote it";
            return Err(self.damaged(problem.to_owned()));
        }
        if contents.keys.len() > RECORDS_MAX {
            return Err(self.damaged(format!("it has more than {RECORDS_MAX} keys")));
        }
        let mut names: Vec<&str> = Vec::new();
        for (index, record) in contents.keys.iter().enumerate() {
            if let Some(problem) = record.flaw() {
                return Err(self.damaged(format!("keys[{index}].{problem}")));
            }
            names.push(&record.name);
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.damaged(String::from("two keys have one name")));
        }
        Ok(contents.keys)
    }

    fn damaged(&self, problem: String) -> KeyFileError {
        let path = self.path();
        KeyFileError::Damaged { path, problem }
    }

    /// Puts a whole new file in the place of the one that is there.
    #[allow(clippy::disallowed_methods, reason = "no file of a store")]
    fn write(&self, keys: Vec<KeyRecord>) -> Result<(), KeyFileError> {
        let contents = Contents {
            version: VERSION,
            keys,
        };
        let mut text = serde_json::to_vec_pretty(&contents).expect("plain data");
        text.push(b'\n');
        let new = self.directory.join(NEW);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(KeyFileError::io(&new, error));
            }
            _ => {}
        }
        let mut file = self.open(&new, OpenOptions::new().write(true).create_new(true))?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        written.map_err(|error| KeyFileError::io(&new, error))?;
        fs::rename(&new, self.path()).map_err(|error| KeyFileError::io(&new, error))?;
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| KeyFileError::io(&self.directory, error))
    }

    /// Waits until nobody else changes the file. The lock is given back when this is dropped.
    fn lock(&self) -> Result<Lock, KeyFileError> {
        let path = self.directory.join(LOCK);
        let file = self.open(&path, OpenOptions::new().write(true).create(true))?;
        file.lock()
            .map_err(|error| KeyFileError::io(&path, error))?;
        Ok(Lock(file))
    }

    /// Opens a file beside the store for its owner, who is the owner of the directory even where root
    /// runs the command: the server has to be able to read it.
    fn open(&self, path: &Path, options: &mut OpenOptions) -> Result<File, KeyFileError> {
        let file = options.mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => self.not_ours(),
            _ => KeyFileError::io(path, error),
        })?;
        let io = |error| KeyFileError::io(path, error);
        let (own, its) = (
            file.metadata().map_err(io)?,
            fs::metadata(&self.directory).map_err(io)?,
        );
        if own.uid() != its.uid() {
            fchown(&file, Some(its.uid()), Some(its.gid())).map_err(|_| self.not_ours())?;
        }
        Ok(file)
    }

    fn not_ours(&self) -> KeyFileError {
        let path = self.directory.clone();
        KeyFileError::NotOurs { path }
    }
}

/// The lock of the file, held.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file gives it back as well.
        let _ = self.0.unlock();
    }
}

fn find(records: &[KeyRecord], name: &str) -> Option<usize> {
    records.iter().position(|record| record.name == name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;
    use crate::config::KeySettings;

    fn new(name: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            roles: vec![Role::Read],
            lifetime: None,
            requests_per_second_max: None,
        }
    }

    fn none() -> AccessSettings {
        AccessSettings::default()
    }

    #[test]
    fn what_was_made_is_read_again_and_the_key_itself_is_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::of_store(&folder.path().join("data"));
        assert_eq!(file.records().expect("nothing there"), []);
        let wanted = NewKey {
            roles: vec![Role::Erase, Role::Read, Role::Erase],
            lifetime: Some(Duration::from_secs(60)),
            requests_per_second_max: Some(7),
            ..new("shop")
        };
        let (record, secret) = file.create(&wanted, &none()).expect("made");
        assert_eq!(record.roles, [Role::Read, Role::Erase]);
        assert_eq!(record.requests_per_second_max, Some(7));
        let life = record
            .expires_at
            .expect("an end")
            .duration_since(record.created_at);
        assert_eq!(life, SignedDuration::from_secs(60));
        file.create(&new("desk"), &none()).expect("made");
        let revoked = file.revoke("desk").expect("there");
        assert_eq!(revoked.status(), KeyStatus::Revoked);
        assert_eq!(file.revoke("desk").expect("again"), revoked);
        assert_eq!(file.records().expect("there"), [record, revoked]);
        for entry in fs::read_dir(folder.path().join("data")).expect("there") {
            let path = entry.expect("an entry").path();
            let metadata = fs::metadata(&path).expect("there");
            assert_eq!(metadata.mode() & 0o777, 0o600, "{path:?}");
            let text = fs::read_to_string(&path).expect("text");
            assert!(!text.contains(&secret.expose()[8..]), "{path:?}");
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::of_store(folder.path());
        file.create(&new("shop"), &none()).expect("made");
        file.revoke("shop").expect("there");
        let configured = AccessSettings {
            keys: vec![KeySettings {
                name: String::from("desk"),
                sha256: "0".repeat(64),
                roles: vec![Role::Read],
                requests_per_second_max: None,
            }],
        };
        for name in ["shop", "desk"] {
            let refused = file.create(&new(name), &configured).expect_err("taken");
            assert!(matches!(refused, KeyFileError::NameTaken { .. }));
        }
        let unknown = file.revoke("desk").expect_err("not made here");
        assert!(matches!(unknown, KeyFileError::Unknown { .. }));
        let elsewhere = KeyFile::of_store(&folder.path().join("nowhere"));
        let unknown = elsewhere.revoke("shop").expect_err("nothing there");
        assert!(matches!(unknown, KeyFileError::Unknown { .. }));
        assert!(!folder.path().join("nowhere").exists());
    }

    #[test]
    fn a_key_that_makes_no_sense_is_not_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::of_store(folder.path());
        let with = |change: fn(&mut NewKey)| {
            let mut key = new("shop");
            change(&mut key);
            file.create(&key, &none())
        };
        let bad: [fn(&mut NewKey); 5] = [
            |key| key.name.clear(),
            |key| key.roles.clear(),
            |key| key.lifetime = Some(Duration::ZERO),
            |key| key.lifetime = Some(Duration::MAX),
            |key| key.requests_per_second_max = Some(1_000_001),
        ];
        for change in bad {
            let refused = with(change).expect_err("no key");
            assert!(matches!(refused, KeyFileError::Invalid(_)), "{refused}");
        }
        assert_eq!(file.records().expect("nothing there"), []);
    }

    /// Neither a file that was cut short, nor one with a field more or a value of another kind, is read
    /// as fewer or other keys.
    #[test]
    fn what_is_damaged_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::of_store(folder.path());
        file.create(&new("shop"), &none()).expect("made");
        let whole = fs::read_to_string(file.path()).expect("text");
        let cut = (0..whole.trim_end().len()).map(|end| whole[..end].to_owned());
        let changed = [
            ("\"version\": 1", "\"version\": 2"),
            ("\"read\"", "\"reader\""),
            ("\"read\"", ""),
            ("\"name\"", "\"label\": 1, \"name\""),
            ("\"shop\"", "\"shop \""),
            ("\"sha256\": \"", "\"sha256\": \"recant_needle"),
        ];
        let changed = changed.map(|(from, to)| whole.replacen(from, to, 1));
        let one = whole
            .split_once('[')
            .and_then(|(_, rest)| rest.rsplit_once(']'));
        let twice = format!(
            "{{\"version\": 1, \"keys\": [{0},{0}]}}",
            one.expect("a list").0
        );
        for damaged in cut.chain(changed).chain([twice]) {
            fs::write(file.path(), &damaged).expect("written");
            let errors = [
                file.records().expect_err(&damaged),
                file.create(&new("desk"), &none()).expect_err(&damaged),
                file.revoke("shop").expect_err(&damaged),
            ];
            for error in errors {
                assert!(matches!(error, KeyFileError::Damaged { .. }), "{error}");
                assert!(!error.to_string().contains("needle"), "{error}");
            }
            assert_eq!(fs::read_to_string(file.path()).expect("text"), damaged);
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::of_store(folder.path());
        file.create(&new("shop"), &none()).expect("made");
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).expect("ours");
            let refused = file.records().expect_err("open to others");
            assert!(matches!(refused, KeyFileError::OpenToOthers { .. }));
        }
        let elsewhere = folder.path().join("elsewhere");
        fs::copy(file.path(), &elsewhere).expect("copied");
        fs::remove_file(file.path()).expect("there");
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).expect("ours");
        symlink(&elsewhere, file.path()).expect("planted");
        let refused = file.records().expect_err("a link");
        assert!(matches!(refused, KeyFileError::OpenToOthers { .. }));
    }

    /// Root may make keys for a server that runs as somebody else.
    #[test]
    fn the_file_belongs_to_the_owner_of_the_directory() {
        let folder = tempfile::tempdir().expect("a folder");
        // Only root can; for everybody else the owner stays who they are.
        let _ = chown(folder.path(), Some(4_321), Some(4_321));
        let owner = fs::metadata(folder.path()).expect("there").uid();
        let file = KeyFile::of_store(folder.path());
        file.create(&new("shop"), &none()).expect("made");
        for name in [FILE, LOCK] {
            let metadata = fs::metadata(folder.path().join(name)).expect("there");
            assert_eq!(metadata.uid(), owner, "{name}");
        }
    }

    #[test]
    fn no_change_is_lost_to_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::of_store(folder.path());
        let make = |number: usize| {
            let name = format!("key-{number}");
            file.create(&new(&name), &none()).expect("made");
            file.revoke(&name).expect("there");
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || (0..8).for_each(|each| make(thread * 8 + each)));
            }
        });
        let records = file.records().expect("whole");
        assert_eq!(records.len(), 32);
        let revoked = |record: &KeyRecord| record.status() == KeyStatus::Revoked;
        assert!(records.iter().all(revoked));
    }
}
