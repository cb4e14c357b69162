//! What a node's own store does for the log.

use std::future::Future;

use recant_cluster::{FreshKey, Mark, Ratchet, Slice};
use recant_types::UnixMillis;

/// What was decided of one request, with the entry that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedDecided {
    /// The term of the entry.
    pub term: u64,
    /// The number of the entry.
    pub number: u64,
    /// What every store does, in the store's own form.
    pub decided: Vec<u8>,
}

/// A store that entries are applied to. The service's is one; tests of the protocol keep a smaller one.
pub trait EntryStore: Clone + Send + Sync + 'static {
    /// What callers ask.
    type Asked: Send + 'static;
    /// What they are told when it is done.
    type Outcome: Send + 'static;
    /// Why it is not.
    type Error: std::error::Error + Send + 'static;

    /// Where the store stands, and the keys that it has for what comes then.
    fn standing(&self) -> Result<LogStanding, Self::Error>;

    /// Keeps a key that the next series is to begin with, durably, in place of one that was kept for it before. It
    /// is destroyed with the commit that puts a key of its series in place.
    fn keep_key(&self, key: FreshKey) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// What every store does for each of these, in order, as things are here: or why it is refused. Nothing
    /// changes by it.
    fn decide(
        &self,
        asked: Vec<Self::Asked>,
    ) -> impl Future<Output = Vec<Result<Vec<u8>, Self::Error>>> + Send;

    /// Applies what was decided in entries one after the other, with the mark of the last, as one; then destroys the
    /// keys of what they erase, and puts `key` in place of the one before, in one sync. What comes of each, in order.
    ///
    /// After an error what became of it is open, and it is called again with the same: what is
    /// there already is no error, and its outcomes may be missing.
    fn commit(
        &self,
        mark: Mark,
        decided: Vec<PlacedDecided>,
        key: Ratchet,
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, Self::Error>> + Send;

    /// When the first erasure was accepted that lies behind this entry; nothing where the store does not tell.
    fn erased_since(&self, entry: u64) -> impl Future<Output = Option<UnixMillis>> + Send {
        let _ = entry;
        async { None }
    }

    /// What the store holds of a part, as a number that is equal in all stores that hold the same. Called
    /// when an entry is committed, and before the next one is.
    fn digest(&self, slice: Slice) -> impl Future<Output = Result<Held, Self::Error>> + Send;
}

/// Where a store stands in the log.
#[derive(Debug, Clone)]
pub struct LogStanding {
    /// The last entry that is applied, and what follows of all up to it.
    pub mark: Mark,
    /// The key of the entry after that.
    pub key: Ratchet,
    /// The key that the next series is to begin with, if one is kept.
    pub fresh: Option<FreshKey>,
}

/// What a store holds of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// A number that is equal in stores that hold the same.
    pub sum: [u8; 16],
    /// Of how many pairs, descriptions and the like it is.
    pub terms: u64,
}
