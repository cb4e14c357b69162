//! What the writing thread is asked for, with whom it answers.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::batch::WriteBatch;
use crate::decided::Decided;
use crate::error::StoreError;
use crate::log_entry::LogEntry;
use crate::records::Committed;
use crate::request::RequestBatch;
use crate::stage::Stage;

/// An answer under way. Await it in a task, or [`Pending::wait`] for it elsewhere.
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, StoreError>>);

/// A commit under way.
pub type Commit = Pending<Committed>;

/// An entry on its way to the disk: what becomes of each request in it, once all of it is durable.
pub type EntryCommit = Pending<Vec<Result<Committed, StoreError>>>;

/// Requests that are being decided.
pub type Deciding = Pending<Vec<Decided>>;

impl<T> Pending<T> {
    /// Blocks until it is done or refused. Not for async tasks.
    pub fn wait(self) -> Result<T, StoreError> {
        self.0.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or(Err(StoreError::Closed)))
    }
}

/// Some work, and whoever waits for what comes of it.
#[derive(Debug)]
pub(super) struct Asked<W, T> {
    /// What is to be done; taken when it is.
    pub(super) work: W,
    /// What came of it, to be answered once it is durable.
    pub(super) done: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<W, T> Asked<W, T> {
    /// The work, and where its answer arrives.
    pub(super) fn new(work: W) -> (Self, Pending<T>) {
        let (answer, pending) = oneshot::channel();
        let asked = Self {
            work,
            done: None,
            answer,
        };
        (asked, Pending(pending))
    }

    /// Whoever asked may have gone.
    pub(super) fn answer(self, answer: Result<T, StoreError>) {
        drop(self.answer.send(answer));
    }
}

/// Requests to decide.
pub(super) type AskedToDecide = Asked<Vec<RequestBatch>, Vec<Decided>>;

/// One of those that are written together.
#[derive(Debug)]
pub(super) enum AskedToWrite {
    /// A batch.
    Batch(Asked<WriteBatch, Committed>),
    /// An entry of a shared log.
    Entry(Asked<LogEntry, Vec<Result<Committed, StoreError>>>),
}

impl AskedToWrite {
    /// Whether something new is to be accepted. What was decided is accepted already.
    pub(super) fn brings_something_new(&self) -> bool {
        match self {
            Self::Batch(asked) => asked.work.brings_something_new(),
            Self::Entry(_) => false,
        }
    }

    /// Whether an erasure, a restriction or the end of one is accepted with it.
    pub(super) fn is_a_request(&self) -> bool {
        match self {
            Self::Batch(asked) => asked.work.is_a_request(),
            Self::Entry(asked) => asked.work.decided.iter().any(Decided::is_a_request),
        }
    }

    /// Adds it to what is written next. `path` is the store's, for refusals. After an error nothing of the
    /// stage may be written.
    pub(super) fn add_to(&mut self, stage: &mut Stage<'_>, path: &Path) -> Result<(), StoreError> {
        match self {
            Self::Batch(asked) => {
                asked.done = Some(match stage.add(std::mem::take(&mut asked.work)) {
                    Err(
                        error @ (StoreError::IdempotencyKeyReused | StoreError::BelongsToCluster),
                    ) => Err(error),
                    added => Ok(added?),
                });
            }
            Self::Entry(asked) => {
                asked.done = Some(match stage.admits(&asked.work) {
                    Err(error) => Err(error),
                    Ok(()) => Ok(stage.add_entry(&mut asked.work, path)?),
                });
            }
        }
        Ok(())
    }

    /// Answers with what came of it.
    pub(super) fn answer(self) {
        match self {
            Self::Batch(mut asked) => {
                let done = asked.done.take();
                asked.answer(done.unwrap_or(Err(StoreError::Closed)));
            }
            Self::Entry(mut asked) => {
                let done = asked.done.take();
                asked.answer(done.unwrap_or(Err(StoreError::Closed)));
            }
        }
    }

    /// Answers that nothing of it is durable.
    pub(super) fn refuse(self, error: &StoreError) {
        match self {
            Self::Batch(asked) => asked.answer(Err(error.clone())),
            Self::Entry(asked) => asked.answer(Err(error.clone())),
        }
    }
}
