//! Who gives callers' requests their order and makes them durable.
//!
//! One machine asks its store. Where several agree first on what comes next, somebody else stands between;
//! the service neither knows nor waits for anything but the answer. What the worker writes is no request: it
//! goes straight to the store.

use std::time::Duration;

use futures_util::future::BoxFuture;

use recant_store::{Committed, RequestBatch, Store, StoreError};

/// A request on its way.
pub type Sequencing = BoxFuture<'static, Result<Committed, SequencerError>>;

/// Why a request did not become durable, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// The store of this machine refused it, or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody gives requests their order at present; nothing became of this one.
    #[error("no node leads at present")]
    NoLeader,
    /// Who gave it its order does so no more; what became of it is open.
    #[error("another node leads since the request was taken on")]
    LeadershipLost,
    /// The log that the machines share has no room; nothing became of it.
    #[error("the shared log is full")]
    LogFull,
    /// It takes more bytes than an entry of the log that the machines share may have; nothing became of it.
    #[error("the request takes {bytes} bytes, more than an entry of the shared log may")]
    TooLong {
        /// What it takes.
        bytes: usize,
    },
    /// The log that the machines share was not reached; nothing became of it.
    #[error("the shared log cannot be reached")]
    LogUnreachable,
}

/// Makes requests durable in one order.
pub trait Sequencer: Send + Sync {
    /// Takes a request on: whole and durable when the answer is good, or refused. It may go on when
    /// nobody awaits the answer any more.
    fn commit(&self, batch: RequestBatch) -> Sequencing;

    /// Longest that a commit may take before that is an answer of its own; without one a commit is waited for as
    /// long as whoever asks for it waits. An erasure may have to wait for a machine that is gone until its lease
    /// has ended, longer than for any disk.
    fn longest(&self) -> Option<Duration> {
        None
    }
}

impl Sequencer for Store {
    fn commit(&self, batch: RequestBatch) -> Sequencing {
        let commit = Store::commit(self, batch);
        Box::pin(async { Ok(commit.await?) })
    }

    fn longest(&self) -> Option<Duration> {
        Some(self.sync_longest())
    }
}
