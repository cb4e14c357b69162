//! The one thread that writes, so that everything has an order and many requests share one sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::batch::WriteBatch;
use crate::decided::Decided;
use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::files::Generation;
use crate::group::{Asked, AskedToDecide, AskedToWrite, Commit, Deciding, EntryCommit};
use crate::keyring::{CommitWatermark, Slot};
use crate::log_entry::LogEntry;
use crate::log_key::LogKey;
use crate::observer::Brought;
use crate::position::LogPosition;
use crate::records::IdempotencyRecord;
use crate::request::RequestBatch;
use crate::shared::Shared;
use crate::stage::{Stage, Staged, is_expired};
use crate::{codec, keys, trial};
use recant_types::UnixMillis;

/// Most requests that share one sync. Bounds the memory of one atomic batch.
const GROUP_MAX: usize = 1_024;

/// Expired idempotency keys are removed after so many commits.
const COMMITS_PER_SWEEP: u64 = 10_000;

enum Request {
    Write(AskedToWrite),
    Decide(AskedToDecide),
    Pause(PauseRequest),
}

/// Asks the thread to write nothing until it is told to go on.
struct PauseRequest {
    paused: Sender<Result<(), StoreError>>,
    resume: Receiver<CommitWatermark>,
}

/// The thread while it writes nothing. It goes on when this is dropped.
pub(super) struct Paused {
    resume: Sender<CommitWatermark>,
}

impl Paused {
    /// Lets the thread go on from another last commit.
    pub(super) fn resume_from(self, watermark: CommitWatermark) {
        // When the thread is gone there is nobody to go on.
        let _ = self.resume.send(watermark);
    }
}

/// The way to the writing thread; dropping it ends the thread and waits for it.
#[derive(Debug)]
pub(super) struct WriterHandle {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    broken: Arc<AtomicBool>,
}

/// Notes that the thread panicked before what it holds is dropped: whoever waits for an answer learns by that
/// drop that none will come, and then asks whether the store is open.
struct NotesPanic(Arc<AtomicBool>);

