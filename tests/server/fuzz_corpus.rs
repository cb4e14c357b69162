//! Runs every decoder that `fuzz/` has a target for on the fixed corpus there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use recant_testkit::fuzzing::TARGETS;

fn corpus(target: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("fuzz/corpus").join(target)
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(corpus(target)).expect("every target has a corpus");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().expect("a file").to_string_lossy();
        (name.into_owned(), fs::read(&path).expect("a readable file"))
    };
    entries.map(read).collect()
}

/// The name of a seed begins with what becomes of it.
fn is_taken(name: &str) -> bool {
    assert!(
        name.starts_with("good-") || name.starts_with("bad-"),
        "{name}: say what it is"
    );
    name.starts_with("good-")
}

#[test]
fn every_seed_is_taken_or_refused_as_its_name_says() {
    for target in &TARGETS {
        let seeds = seeds(target.name);
        let outcomes: BTreeSet<bool> = seeds
            .iter()
            .map(|(name, bytes)| {
                let taken = (target.run)(bytes);
                assert_eq!(taken, is_taken(name), "{}/{name}", target.name);
                taken
            })
            .collect();
        assert_eq!(outcomes.len(), 2, "{}: seeds of both kinds", target.name);
    }
}

/// Good seeds, cut and changed in simple ways: much of what a fuzzer tries first, in every run.
#[test]
fn no_decoder_panics_on_a_seed_that_was_damaged() {
    for target in &TARGETS {
        for (_, bytes) in seeds(target.name) {
            let step = bytes.len().div_ceil(60).max(1);
            for place in (0..bytes.len()).step_by(step) {
                (target.run)(&bytes[..place]);
                for new in [0, 0x7f, 0xff, bytes[place] ^ 1] {
                    let mut changed = bytes.clone();
                    changed[place] = new;
                    (target.run)(&changed);
                }
                let doubled = [&bytes[..place], &bytes[place / 2..]].concat();
                (target.run)(&doubled);
            }
        }
    }
}

#[test]
fn there_is_a_libfuzzer_target_for_every_decoder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    for target in &TARGETS {
        let file = folder.join(format!("fuzz_targets/{}.rs", target.name));
        let code = fs::read_to_string(file).expect("a target");
        assert!(code.contains(&format!("\"{}\"", target.name)));
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)));
    }
}

/// Writes the seeds that no editor can: run it after a change of those formats.
#[test]
#[ignore = "writes fuzz/corpus"]
fn write_the_binary_seeds() {
    for target in &TARGETS {
        let parquet = (target.name == "import_parquet").then(parquet_seeds);
        let seeds = recant_testkit::fuzzing::binary_seeds(target.name);
        for (name, bytes) in seeds.into_iter().chain(parquet.into_iter().flatten()) {
            fs::create_dir_all(corpus(target.name)).expect("a folder");
            fs::write(corpus(target.name).join(name), bytes).expect("written");
        }
    }
}

/// Small Parquet files, one for each compression that is read.
fn parquet_seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("good-plain", parquet_file(Compression::UNCOMPRESSED)),
        ("good-snappy", parquet_file(Compression::SNAPPY)),
        (
            "good-zstd",
            parquet_file(Compression::ZSTD(ZstdLevel::default())),
        ),
    ]
}

fn parquet_file(compression: Compression) -> Vec<u8> {
    let schema = "message ratings {
        required binary user_id (UTF8);
        required int64 item_id;
        optional double rating;
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(compression);
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties.build()))
        .expect("a writer");
    let mut rows = writer.next_row_group().expect("a row group");
    let users: Vec<ByteArray> = ["ada", "bob", "ada"].map(ByteArray::from).to_vec();
    let mut column = rows.next_column().expect("readable").expect("a column");
    let users = column
        .typed::<ByteArrayType>()
        .write_batch(&users, None, None);
    users.expect("written");
    column.close().expect("closed");
    let mut column = rows.next_column().expect("readable").expect("a column");
    let items = column
        .typed::<Int64Type>()
        .write_batch(&[1, 2, -3], None, None);
    items.expect("written");
    column.close().expect("closed");
    let mut column = rows.next_column().expect("readable").expect("a column");
    let ratings = column.typed::<DoubleType>();
    ratings
        .write_batch(&[4.5, 1.0], Some(&[1, 0, 1]), None)
        .expect("written");
    column.close().expect("closed");
    rows.close().expect("closed");
    writer.close().expect("closed");
    file
}
