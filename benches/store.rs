//! What the store costs: one sync of the disk, the acceptance of an erasure beside it, erasures of 64
//! clients at once, a compaction and a start with a million interactions.
//!
//! `cargo bench --bench store`; `RECANT_BENCH_DIRECTORY` names the disk to measure (else the
//! directory for temporary files).

#![allow(
    clippy::disallowed_methods,
    reason = "what one sync costs is measured here"
)]

mod support;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use recant_store::{ContentSlice, ImportSession, Store, StoreOptions, WriteBatch};
use recant_types::{ErasureId, ErasureTarget, Event, ItemId, UnixMillis, UserId};
use support::table::Table;

const USERS: u32 = 20_000;
const ITEMS: u32 = 5_000;
const PER_USER: u32 = 50;
const SYNCS: usize = 400;
const CLIENTS: usize = 64;
const CLIENT_SECONDS: u64 = 5;

fn folder() -> tempfile::TempDir {
    match std::env::var_os("RECANT_BENCH_DIRECTORY") {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    }
    .expect("a folder")
}

fn user(number: u32) -> UserId {
    UserId::new(&format!("user-{number}")).expect("an id")
}

fn item(user: u32, number: u32) -> u32 {
    (user * 7 + number * 101) % ITEMS
}

/// A million interactions: fifty of each of 20 000 users.
fn import(path: &Path) {
    let session = ImportSession::begin(path, &StoreOptions::default()).expect("a new store");
    let mut writer = session.writer().expect("a writer");
    for number in 0..USERS {
        let id = format!("user-{number}");
        for n in 0..PER_USER {
            let item = format!("item-{}", item(number, n));
            writer
                .push(&id, &item, 1.0, Some(1_700_000_000))
                .expect("taken");
        }
    }
    writer.finish().expect("stored");
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[at]
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

/// Appends 4 KiB and syncs, again and again: what any durable log must do.
fn syncs(folder: &Path) -> Vec<Duration> {
    let mut file = File::create(folder.join("probe")).expect("made");
    let block = [7; 4_096];
    let mut times: Vec<Duration> = (0..SYNCS)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&block).expect("written");
            file.sync_all().expect("synced");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

fn erasure(target: ErasureTarget) -> WriteBatch {
    let mut batch = WriteBatch::default();
    batch.append(Event::Erase {
        id: ErasureId::generate(),
        accepted_at: UnixMillis::now(),
        target,
    });
    batch
}

fn pair(number: u32, n: u32) -> ErasureTarget {
    let item = ItemId::new(&format!("item-{}", item(number, n))).expect("an id");
    ErasureTarget::Pairs(vec![(user(number), item)])
}

/// One erasure after another, each with a sync of the disk beside it.
fn accepted(
    store: &Store,
    probe: &Path,
    target: impl Fn(u32) -> ErasureTarget,
) -> [Vec<Duration>; 2] {
    let mut file = File::create(probe).expect("made");
    let (mut erasures, mut syncs) = (Vec::new(), Vec::new());
    for number in 0..SYNCS as u32 {
        let started = Instant::now();
        store
            .commit(erasure(target(number)))
            .wait()
            .expect("accepted");
        erasures.push(started.elapsed());
        let started = Instant::now();
        file.write_all(&[7; 4_096]).expect("written");
        file.sync_all().expect("synced");
        syncs.push(started.elapsed());
    }
    erasures.sort_unstable();
    syncs.sort_unstable();
    [erasures, syncs]
}

/// Pairs erased by 64 clients at once, each waiting for its own before the next.
fn erasures_per_second(store: &Store) -> f64 {
    let (count, next) = (AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while started.elapsed() < Duration::from_secs(CLIENT_SECONDS) {
                    let number = next.fetch_add(1, Ordering::Relaxed) as u32;
                    let (of, n) = (2_000 + number % 15_000, 1 + number / 15_000);
                    store.commit(erasure(pair(of, n))).wait().expect("accepted");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner() as f64 / started.elapsed().as_secs_f64()
}

/// A compaction, with the time for which nothing could be committed.
fn compact(store: &Store, what: &str, table: &mut Table) {
    let compaction = store.compact().expect("compacted");
    table.row(vec![
        format!("{what} ({} records), writes paused", compaction.records),
        format!(
            "{:.2} s, {}",
            compaction.took.as_secs_f64(),
            milliseconds(compaction.paused)
        ),
    ]);
}

/// What it takes to read a part of what nodes of a cluster compare, of some 8 000 terms; nothing is committed meanwhile.
fn digest(store: &Store, table: &mut Table) {
    const BITS: u8 = 7;
    let parts = (0..1 << BITS).map(|number| ContentSlice::new(BITS, number).expect("a part"));
    let mut terms = 0;
    let mut times: Vec<_> = parts
        .map(|part| {
            let started = Instant::now();
            terms += store.content_digest(part).expect("readable").terms;
            started.elapsed()
        })
        .collect();
    times.sort();
    let each = terms >> BITS;
    let (half, most) = (percentile(&times, 0.5), percentile(&times, 1.0));
    table.row(vec![
        format!("digest of a part of what is held ({each} terms), p50, most"),
        format!("{}, {}", milliseconds(half), milliseconds(most)),
    ]);
}

fn main() {
    let folder = folder();
    let path: PathBuf = folder.path().join("data");
    let mut table = Table::new(&["what", "figure"]);
    let syncs = syncs(folder.path());
    table.row(vec![
        String::from("append 4 KiB and fsync, p50"),
        milliseconds(percentile(&syncs, 0.5)),
    ]);
    let started = Instant::now();
    import(&path);
    table.row(vec![
        String::from("import of 1 000 000 interactions"),
        format!("{:.2} s", started.elapsed().as_secs_f64()),
    ]);
    let started = Instant::now();
    let store = Store::open(&path, &StoreOptions::default()).expect("opened");
    table.row(vec![
        String::from("opening it"),
        format!("{:.2} s", started.elapsed().as_secs_f64()),
    ]);
    compact(&store, "compaction of all of it", &mut table);
    digest(&store, &mut table);
    for (what, target) in [
        ("pair", (|n| pair(n, 0)) as fn(u32) -> ErasureTarget),
        ("user", |n| ErasureTarget::User(user(1_000 + n))),
        ("unknown user", |n| ErasureTarget::User(user(1_000_000 + n))),
    ] {
        let [erasures, syncs] = accepted(&store, &folder.path().join("probe"), target);
        let (accepted, sync) = (percentile(&erasures, 0.5), percentile(&syncs, 0.5));
        let times = accepted.as_secs_f64() / sync.as_secs_f64();
        table.row(vec![
            format!("erasure of a {what} accepted, p50 (fsync beside it)"),
            format!(
                "{} ({}: {times:.2} times)",
                milliseconds(accepted),
                milliseconds(sync)
            ),
        ]);
    }
    let rate = erasures_per_second(&store);
    table.row(vec![
        format!("erasures accepted of {CLIENTS} clients"),
        format!("{rate:.0}/s"),
    ]);
    compact(&store, "compaction after those erasures", &mut table);
    let started = Instant::now();
    let backup = store
        .backup(&folder.path().join("backup"))
        .expect("backed up");
    table.row(vec![
        String::from("backup"),
        format!(
            "{:.2} s, {} MiB",
            started.elapsed().as_secs_f64(),
            backup.bytes >> 20
        ),
    ]);
    table.print();
}