impl Drop for NotesPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl WriterHandle {
    /// Starts the thread.
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (requests, receiver) = channel();
        let path = shared.path();
        let mut writer = Writer::new(shared)?;
        let broken = Arc::clone(&writer.broken);
        let thread = std::thread::Builder::new()
            .name(String::from("recant-store"))
            .spawn(move || writer.run(&receiver))
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
            broken,
        })
    }

    /// Whether the thread still runs: it ends by itself only when it panics, as it may on a disk that fails.
    pub(super) fn is_running(&self) -> bool {
        let thread = self.thread.as_ref();
        thread.is_some_and(|thread| !thread.is_finished()) && !self.broken.load(Ordering::Acquire)
    }

    /// Hands a batch over.
    pub(super) fn commit(&self, batch: WriteBatch) -> Commit {
        let (asked, commit) = Asked::new(batch);
        self.ask(Request::Write(AskedToWrite::Batch(asked)));
        commit
    }

    /// Hands over an entry of a shared log.
    pub(super) fn commit_entry(&self, entry: LogEntry) -> EntryCommit {
        let (asked, commit) = Asked::new(entry);
        self.ask(Request::Write(AskedToWrite::Entry(asked)));
        commit
    }

    /// Has requests decided, between two commits.
    pub(super) fn decide(&self, requests: Vec<RequestBatch>) -> Deciding {
        let (asked, deciding) = Asked::new(requests);
        self.ask(Request::Decide(asked));
        deciding
    }

    fn ask(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // When the thread is gone the answer is dropped with the request: `Closed`.
            let _ = requests.send(request);
        }
    }

    /// Waits until the thread writes nothing, and keeps it so; an error when its last write failed.
    pub(super) fn pause(&self) -> Result<Paused, StoreError> {
        let (paused, pause) = channel();
        let (resume, resumed) = channel();
        let request = PauseRequest {
            paused,
            resume: resumed,
        };
        self.ask(Request::Pause(request));
        pause.recv().unwrap_or(Err(StoreError::Closed))?;
        Ok(Paused { resume })
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
    log: watch::Sender<LogPosition>,
    /// Position of the next log entry.
    next: LogPosition,
    /// The last commit, and how many erasures were accepted up to it.
    watermark: CommitWatermark,
    /// How the database failed, if it did; it is opened again before the next commit.
    failed: Option<StoreError>,
    /// Whether a panic ends this thread.
    broken: Arc<AtomicBool>,
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let log = shared.log.clone();
        let mut writer = Self {
            shared,
            log,
            next: LogPosition::default(),
            watermark: CommitWatermark::default(),
            failed: None,
            broken: Arc::default(),
        };
        writer.read_counters()?;
        writer.log.send_replace(LogPosition(writer.next.0 - 1));
        Ok(writer)
    }

    /// Reads where the database stands, and refuses one that is behind what was acknowledged.
    fn read_counters(&mut self) -> Result<(), StoreError> {
        let (watermark, next) = self.shared.read(|generation| {
            let watermark = CommitWatermark {
                commit: generation.counter(&keys::COMMIT)?,
                erasures: generation.counter(&keys::ERASURES)?,
            };
            Ok((watermark, generation.counter(&keys::NEXT_POSITION)?))
        })?;
        self.shared.files.ring.check(watermark.commit)?;
        if next == 0 {
            return Err(StoreError::damaged("there is no log position"));
        }
        (self.watermark, self.next) = (watermark, LogPosition(next));
        self.shared.set_watermark(watermark);
        Ok(())
    }

    fn run(&mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut group = Vec::new();
            let mut other = None;
            let more = requests.try_iter();
            for request in std::iter::once(first).chain(more).take(GROUP_MAX) {
                match request {
                    Request::Write(asked) => group.push(asked),
                    // It comes between what was asked for before it and after it.
                    request => {
                        other = Some(request);
                        break;
                    }
                }
            }
            if !group.is_empty() {
                self.commit_group(group);
            }
            match other {
                Some(Request::Pause(request)) => self.pause(&request),
                Some(Request::Decide(asked)) => self.decide(asked),
                Some(Request::Write(_)) | None => {}
            }
        }
    }

    fn decide(&mut self, mut asked: AskedToDecide) {
        // Dropped before `asked`, as what a function makes is before what it is given.
        let _notes = NotesPanic(Arc::clone(&self.broken));
        let requests = std::mem::take(&mut asked.work);
        let decided = self.recover().and_then(|()| self.try_to_decide(requests));
        asked.answer(decided);
    }

    fn try_to_decide(&self, requests: Vec<RequestBatch>) -> Result<Vec<Decided>, StoreError> {
        let (shared, next, erasures) = (&self.shared, self.next, self.watermark.erasures);
        let attempt = || {
            shared.read(|generation| trial::decide(shared, generation, requests, next, erasures))
        };
        catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| Err(panicked()))
    }

    fn pause(&mut self, request: &PauseRequest) {
        let state = self.failed.clone().map_or(Ok(()), Err);
        let sound = state.is_ok();
        if request.paused.send(state).is_ok()
            && sound
            && let Ok(watermark) = request.resume.recv()
        {
            self.watermark = watermark;
            self.shared.set_watermark(watermark);
        }
    }

    fn commit_group(&mut self, mut group: Vec<AskedToWrite>) {
        // Dropped before `group`, as what a function makes is before what it is given.
        let _notes = NotesPanic(Arc::clone(&self.broken));
        if let Err(error) = self.recover() {
            return refuse(group, &error);
        }
        // Below the limit nothing new is taken on; what was accepted may still be carried through.
        if let Err(error) = self.shared.check_room() {
            let is_new = |asked: &mut AskedToWrite| asked.brings_something_new();
            refuse(group.extract_if(.., is_new).collect(), &error);
        }
        if group.is_empty() {
            return;
        }
        match self.write(&mut group) {
            Ok(()) => {
                self.log.send_if_modified(|last| {
                    let newest = LogPosition(self.next.0 - 1);
                    std::mem::replace(last, newest) != newest
                });
                group.into_iter().for_each(AskedToWrite::answer);
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed; nothing of it was acknowledged");
                self.failed = Some(error.clone());
                self.shared.files.open_mark.set_poisoned(true);
                refuse(group, &error);
            }
        }
    }

    /// Applies what is asked for as one and makes it durable; notes what came of each.
    fn write(&mut self, group: &mut [AskedToWrite]) -> Result<(), StoreError> {
        let failpoints = if group.iter().any(AskedToWrite::is_a_request) {
            &ACCEPT_FAILPOINTS
        } else {
            &COMMIT_FAILPOINTS
        };
        failpoint(failpoints[0]);
        let attempt = || self.apply_and_sync(group, failpoints);
        let written =
            catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| Err(panicked()))?;
        let ring = &self.shared.files.ring;
        self.shared.files.syncs.watched(|| {
            let (destroyed, log_key) = (&written.destroyed, written.log_key.as_ref());
            ring.commit(written.watermark, destroyed, log_key, || {
                failpoint(failpoints[3]);
            })
        })?;
        failpoint(failpoints[4]);
        (self.watermark, self.next) = (written.watermark, written.next);
        self.shared.set_watermark(written.watermark);
        self.shared.tell(written.brought);
        Ok(())
    }

    /// The part of a commit that the database has.
    fn apply_and_sync(
        &self,
        group: &mut [AskedToWrite],
        failpoints: &[&'static str; 5],
    ) -> Result<Written, StoreError> {
        self.shared.read(|generation| {
            let written = self.apply(generation, group)?;
            failpoint(failpoints[1]);
            let syncs = &self.shared.files.syncs;
            syncs.watched(|| generation.database.sync())?;
            failpoint(failpoints[2]);
            Ok(written)
        })
    }

    /// Changes index and database; nobody looks up anything in between.
    fn apply(
        &self,
        generation: &Generation,
        group: &mut [AskedToWrite],
    ) -> Result<Written, StoreError> {
        let mut index = self.shared.index_mut();
        let mut stage = Stage::new(
            &generation.database,
            &generation.codec,
            &self.shared.files.hasher,
            &mut index,
            self.next,
            self.watermark.erasures,
        );
        if self.shared.is_observed() {
            stage = stage.telling();
        }
        let path = self.shared.files.directory.path();
        for asked in group {
            asked.add_to(&mut stage, path)?;
        }
        let commit = self.watermark.commit + 1;
        if commit.is_multiple_of(COMMITS_PER_SWEEP) {
            sweep_idempotency_keys(generation, &mut stage)?;
        }
        let (next, erasures) = stage.counters();
        stage.put(keys::COMMIT.to_vec(), &commit.to_le_bytes());
        stage.put(keys::NEXT_POSITION.to_vec(), &next.0.to_le_bytes());
        if erasures != self.watermark.erasures {
            stage.put(keys::ERASURES.to_vec(), &erasures.to_le_bytes());
        }
        let Staged {
            batch,
            keys,
            destroyed,
            log_key,
            brought,
            ..
        } = stage.finish();
        generation.database.apply(batch)?;
        self.shared.changes.note(keys);
        Ok(Written {
            next,
            watermark: CommitWatermark { commit, erasures },
            destroyed,
            log_key,
            brought,
        })
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
        let (files, held) = (&self.shared.files, self.watermark);
        self.shared
            .read(|open| files.bring_up_watermark(&open.database, held))?;
        self.failed = None;
        self.shared.files.open_mark.set_poisoned(false);
        tracing::info!(commit = self.watermark.commit, "the store goes on");
        Ok(())
    }
}

