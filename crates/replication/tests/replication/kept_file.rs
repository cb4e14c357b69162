//! The smallest store there can be: one file that is replaced as a whole.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use recant_cluster::{FreshKey, Incarnation, Mark, Ratchet, Slice};
use recant_replication::{EntryStore, Held as SliceHeld, LogStanding, PlacedDecided};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::test_store::{Held, TestStore};

/// What callers ask, and stores do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    Add { user: String, item: u64 },
    Erase { user: String },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Contents {
    mark: Mark,
    series: u64,
    epoch: u64,
    key: [u8; 32],
    fresh: Option<FreshKey>,
    held: Held,
}

/// Why the file was not written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct FileError(String);

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The store of one life of a node: after its end nothing is written by it.
#[derive(Clone)]
pub struct KeptFile {
    path: Arc<PathBuf>,
    contents: Arc<Mutex<Option<Contents>>>,
}

impl TestStore for KeptFile {
    async fn open(path: PathBuf, incarnation: Incarnation, key: [u8; 32]) -> Self {
        let contents = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).expect("the file is whole"),
            Err(_) => Contents {
                mark: Mark::new(incarnation),
                series: 0,
                epoch: 0,
                key,
                fresh: None,
                held: Held::new(),
            },
        };
        Self {
            path: Arc::new(path),
            contents: Arc::new(Mutex::new(Some(contents))),
        }
    }

    fn end(&self) {
        *self.lock() = None;
    }

    fn add(user: &str, item: u64) -> Asked {
        let user = user.to_owned();
        Asked::Add { user, item }
    }

    fn erase(user: &str) -> Asked {
        let user = user.to_owned();
        Asked::Erase { user }
    }

    fn holds(&self, user: &str) -> bool {
        let contents = self.lock();
        contents
            .as_ref()
            .is_some_and(|it| it.held.contains_key(user))
    }

    fn held(&self) -> Held {
        let contents = self.lock();
        contents.as_ref().expect("it lives").held.clone()
    }
}

impl KeptFile {
    fn lock(&self) -> MutexGuard<'_, Option<Contents>> {
        self.contents.lock().expect("no other holder panicked")
    }
}

impl Contents {
    fn apply(&mut self, asked: Asked) {
        match asked {
            Asked::Add { user, item } => {
                self.held.entry(user).or_default().insert(item);
            }
            Asked::Erase { user } => {
                self.held.remove(&user);
            }
        }
    }

    /// As a kill of the process leaves it, not of the machine.
    fn write(&self, path: &Path) -> Result<(), FileError> {
        let folder = path.parent().expect("it is in a folder");
        let mut file = NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, self).expect("plain contents");
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl EntryStore for KeptFile {
    type Asked = Asked;
    type Outcome = u64;
    type Error = FileError;

    fn standing(&self) -> Result<LogStanding, FileError> {
        let contents = self.lock();
        let contents = contents.as_ref().expect("it lives");
        let key = Zeroizing::new(contents.key);
        Ok(LogStanding {
            mark: contents.mark.clone(),
            key: Ratchet::new(contents.series, contents.epoch, key),
            fresh: contents.fresh.clone(),
        })
    }

    async fn keep_key(&self, key: FreshKey) -> Result<(), FileError> {
        let mut contents = self.lock();
        let Some(now) = contents.as_mut() else {
            return Err(FileError("this life is over".to_owned()));
        };
        now.fresh = Some(key);
        now.write(&self.path)
    }

    async fn decide(&self, asked: Vec<Asked>) -> Vec<Result<Vec<u8>, FileError>> {
        let each = asked.into_iter().map(|asked| match &asked {
            Asked::Add { item: 0, .. } => Err(FileError("there is no item 0".to_owned())),
            _ => Ok(serde_json::to_vec(&asked).expect("plain contents")),
        });
        each.collect()
    }

    async fn commit(
        &self,
        mark: Mark,
        decided: Vec<PlacedDecided>,
        key: Ratchet,
    ) -> Result<Vec<u64>, FileError> {
        let mut contents = self.lock();
        let Some(now) = contents.as_ref() else {
            return Err(FileError("this life is over".to_owned()));
        };
        if now.mark.number >= mark.number {
            return Ok(Vec::new());
        }
        let numbers: Vec<_> = decided.iter().map(|it| it.number).collect();
        assert!(numbers.is_sorted(), "entries come in order: {numbers:?}");
        assert!(
            numbers
                .iter()
                .all(|it| *it > now.mark.number && *it <= mark.number),
            "{numbers:?}"
        );
        let mut next = now.clone();
        let outcomes = decided.iter().map(|_| mark.number).collect();
        for decided in decided {
            next.apply(serde_json::from_slice(&decided.decided).expect("the leader's form"));
        }
        next.mark = mark;
        if key.series() > next.series {
            next.fresh = None;
        }
        next.series = key.series();
        next.epoch = key.epoch();
        next.key = *key.expose();
        next.write(&self.path)?;
        *contents = Some(next);
        Ok(outcomes)
    }

    async fn digest(&self, _: Slice) -> Result<SliceHeld, FileError> {
        let contents = self.lock();
        let Some(now) = contents.as_ref() else {
            return Err(FileError("this life is over".to_owned()));
        };
        let held = serde_json::to_vec(&now.held).expect("plain contents");
        let mut hasher = DefaultHasher::new();
        held.hash(&mut hasher);
        Ok(SliceHeld {
            sum: u128::from(hasher.finish()).to_le_bytes(),
            terms: 1,
        })
    }
}
