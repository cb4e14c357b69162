//! The store of the service, without a worker: what is acknowledged waits in its log.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use recant_cluster::{FreshKey, Incarnation, Mark, Ratchet, Slice};
use recant_replication::{
    EntryStore, Held as SliceHeld, LogStanding, PlacedDecided, StoreEntries, StoreEntriesError,
};
use recant_store::{Committed, Entry, LogPosition, RequestBatch, Store, StoreError};
use recant_testkit::store::{open_with, options};
use recant_types::{
    Commitment, ErasureId, ErasureTarget, Event, FeedbackType, Interaction, ItemId, UnixMillis,
    UserId,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::test_store::{Held, TestStore};

/// Entries that are read at a time.
const AT_A_TIME: usize = 1_000;

#[derive(Clone)]
pub struct RealStore(Arc<Mutex<Option<StoreEntries>>>);

impl RealStore {
    fn entries(&self) -> Result<StoreEntries, StoreEntriesError> {
        let entries = self.0.lock().expect("no other holder panicked");
        entries.clone().ok_or(StoreError::Closed.into())
    }

    fn store(&self) -> Option<Store> {
        let entries = self.entries().ok()?;
        Some(entries.store().clone())
    }
}

impl EntryStore for RealStore {
    type Asked = RequestBatch;
    type Outcome = Result<Committed, StoreError>;
    type Error = StoreEntriesError;

    fn standing(&self) -> Result<LogStanding, StoreEntriesError> {
        self.entries()?.standing()
    }

    async fn keep_key(&self, key: FreshKey) -> Result<(), StoreEntriesError> {
        self.entries()?.keep_key(key).await
    }

    async fn decide(&self, asked: Vec<RequestBatch>) -> Vec<Result<Vec<u8>, StoreEntriesError>> {
        match self.entries() {
            Ok(entries) => entries.decide(asked).await,
            Err(error) => asked.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn commit(
        &self,
        mark: Mark,
        decided: Vec<PlacedDecided>,
        key: Ratchet,
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreEntriesError> {
        self.entries()?.commit(mark, decided, key).await
    }

    /// Of what is held: each of these stores was made by itself, with a hash key of its own, so the digests of
    /// the stores differ. Nodes that join take over the key.
    async fn digest(&self, _: Slice) -> Result<SliceHeld, StoreEntriesError> {
        let mut hasher = DefaultHasher::new();
        held_in(self.entries()?.store()).hash(&mut hasher);
        Ok(SliceHeld {
            sum: u128::from(hasher.finish()).to_le_bytes(),
            terms: 1,
        })
    }
}

impl TestStore for RealStore {
    async fn open(path: PathBuf, incarnation: Incarnation, key: [u8; 32]) -> Self {
        let store = open_with(&path, &options()).expect("the store opens");
        let is_member = store.mark().expect("readable").is_some();
        let entries = if is_member {
            StoreEntries::new(store)
        } else {
            let key = Zeroizing::new(key);
            let found = StoreEntries::found(store, incarnation, key).await;
            found.expect("a new store")
        };
        Self(Arc::new(Mutex::new(Some(entries))))
    }

    fn end(&self) {
        *self.0.lock().expect("no other holder panicked") = None;
    }

    fn add(user: &str, item: u64) -> RequestBatch {
        let mut batch = RequestBatch::default();
        batch.append(Event::Add(vec![Interaction {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new(&item.to_string()).expect("an id"),
            feedback: FeedbackType::default(),
            weight: 1.0,
            timestamp: None,
        }]));
        batch
    }

    fn erase(user: &str) -> RequestBatch {
        let mut batch = RequestBatch::default();
        let event = Event::Erase {
            id: ErasureId::from_bytes(*Uuid::new_v4().as_bytes()),
            accepted_at: UnixMillis::now(),
            target: ErasureTarget::User(UserId::new(user).expect("an id")),
        };
        batch.append_erasure(event, Commitment([0; 32]), None, None);
        batch
    }

    fn held(&self) -> Held {
        held_in(&self.store().expect("it lives"))
    }

    fn holds(&self, user: &str) -> bool {
        let id = UserId::new(user).expect("an id");
        let store = self.store();
        store.is_some_and(|store| store.person(&id).expect("readable").is_some())
    }
}

fn held_in(store: &Store) -> Held {
    let mut held = Held::new();
    let mut from = LogPosition(1);
    loop {
        let entries = store.read_from(from, AT_A_TIME).expect("readable");
        let Some((last, _)) = entries.last() else {
            return held;
        };
        from = LogPosition(last.0 + 1);
        for (_, entry) in entries {
            if let Entry::Add(rows) = entry {
                for row in rows {
                    let item = row.item.expose().parse().expect("a number");
                    let user = row.user.expose().to_owned();
                    held.entry(user).or_default().insert(item);
                }
            }
        }
    }
}
