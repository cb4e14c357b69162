//! The whole import of a large file: from its bytes to a durable store.
//!
//! `cargo bench --bench import [-- --rows N --against BINARY]`: with another `recant`, the command
//! `import` of both, in turns, on the same files.

mod support;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::basic::Compression as ParquetCompression;
use parquet::data_type::{DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
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

/// One row of the generated data.
struct Row {
    user: u32,
    item: u32,
    rating: f64,
    timestamp: i64,
}

/// Users in no order, popular items more often.
fn rows(count: usize) -> impl Iterator<Item = Row> {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    (0..count).map(move |row| Row {
        user: random.random_range(0..USERS),
        item: (random.random::<f64>().powi(3) * f64::from(ITEMS)) as u32,
        rating: f64::from(random.random_range(1..=10)) / 2.0,
        timestamp: 1_500_000_000 + row as i64,
    })
}

/// The same rows plain, compressed, and in the other formats.
fn write_files(folder: &Path, count: usize) -> std::io::Result<[PathBuf; 4]> {
    let paths = ["csv", "csv.gz", "jsonl", "parquet"];
    let paths = paths.map(|extension| folder.join(format!("ratings.{extension}")));
    write_lines(&paths[0], count, |row, into| {
        let Row {
            user,
            item,
            rating,
            timestamp,
        } = row;
        writeln!(into, "{user},{item},{rating},{timestamp}")
    })?;
    let compressed = GzEncoder::new(File::create(&paths[1])?, Compression::default());
    let mut compressed = BufWriter::new(compressed);
    std::io::copy(&mut File::open(&paths[0])?, &mut compressed)?;
    compressed
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .finish()?;
    write_lines(&paths[2], count, |row, into| {
        let Row {
            user,
            item,
            rating,
            timestamp,
        } = row;
        writeln!(
            into,
            r#"{{"user_id":{user},"item_id":{item},"rating":{rating},"timestamp":{timestamp}}}"#
        )
    })?;
    write_parquet(&paths[3], count).map_err(std::io::Error::other)?;
    Ok(paths)
}

/// A line for each row, under a header in CSV.
fn write_lines(
    path: &Path,
    count: usize,
    mut write: impl FnMut(Row, &mut BufWriter<File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut into = BufWriter::new(File::create(path)?);
    if path.extension().is_some_and(|extension| extension == "csv") {
        writeln!(into, "userId,movieId,rating,timestamp")?;
    }
    for row in rows(count) {
        write(row, &mut into)?;
    }
    into.flush()
}

/// Columns as a data frame has them, in row groups of a size that is usual.
fn write_parquet(
    path: &Path,
    count: usize,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    const SCHEMA: &str = "message ratings { required int64 user_id; required int64 item_id; \
                          required double rating; required int64 timestamp; }";
    let properties = WriterProperties::builder().set_compression(ParquetCompression::SNAPPY);
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = Arc::new(properties.build());
    let mut writer = SerializedFileWriter::new(File::create(path)?, schema, properties)?;
    let rows: Vec<Row> = rows(count).collect();
    for group in rows.chunks(1 << 20) {
        let integers = |of: fn(&Row) -> i64| group.iter().map(of).collect::<Vec<i64>>();
        let mut columns = writer.next_row_group()?;
        for column in 0..4 {
            let mut into = columns.next_column()?.ok_or("a column is missing")?;
            match column {
                2 => {
                    let ratings: Vec<f64> = group.iter().map(|row| row.rating).collect();
                    into.typed::<DoubleType>()
                        .write_batch(&ratings, None, None)?;
                }
                _ => {
                    let values = match column {
                        0 => integers(|row| i64::from(row.user)),
                        1 => integers(|row| i64::from(row.item)),
                        _ => integers(|row| row.timestamp),
                    };
                    into.typed::<Int64Type>().write_batch(&values, None, None)?;
                }
            }
            into.close()?;
        }
        columns.close()?;
    }
    writer.close()?;
    Ok(())
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

/// How long the command of a binary takes to import a file into a new store.
fn command(binary: &Path, file: &Path) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    let output = Command::new(binary)
        // Another release may not know the settings of this one, which lie in the working directory.
        .current_dir(folder.path())
        .arg("import")
        .arg(file)
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    started.elapsed()
}

fn main() {
    let rows = support::argument("--rows", 2e6) as usize;
    let folder = tempfile::tempdir().expect("a folder");
    let paths = write_files(folder.path(), rows).expect("the files are written");
    println!("import of {rows} rows, {USERS} users, {ITEMS} items, {REPETITIONS} times each");
    match support::text_argument("--against") {
        Some(other) => against(Path::new(&other), &paths, rows),
        None => alone(&paths, rows),
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The command of this binary and of another, in turns.
fn against(other: &Path, paths: &[PathBuf], rows: usize) {
    let binaries = [Path::new(env!("CARGO_BIN_EXE_recant")), other];
    let mut table = Table::new(&["file", "this, rows/s", "the other, rows/s"]);
    for path in paths {
        let mut times = [Times::default(), Times::default()];
        for _ in 0..REPETITIONS {
            for (binary, times) in binaries.iter().zip(&mut times) {
                times.push(command(binary, path));
            }
        }
        let [this, other] =
            times.map(|times| format!("{:.0}", rows as f64 / times.median().as_secs_f64()));
        table.row(vec![name(path), this, other]);
    }
    table.print();
}

fn alone(paths: &[PathBuf], rows: usize) {
    let mut table = Table::new(&[
        "file", "MiB", "median", "p95", "rows/s", "pairs", "peak MiB",
    ]);
    for path in paths {
        forget_peak();
        let (mut times, mut pairs) = (Times::default(), 0);
        for _ in 0..REPETITIONS {
            let started = Instant::now();
            pairs = import_file(path, rows);
            times.push(started.elapsed());
        }
        let bytes = path.metadata().map_or(0, |file| file.len());
        let peak = peak_resident_mib().map_or(String::from("?"), |mib| format!("{mib:.0}"));
        table.row(vec![
            name(path),
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
