//! Compaction: the live records rewritten into a new generation, while commits go on.
//!
//! What was removed or replaced stays in a database's file. A compaction copies what is live,
//! catches up with what changed meanwhile, pauses the writer for the rest, and switches. Then the
//! old generation is overwritten with zeros and removed, and its key destroyed.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::changes::Watch;
use crate::codec;
use crate::current::open_current;
use crate::database::wait_until_let_go;
use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::generation::{NextGeneration, Switched, remove_before};
use crate::keys;
use crate::metric_names as names;
use crate::options::CompactionSchedule;
use crate::records::Begun;
use crate::shared::Shared;
use crate::writer::WriterHandle;
use recant_types::UnixMillis;

/// How often the schedule is checked.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// How long after a failure no other compaction is begun.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The writer is paused for no more changed keys than this, unless they keep coming.
const CHANGED_KEYS_FEW: usize = 256;

/// Rounds of catching up before the writer is paused whatever is left.
const ROUNDS_MAX: usize = 10;

/// A time slice of the copying, and for how many slices it yields then: with
/// every core busy, who asks for recommendations should not notice.
const TIME_SLICE: Duration = Duration::from_millis(1);
const YIELD_SLICES: u32 = 2;

/// Records between two readings of the clock.
const RECORDS_PER_CLOCK_READ: u64 = 16;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compaction {
    /// The generation that is current now.
    pub generation: u64,
    /// Records it began with.
    pub records: u64,
    /// How long it took, the removal of the old generation included.
    pub took: Duration,
    /// How long nothing could be committed.
    pub paused: Duration,
}

/// How long ago the last compaction was, and what waits for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionState {
    /// When the current generation was begun.
    pub last_at: UnixMillis,
    /// Erasures accepted since.
    pub pending_erasures: u64,
    /// Commits since then.
    pub pending_commits: u64,
}

/// Where the store stands.
pub(super) fn state(shared: &Shared) -> Result<CompactionState, StoreError> {
    let begun = shared.read(|generation| {
        let value = generation.database.get(&keys::BEGUN)?;
        let value = value.ok_or_else(|| StoreError::damaged("a generation has no beginning"))?;
        codec::from_postcard::<Begun>(&generation.codec.open(&keys::BEGUN, &value)?)
    })?;
    let watermark = shared.watermark();
    Ok(CompactionState {
        last_at: begun.at,
        pending_erasures: watermark.erasures.saturating_sub(begun.erasures),
        pending_commits: watermark.commit.saturating_sub(begun.commit),
    })
}

/// Rewrites the live records into a new generation and removes the one before. Blocks until then.
pub(super) fn compact(shared: &Shared, writer: &WriterHandle) -> Result<Compaction, StoreError> {
    let _one_at_a_time = shared.compacting.lock();
    let _one_at_a_time = _one_at_a_time.unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    let changes = {
        // Between two commits: from the next one on, what changes is noted.
        let _index = shared.index();
        shared.changes.watch()
    };
    let compaction = copy_and_switch(shared, writer, &changes, started)?;
    metrics::histogram!(names::COMPACTION_DURATION_SECONDS).record(compaction.took.as_secs_f64());
    tracing::info!(
        generation = compaction.generation,
        records = compaction.records,
        took = ?compaction.took,
        paused = ?compaction.paused,
        "compacted"
    );
    Ok(compaction)
}

fn copy_and_switch(
    shared: &Shared,
    writer: &WriterHandle,
    changes: &Watch<'_>,
    started: Instant,
) -> Result<Compaction, StoreError> {
    let next = NextGeneration::begin(&shared.files)?;
    let records = copy(shared, &next)?;
    failpoint("compaction_copied");
    catch_up(shared, &next, changes)?;
    next.database().sync()?;
    catch_up(shared, &next, changes)?;
    failpoint("compaction_caught_up");
    let paused = writer.pause()?;
    let paused_at = Instant::now();
    take_over_changed(shared, &next, changes)?;
    let Switched {
        generation,
        watermark,
        durable,
    } = next.switch()?;
    let number = generation.number;
    let old = shared.replace(generation)?;
    paused.resume_from(watermark);
    let pause = paused_at.elapsed();
    // Before that is so, the old one must not be touched.
    durable?;
    let file = shared.files.directory.generation(old.number).join("db");
    drop(old);
    wait_until_let_go(&file)?;
    remove_before(&shared.files, number)?;
    Ok(Compaction {
        generation: number,
        records,
        took: started.elapsed(),
        paused: pause,
    })
}

/// Copies every record there is; each is opened, so that no damage is carried on.
fn copy(shared: &Shared, next: &NextGeneration<'_>) -> Result<u64, StoreError> {
    shared.read(|current| {
        let (mut records, mut seen) = (0, 0_u64);
        let mut began = Instant::now();
        for record in current.database.scan_all() {
            let (key, value) = record?;
            seen += 1;
            if seen.is_multiple_of(RECORDS_PER_CLOCK_READ) && began.elapsed() > TIME_SLICE {
                std::thread::sleep(began.elapsed() * YIELD_SLICES);
                began = Instant::now();
            }
            let mut value = value;
            if key != keys::SCHEMA && current.codec.is_personal(&value)? {
                match open_current(&current.database, &current.codec, &key, &value)? {
                    Some((now, _)) => value = now,
                    // Erased at this moment: its key is among those that changed.
                    None => continue,
                }
            }
            records += u64::from(next.take_over(current, &key, Some(&value))?);
        }
        Ok(records)
    })
}

/// Takes over what changed until only a little is left.
fn catch_up(
    shared: &Shared,
    next: &NextGeneration<'_>,
    changes: &Watch<'_>,
) -> Result<(), StoreError> {
    for _ in 0..ROUNDS_MAX {
        if changes.count() <= CHANGED_KEYS_FEW {
            break;
        }
        take_over_changed(shared, next, changes)?;
    }
    Ok(())
}

fn take_over_changed(
    shared: &Shared,
    next: &NextGeneration<'_>,
    changes: &Watch<'_>,
) -> Result<(), StoreError> {
    let changed = changes.take();
    shared.read(|current| {
        for key in changed {
            let value = current.database.get(&key)?;
            next.take_over(current, &key, value.as_deref())?;
        }
        Ok(())
    })
}

/// The thread that compacts by itself; dropping this ends it and waits for it.
#[derive(Debug)]
pub(super) struct CompactorHandle {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl CompactorHandle {
    /// Starts the thread.
    pub(super) fn start(
        shared: Arc<Shared>,
        writer: Arc<WriterHandle>,
        schedule: CompactionSchedule,
    ) -> Result<Self, StoreError> {
        let (stop, stopped) = channel::<()>();
        let path = shared.path();
        let thread = std::thread::Builder::new()
            .name(String::from("recant-compact"))
            .spawn(move || {
                let mut not_before = Instant::now();
                while stopped.recv_timeout(CHECK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    if Instant::now() < not_before || !is_due(&shared, schedule) {
                        continue;
                    }
                    if let Err(error) = compact(&shared, &writer) {
                        tracing::error!(%error, "a compaction failed; the store is as it was");
                        not_before = Instant::now() + PAUSE_AFTER_FAILURE;
                    }
                }
            })
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for CompactorHandle {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the compacting thread panicked");
        }
    }
}

fn is_due(shared: &Shared, schedule: CompactionSchedule) -> bool {
    let Ok(state) = state(shared) else {
        return false;
    };
    let age = Duration::from_millis((UnixMillis::now().0 - state.last_at.0).max(0) as u64);
    state.pending_erasures >= schedule.after_erasures
        || (state.pending_commits > 0 && age >= schedule.after)
}
