//! The one thread that writes, so that everything has an order and many requests share one sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use crate::event::UnixMillis;
use crate::store::batch::WriteBatch;
use crate::store::database::Database;
use crate::store::high_water::HighWater;
use crate::store::log::LogPosition;
use crate::store::records::{Committed, IdempotencyRecord};
use crate::store::shared::Shared;
use crate::store::stage::{Stage, is_expired};
use crate::store::{StoreError, codec, keys};

/// Most requests that share one sync. Bounds the memory of one atomic batch.
const GROUP_MAX: usize = 1_024;

/// Expired idempotency keys are looked for after so many commits.
const COMMITS_PER_SWEEP: u64 = 10_000;

/// A commit under way. Await it in a task, or [`Commit::wait`] for it elsewhere.
#[derive(Debug)]
pub struct Commit(oneshot::Receiver<Result<Committed, StoreError>>);

impl Commit {
    /// Blocks until the commit is durable or refused. Not for async tasks.
    pub fn wait(self) -> Result<Committed, StoreError> {
        self.0.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl Future for Commit {
    type Output = Result<Committed, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or(Err(StoreError::Closed)))
    }
}

struct Request {
    batch: WriteBatch,
    answer: oneshot::Sender<Result<Committed, StoreError>>,
}

/// The way to the writing thread; dropping it ends the thread and waits for it.
#[derive(Debug)]
pub(super) struct WriterHandle {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl WriterHandle {
    /// Starts the thread.
    pub(super) fn start(shared: Arc<Shared>, high_water: HighWater) -> Result<Self, StoreError> {
        let (requests, receiver) = channel();
        let path = shared.directory.path().to_owned();
        let mut writer = Writer::new(shared, high_water)?;
        let thread = std::thread::Builder::new()
            .name(String::from("recant-store"))
            .spawn(move || writer.run(&receiver))
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Hands a batch over.
    pub(super) fn commit(&self, batch: WriteBatch) -> Commit {
        let (answer, commit) = oneshot::channel();
        if let Some(requests) = &self.requests {
            // When the thread is gone the answer is dropped with the request: `Closed`.
            let _ = requests.send(Request { batch, answer });
        }
        Commit(commit)
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

struct Writer {
    shared: Arc<Shared>,
    high_water: HighWater,
    log: watch::Sender<LogPosition>,
    /// Position of the next log entry.
    next: LogPosition,
    /// Number of the last commit.
    commit: u64,
    /// How the database failed, if it did; it is opened again before the next commit.
    failed: Option<StoreError>,
}

impl Writer {
    fn new(shared: Arc<Shared>, high_water: HighWater) -> Result<Self, StoreError> {
        let log = shared.log.clone();
        let mut writer = Self {
            shared,
            high_water,
            log,
            next: LogPosition::default(),
            commit: 0,
            failed: None,
        };
        writer.read_counters()?;
        writer.log.send_replace(LogPosition(writer.next.0 - 1));
        Ok(writer)
    }

    /// Reads where the database stands, and refuses one that is behind what was acknowledged.
    fn read_counters(&mut self) -> Result<(), StoreError> {
        let (commit, next) = self.shared.read(|database| {
            Ok((
                read_counter(database, &keys::COMMIT)?,
                read_counter(database, &keys::NEXT_POSITION)?,
            ))
        })?;
        self.high_water.check(commit)?;
        if next == 0 {
            return Err(StoreError::damaged("there is no log position"));
        }
        (self.commit, self.next) = (commit, LogPosition(next));
        Ok(())
    }

    fn run(&mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let more = requests.try_iter().take(GROUP_MAX - 1);
            let group: Vec<Request> = std::iter::once(first).chain(more).collect();
            self.commit_group(group);
        }
    }

    fn commit_group(&mut self, group: Vec<Request>) {
        if let Err(error) = self.recover() {
            return refuse(group, &error);
        }
        // Below the limit nothing new is taken on; what was accepted may still be carried through.
        let room = self.shared.check_room();
        let (mut batches, mut answers) = (Vec::new(), Vec::new());
        for Request { batch, answer } in group {
            match &room {
                Err(error) if batch.appends() => drop(answer.send(Err(error.clone()))),
                _ => {
                    batches.push(batch);
                    answers.push(answer);
                }
            }
        }
        if answers.is_empty() {
            return;
        }
        match self.write(batches) {
            Ok(results) => {
                self.log.send_if_modified(|last| {
                    let newest = LogPosition(self.next.0 - 1);
                    std::mem::replace(last, newest) != newest
                });
                for (answer, result) in answers.into_iter().zip(results) {
                    drop(answer.send(result));
                }
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed; nothing of it was acknowledged");
                self.failed = Some(error.clone());
                answers
                    .into_iter()
                    .for_each(|answer| drop(answer.send(Err(error.clone()))));
            }
        }
    }

    /// Applies the batches as one and makes them durable; the inner results are for each of them.
    fn write(
        &mut self,
        batches: Vec<WriteBatch>,
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreError> {
        let commit = self.commit + 1;
        let from = self.next;
        let (results, next) = self.shared.read(|database| {
            let attempt = || write_group(database, batches, commit, from);
            catch_unwind(AssertUnwindSafe(attempt))
                .unwrap_or_else(|_| Err(StoreError::damaged("the database panicked")))
        })?;
        self.high_water.write(commit)?;
        (self.commit, self.next) = (commit, next);
        Ok(results)
    }

    /// After a failure, what the open database shows may be more than what the disk holds: it is
    /// closed and opened again, and tells itself how far it came.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(failure) = &self.failed else {
            return Ok(());
        };
        self.shared.check_room()?;
        self.shared.reopen().map_err(|error| match error {
            // It is still about the first failure: that is what the callers can do something about.
            StoreError::Io { .. } => {
                tracing::warn!(%error, "the store cannot be opened again yet");
                failure.clone()
            }
            error => error,
        })?;
        self.read_counters()?;
        self.failed = None;
        tracing::info!(commit = self.commit, "the store goes on");
        Ok(())
    }
}

fn refuse(group: Vec<Request>, error: &StoreError) {
    for request in group {
        drop(request.answer.send(Err(error.clone())));
    }
}

type GroupResult = (Vec<Result<Committed, StoreError>>, LogPosition);

fn write_group(
    database: &Database,
    batches: Vec<WriteBatch>,
    commit: u64,
    from: LogPosition,
) -> Result<GroupResult, StoreError> {
    let mut stage = Stage::new(database, from);
    let mut results = Vec::with_capacity(batches.len());
    for batch in batches {
        match stage.add(batch) {
            Err(error @ StoreError::IdempotencyKeyReused) => results.push(Err(error)),
            other => results.push(Ok(other?)),
        }
    }
    if commit.is_multiple_of(COMMITS_PER_SWEEP) {
        sweep_idempotency_keys(database, &mut stage)?;
    }
    let next = stage.next();
    stage.put(keys::COMMIT.to_vec(), &commit.to_le_bytes());
    stage.put(keys::NEXT_POSITION.to_vec(), &next.0.to_le_bytes());
    database.apply(stage.into_batch())?;
    database.sync()?;
    Ok((results, next))
}

fn sweep_idempotency_keys(database: &Database, stage: &mut Stage<'_>) -> Result<(), StoreError> {
    let now = UnixMillis::now();
    for record in database.scan(&[keys::IDEMPOTENCY]) {
        let (key, value) = record?;
        let used: IdempotencyRecord = codec::from_json(codec::unwrap(&key, &value)?)?;
        if is_expired(&used, now) {
            stage.remove(key.to_vec());
        }
    }
    Ok(())
}

fn read_counter(database: &Database, key: &[u8]) -> Result<u64, StoreError> {
    database
        .get(key)?
        .map_or(Ok(0), |value| codec::read_u64(codec::unwrap(key, &value)?))
}
