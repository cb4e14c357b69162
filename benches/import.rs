//! The whole import of a large file: from its bytes to a durable store.
//!
//! `cargo bench --bench import [-- --rows N]`

mod support;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_import::{ImportOptions, Part};
use recant_store::{ImportSession, StoreOptions};
use support::stored::StoreSink;
use support::table::{Table, Times, shown};

const USERS: u32 = 50_000;
const ITEMS: u32 = 20_000;

/// Imports of each file; every one goes into a new store.
const REPETITIONS: usize = 5;

/// Rows of `userId,movieId,rating,timestamp`, users in no order, popular items more often.
fn write_rows(rows: usize, mut into: impl Write) -> std::io::Result<()> {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    writeln!(into, "userId,movieId,rating,timestamp")?;
    for row in 0..rows {
        let user = random.random_range(0..USERS);
        let item = (random.random::<f64>().powi(3) * f64::from(ITEMS)) as u32;
        let halves = random.random_range(1..=10);
        let rating = f64::from(halves) / 2.0;
        writeln!(into, "{user},{item},{rating},{}", 1_500_000_000 + row)?;
    }
    into.flush()
}

/// The file plain, and compressed.
fn write_files(folder: &Path, rows: usize) -> std::io::Result<[PathBuf; 2]> {
    let paths = [folder.join("ratings.csv"), folder.join("ratings.csv.gz")];
    write_rows(rows, BufWriter::new(File::create(&paths[0])?))?;
    let compressed = GzEncoder::new(File::create(&paths[1])?, Compression::default());
    let mut compressed = BufWriter::new(compressed);
    std::io::copy(&mut File::open(&paths[0])?, &mut compressed)?;
    compressed
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .finish()?;
    Ok(paths)
}

fn import_file(path: &Path, rows: usize) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions::default();
    let session = ImportSession::begin(&folder.path().join("data"), &options).expect("a store");
    let mut sink = StoreSink(session.writer().expect("a writer"));
    let counts = recant_import::run(
        &[Part {
            path: path.to_owned(),
            folder: None,
        }],
        &[],
        &ImportOptions::default(),
        &mut sink,
        &mut |_| {},
    )
    .expect("the file is readable");
    assert_eq!(counts.taken, rows as u64);
    sink.0.finish().expect("the rows are stored").interactions
}

/// The peak of the process's resident memory so far, in MiB; `None` where nothing tells.
fn peak_resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}

/// Starts the peak anew; without the right to, the peak is that of the process.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn main() {
    let rows = support::argument("--rows", 2e6) as usize;
    let folder = tempfile::tempdir().expect("a folder");
    let paths = write_files(folder.path(), rows).expect("the files are written");
    println!("import of {rows} rows, {USERS} users, {ITEMS} items, {REPETITIONS} times each");
    let mut table = Table::new(&[
        "file", "MiB", "median", "p95", "rows/s", "pairs", "peak MiB",
    ]);
    for path in paths {
        forget_peak();
        let (mut times, mut pairs) = (Times::default(), 0);
        for _ in 0..REPETITIONS {
            let started = Instant::now();
            pairs = import_file(&path, rows);
            times.push(started.elapsed());
        }
        let bytes = path.metadata().map_or(0, |file| file.len());
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let peak = peak_resident_mib().map_or(String::from("?"), |mib| format!("{mib:.0}"));
        table.row(vec![
            name.unwrap_or_default(),
            format!("{:.1}", bytes as f64 / f64::from(1 << 20)),
            shown(times.median()),
            shown(times.percentile(95)),
            format!("{:.0}", rows as f64 / times.median().as_secs_f64()),
            pairs.to_string(),
            peak,
        ]);
    }
    table.print();
}