fn panicked() -> StoreError {
    StoreError::damaged("the database panicked")
}

fn refuse(group: Vec<AskedToWrite>, error: &StoreError) {
    group.into_iter().for_each(|asked| asked.refuse(error));
}

/// What was written, before it is acknowledged.
struct Written {
    next: LogPosition,
    watermark: CommitWatermark,
    /// Slots whose keys must be destroyed before anybody is answered.
    destroyed: Vec<Slot>,
    /// The key of the log that takes the place of the one before.
    log_key: Option<LogKey>,
    /// What is told then.
    brought: Vec<Brought>,
}

/// The failpoints of a commit, in order: before and after it is applied, after the database is
/// synced, after the key ring is written, after that is synced.
const ACCEPT_FAILPOINTS: [&str; 5] = [
    "accept_before_apply",
    "accept_after_apply",
    "accept_after_database_sync",
    "accept_after_ring_write",
    "accept_after_ring_sync",
];
const COMMIT_FAILPOINTS: [&str; 5] = [
    "commit_before_apply",
    "commit_after_apply",
    "commit_after_database_sync",
    "commit_after_ring_write",
    "commit_after_ring_sync",
];

fn sweep_idempotency_keys(
    generation: &Generation,
    stage: &mut Stage<'_>,
) -> Result<(), StoreError> {
    let now = UnixMillis::now();
    for record in generation.database.scan(&[keys::IDEMPOTENCY]) {
        let (key, value) = record?;
        let payload = generation.codec.open(&key, &value)?;
        let used: IdempotencyRecord = codec::from_json(&payload)?;
        if is_expired(&used, now) {
            stage.remove(key.to_vec());
        }
    }
    Ok(())
}
