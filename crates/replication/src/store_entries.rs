//! The store of the service as the store of the log.

use recant_cluster::{FreshKey, Incarnation, Mark, Ratchet, Slice};
use recant_store::{
    Committed, ContentSlice, Decided, DecidedError, LogEntry, LogKey, RequestBatch, Store,
    StoreError,
};
use recant_types::{ErasureFilter, LogIncarnation, SharedEntry, UnixMillis};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::entry_store::{EntryStore, Held, LogStanding, PlacedDecided};

/// Records of erasures that are read at once.
const PAGE: usize = 256;

/// Why a store does not go by the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreEntriesError {
    /// The store failed, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the leader decided cannot be read.
    #[error(transparent)]
    Decided(#[from] DecidedError),
    /// The store follows no log.
    #[error("this data directory is no member of a cluster")]
    NoMember,
    /// A part was asked for that there is not.
    #[error("there is no such part of a store")]
    Slice,
    /// A thread panicked.
    #[error("reading the store panicked; see the log")]
    Panicked,
    /// The mark or the key of the log is not what this program wrote.
    #[error("what the data directory says of its place in the log is damaged")]
    Mark,
}

/// A store that follows a log.
#[derive(Debug, Clone)]
pub struct StoreEntries(Store);

impl StoreEntries {
    /// The store of a member.
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Makes a store the member of a log from before its first entry on, with the key of that.
    pub async fn found(
        store: Store,
        incarnation: Incarnation,
        key: Zeroizing<[u8; 32]>,
    ) -> Result<Self, StoreEntriesError> {
        let entries = Self(store);
        let key = Ratchet::new(0, 0, key);
        entries
            .commit(Mark::new(incarnation), Vec::new(), key)
            .await?;
        Ok(entries)
    }

    /// The store itself.
    pub fn store(&self) -> &Store {
        &self.0
    }
}

impl EntryStore for StoreEntries {
    type Asked = RequestBatch;
    type Outcome = Result<Committed, StoreError>;
    type Error = StoreEntriesError;

    fn standing(&self) -> Result<LogStanding, StoreEntriesError> {
        let mark = self.0.mark()?.ok_or(StoreEntriesError::NoMember)?;
        let mark = Mark::from_bytes(&mark).ok_or(StoreEntriesError::Mark)?;
        let held = self.0.log_key()?.ok_or(StoreEntriesError::NoMember)?;
        let key = Zeroizing::new(*held.expose());
        let held = Ratchet::new(held.series(), held.epoch(), key);
        let fresh = self.0.log_key_to_come()?.map(FreshKey::new);
        // After a crash the key ring may be behind the mark: what it would open is erased by now.
        let key = mark.key(&held, fresh.as_ref());
        let key = key.ok_or(StoreEntriesError::Mark)?;
        if key.epoch() > held.epoch() {
            self.0.advance_log_key(&log_key(&key))?;
        }
        let fresh = fresh.filter(|_| key.series() == held.series());
        Ok(LogStanding { mark, key, fresh })
    }

    async fn keep_key(&self, key: FreshKey) -> Result<(), StoreEntriesError> {
        let (store, key) = (self.0.clone(), Zeroizing::new(*key.expose()));
        let kept = spawn_blocking(move || store.keep_log_key_to_come(key)).await;
        Ok(kept.map_err(|_| StoreEntriesError::Panicked)??)
    }

    async fn decide(&self, asked: Vec<RequestBatch>) -> Vec<Result<Vec<u8>, StoreEntriesError>> {
        let count = asked.len();
        match self.0.decide(asked).await {
            Ok(decided) => decided.iter().map(|it| Ok(it.to_bytes())).collect(),
            Err(error) => vec![Err(error.into()); count],
        }
    }

    async fn commit(
        &self,
        mark: Mark,
        decided: Vec<PlacedDecided>,
        key: Ratchet,
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreEntriesError> {
        let incarnation = incarnation_of(mark.incarnation);
        let places = decided.iter().map(|it| SharedEntry {
            incarnation,
            term: it.term,
            entry: it.number,
        });
        let places = places.collect();
        let decided = decided.iter().map(|it| Decided::from_bytes(&it.decided));
        let entry = LogEntry {
            decided: decided.collect::<Result<_, _>>()?,
            mark: mark.to_bytes(),
            key: log_key(&key),
            places,
        };
        Ok(self.0.commit_entry(entry).await?)
    }

    async fn digest(&self, slice: Slice) -> Result<Held, StoreEntriesError> {
        let part = ContentSlice::new(slice.bits, slice.number).ok_or(StoreEntriesError::Slice)?;
        let store = self.0.clone();
        let read = spawn_blocking(move || store.content_digest(part)).await;
        let digest = read.map_err(|_| StoreEntriesError::Panicked)??;
        Ok(Held {
            sum: digest.sum.to_le_bytes(),
            terms: digest.terms,
        })
    }

    async fn erased_since(&self, entry: u64) -> Option<UnixMillis> {
        let store = self.0.clone();
        let found = spawn_blocking(move || first_behind(&store, entry)).await;
        // Without an answer it counts from when this node noticed.
        found.ok()?.ok()?
    }
}

/// When the first erasure was accepted that lies behind an entry, from the newest back.
fn first_behind(store: &Store, entry: u64) -> Result<Option<UnixMillis>, StoreError> {
    let (mut first, mut before) = (None, None);
    loop {
        let page = store.erasures(&ErasureFilter::default(), before, PAGE)?;
        for record in &page {
            match record.shared_entry {
                Some(it) if it.entry > entry => first = Some(record.accepted_at),
                _ => return Ok(first),
            }
        }
        match page.last() {
            Some(last) => before = Some(last.id),
            None => return Ok(first),
        }
    }
}

/// A life of the log as records and receipts name it.
pub fn incarnation_of(incarnation: Incarnation) -> LogIncarnation {
    LogIncarnation::from_bytes(incarnation.0.into_bytes())
}

fn log_key(key: &Ratchet) -> LogKey {
    let (series, epoch) = (key.series(), key.epoch());
    LogKey::new(series, epoch, Zeroizing::new(*key.expose()))
}
