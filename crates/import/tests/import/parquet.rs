//! Parquet: types of columns and ways of compression.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use recant_import::{ImportError, ImportOptions, ReadOptions};
use recant_types::UnixMillis;

use super::support::{import, import_paths, rejected, write};

/// The values of a column; `None` is null, and makes the column optional.
enum Column {
    Days(Vec<i32>),
    Longs(Vec<i64>),
    Doubles(Vec<Option<f64>>),
    Texts(Vec<&'static str>),
}

fn file(schema: &str, columns: Vec<Column>, compression: Compression) -> Vec<u8> {
    let schema = parse_message_type(&format!("message rows {{ {schema} }}")).expect("a schema");
    let properties = WriterProperties::builder().set_compression(compression);
    let mut file = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut file, Arc::new(schema), Arc::new(properties.build()))
            .expect("a writer");
    let mut rows = writer.next_row_group().expect("a row group");
    for values in columns {
        let mut column = rows.next_column().expect("readable").expect("a column");
        let written = match values {
            Column::Days(days) => column.typed::<Int32Type>().write_batch(&days, None, None),
            Column::Longs(longs) => column.typed::<Int64Type>().write_batch(&longs, None, None),
            Column::Doubles(doubles) => {
                let levels: Vec<i16> = doubles.iter().map(|d| i16::from(d.is_some())).collect();
                let there: Vec<f64> = doubles.into_iter().flatten().collect();
                let column = column.typed::<DoubleType>();
                column.write_batch(&there, Some(&levels), None)
            }
            Column::Texts(texts) => {
                let texts: Vec<ByteArray> = texts.into_iter().map(ByteArray::from).collect();
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&texts, None, None)
            }
        };
        written.expect("written");
        column.close().expect("closed");
    }
    rows.close().expect("closed");
    writer.close().expect("closed");
    file
}

#[test]
fn dates_are_days_and_timestamps_have_their_unit() {
    let times = |kind: &str, values: Column| {
        let schema = format!("required int64 user_id; required int64 item_id; required {kind};");
        let ids = || Column::Longs(vec![1, 2]);
        let bytes = file(
            &schema,
            vec![ids(), ids(), values],
            Compression::UNCOMPRESSED,
        );
        let (_, sink) = import("x.parquet", bytes, ReadOptions::default()).expect(kind);
        let time = |time: &Option<i64>| UnixMillis::from_timestamp(time.expect("a time")).0;
        sink.rows
            .iter()
            .map(|row| time(&row.timestamp))
            .collect::<Vec<_>>()
    };
    let day = 86_400_000;
    assert_eq!(
        times("int32 timestamp (DATE)", Column::Days(vec![19_000, 234])),
        [19_000 * day, 234 * day]
    );
    let millis = times(
        "int64 timestamp (TIMESTAMP_MILLIS)",
        Column::Longs(vec![1_705_321_800_123, 5_000]),
    );
    assert_eq!(
        millis,
        [1_705_321_800_123, 5_000],
        "five seconds after 1970 too"
    );
    let micros = times(
        "int64 timestamp (TIMESTAMP_MICROS)",
        Column::Longs(vec![1_705_321_800_123_456, 0]),
    );
    assert_eq!(micros, [1_705_321_800_123, 0]);
}

#[test]
fn ids_of_floats_are_whole_or_refused_and_nulls_are_empty() {
    let schema = "optional double user_id; required binary item_id (UTF8); optional double weight;";
    let bytes = file(
        schema,
        vec![
            Column::Doubles(vec![Some(7.0), Some(7.5), Some(f64::NAN), None, Some(8.0)]),
            Column::Texts(vec![" x ", "x", "x", "x", "x"]),
            Column::Doubles(vec![Some(2.0), Some(2.0), Some(2.0), Some(2.0), None]),
        ],
        Compression::UNCOMPRESSED,
    );
    let (counts, sink) = import("x.parquet", bytes, ReadOptions::default()).expect("one is good");
    assert_eq!((sink.users(), sink.items()), (vec!["7"], vec!["x"]));
    let reasons: Vec<_> = counts.rejected.by_reason().collect();
    let expected = [
        ("empty_id", 1),
        ("fractional_id", 1),
        ("null_id", 1),
        ("weight_empty", 1),
    ];
    assert_eq!(reasons, expected);
    assert_eq!((counts.read, rejected(&counts, "null_id")), (5, 1));
}

/// A query that found nothing is written so: with a row group that has no rows, or with none.
#[test]
fn a_file_of_no_rows_is_a_failure_by_itself_and_nothing_beside_others() {
    let schema = "required int64 user_id; required int64 item_id;";
    let of = |ids: Vec<i64>| {
        let columns = vec![Column::Longs(ids.clone()), Column::Longs(ids)];
        file(schema, columns, Compression::UNCOMPRESSED)
    };
    for empty in [of(Vec::new()), file_without_row_groups(schema)] {
        let error = import("x.parquet", &empty, ReadOptions::default()).expect_err("no rows");
        assert!(matches!(error, ImportError::NoRows(_)), "{error}");
        let folder = tempfile::tempdir().expect("a folder");
        let paths = [("part-0.parquet", empty), ("part-1.parquet", of(vec![7]))];
        let paths = paths.map(|(name, bytes)| write(folder.path(), name, bytes));
        let (counts, sink) = import_paths(&paths[1..], &ImportOptions::default()).expect("rows");
        assert_eq!((counts.read, sink.users()), (1, vec!["7"]));
        let named = [folder.path().to_owned()];
        let (counts, sink) = import_paths(&named, &ImportOptions::default()).expect("one has rows");
        assert_eq!((counts.read, sink.users()), (1, vec!["7"]));
    }
}

fn file_without_row_groups(schema: &str) -> Vec<u8> {
    let schema = parse_message_type(&format!("message rows {{ {schema} }}")).expect("a schema");
    let mut file = Vec::new();
    let writer = SerializedFileWriter::new(&mut file, Arc::new(schema), Default::default());
    writer.expect("a writer").close().expect("closed");
    file
}

/// The file with a footer that says Brotli where it says LZ4: the library is built without a writer of
/// that. A codec is the fourth field of a chunk's metadata, a 32-bit integer in Thrift's compact form.
fn said_to_be_brotli(mut file: Vec<u8>) -> Vec<u8> {
    let (lz4, brotli) = ([0x15, 14, 0x16], [0x15, 8, 0x16]);
    let places: Vec<usize> = (0..file.len() - 2)
        .filter(|at| file[*at..*at + 3] == lz4)
        .collect();
    assert_eq!(places.len(), 2, "one a column");
    for at in places {
        file[at..at + 3].copy_from_slice(&brotli);
    }
    file
}

#[test]
fn lz4_is_read_and_brotli_is_named() {
    let schema = "required int64 user_id; required int64 item_id;";
    let columns = || vec![Column::Longs(vec![1, 2]), Column::Longs(vec![3, 4])];
    for compression in [Compression::LZ4_RAW, Compression::LZ4] {
        let bytes = file(schema, columns(), compression);
        let (_, sink) = import("x.parquet", bytes, ReadOptions::default()).expect("LZ4");
        assert_eq!(sink.users(), ["1", "2"]);
    }
    let bytes = said_to_be_brotli(file(schema, columns(), Compression::LZ4_RAW));
    let error = import("x.parquet", bytes, ReadOptions::default()).expect_err("Brotli");
    assert!(
        matches!(
            error,
            ImportError::ParquetCodec {
                codec: "Brotli",
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("Brotli, which is not read: write it with"),
        "{error}"
    );
}
