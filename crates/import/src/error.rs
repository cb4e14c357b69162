//! What can be wrong with a file, and what can be wrong with one row of it.

use std::io;
use std::path::PathBuf;

use recant_types::{InvalidDescription, InvalidId, InvalidTime, InvalidWeight};

use super::limits::{LINE_BYTES_MAX, RECORD_LINES_MAX};
#[cfg(feature = "parquet")]
pub use ::parquet::errors::ParquetError;

/// Why no Parquet file can be read: the reader is not in the program.
#[cfg(not(feature = "parquet"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this program was built without Parquet: build it with the feature parquet")]
pub struct ParquetError;

/// Why one row was not taken. The row's values are never part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The row has another number of fields than the header (or the first row).
    #[error("has {found} fields where {expected} are expected")]
    FieldCount {
        /// Fields of the header or the first row.
        expected: usize,
        /// Fields of this row.
        found: usize,
    },
    /// A field that every row needs is absent or null.
    #[error("has no {0}")]
    MissingField(&'static str),
    /// The text of the field cannot be an id.
    #[error("{field}: {reason}")]
    InvalidId {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: InvalidId,
    },
    /// The weight is not a decimal number.
    #[error("weight is not a number")]
    WeightUnreadable,
    /// The weight is blank, null or NaN.
    #[error("weight is empty: leave the column out with --weights binary, or fill it in")]
    WeightEmpty,
    /// The weight is out of range.
    #[error("{0}")]
    Weight(InvalidWeight),
    /// The type of feedback is none that the configuration names.
    #[error("names a type of feedback that is not configured under feedback.types")]
    UnknownFeedback,
    /// The time cannot be used.
    #[error("timestamp {0}")]
    Time(InvalidTime),
    /// The row is a header: one again, or one in a file that has none.
    #[error("is a header line")]
    HeaderAgain,
    /// What is said of an item is out of bounds.
    #[error("{0}")]
    Description(InvalidDescription),
    /// A field is not what it has to be.
    #[error("{field} must be {wanted}")]
    Malformed {
        /// Which.
        field: &'static str,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A wanted field is not UTF-8.
    #[error("{0} is not valid UTF-8: name the encoding, for example with --encoding latin1")]
    NotUtf8(&'static str),
    /// A wanted field has bytes that mean nothing in the encoding that was named.
    #[error("{0} is not valid in the encoding that --encoding names")]
    NotInEncoding(&'static str),
    /// A wanted field has a type that cannot be used, such as a list.
    #[error("{0} has a type that cannot be used")]
    WrongType(&'static str),
    /// Two keys of one JSON object name the same field.
    #[error("names {0} twice")]
    NamedTwice(&'static str),
    /// A line or a record is longer than the limit.
    #[error("is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// A quoted field does not end within the limits.
    #[error("opens a quote that is not closed within {RECORD_LINES_MAX} lines")]
    UnclosedQuote,
    /// A quoted field of an interactions file does not end in its line.
    #[error("opens a quote that its line does not close: if quotes mean nothing, add --quote none")]
    QuoteSpansLines,
    /// There is text between a closing quote and the next delimiter.
    #[error(
        "has a quote within a quoted field: if a character stands before such quotes, name it with \
         --escape, and if quotes mean nothing, add --quote none"
    )]
    TextAfterQuote,
    /// The line is not a JSON object.
    #[error("is not a JSON object (near column {column})")]
    NotJson {
        /// Where the parser gave up, counted in bytes from 1.
        column: usize,
    },
}

impl Rejection {
    /// The reason in one word, for programs and for counting; the same for every row with it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FieldCount { .. } => "field_count",
            Self::MissingField("title") => "empty_title",
            Self::MissingField(_) => "empty_id",
            Self::InvalidId { reason, .. } => match reason {
                InvalidId::Empty => "empty_id",
                InvalidId::NullWord => "null_id",
                InvalidId::NotWhole => "fractional_id",
                _ => "invalid_id",
            },
            Self::WeightUnreadable => "weight_unreadable",
            Self::WeightEmpty => "weight_empty",
            Self::Weight(InvalidWeight::TooLarge) => "weight_too_large",
            Self::Weight(_) => "weight_too_small",
            Self::Time(InvalidTime::Ahead) => "time_ahead",
            Self::Time(_) => "time_unreadable",
            Self::UnknownFeedback => "unknown_type",
            Self::HeaderAgain => "header",
            Self::TooLong | Self::Description(_) => "too_long",
            Self::Malformed { .. } => "wrong_type",
            Self::NotUtf8(_) | Self::NotInEncoding(_) => "encoding",
            Self::WrongType(_) => "wrong_type",
            Self::NamedTwice(_) => "named_twice",
            Self::UnclosedQuote | Self::QuoteSpansLines | Self::TextAfterQuote => "quote",
            Self::NotJson { .. } => "not_json",
        }
    }
}

/// What a sink reports when it cannot take a row. It ends the import.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Rows went missing, or were counted twice. Nothing is to be stored then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "of {read} rows read {accounted} are accounted for: nothing was imported; please report this"
)]
pub struct Unbalanced {
    /// Rows read.
    pub read: u64,
    /// The sum of the parts.
    pub accounted: u64,
}

/// Why an import stops. Every message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is nothing at this path.
    #[error("{path}: no such file: check the path", path = .0.display())]
    NotFound(PathBuf),
    /// The path is a directory.
    #[error("{path}: is a directory: name the files in it", path = .0.display())]
    Directory(PathBuf),
    /// A directory holds nothing to read.
    #[error("{path}: is a folder without files whose names begin with neither _ nor .: check the path", path = .0.display())]
    NoParts(PathBuf),
    /// Directories lie in each other without end, or nearly.
    #[error("{path}: lies in too many folders: name the folder with the files in it", path = .0.display())]
    TooDeep(PathBuf),
    /// The file is an archive or belongs to another program.
    #[error("{path}: is {what}: {remedy}", path = path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The file has bytes, and no row is among them.
    #[error("{path}: has no rows: nothing was imported", path = .0.display())]
    NoRows(PathBuf),
    /// No row of the file can be used.
    #[error(
        "{path}: all {rows} rows were rejected, and nothing was imported: {reason} (line {line})",
        path = path.display()
    )]
    AllRejected {
        /// Which file.
        path: PathBuf,
        /// How many rows it has.
        rows: u64,
        /// Why the first of them was rejected.
        reason: Rejection,
        /// Where it is.
        line: u64,
    },
    /// Rows went missing between the file and the store: a bug, and nothing was imported.
    #[error(transparent)]
    Unbalanced(#[from] Unbalanced),
    /// The file cannot be opened.
    #[error("{path}: cannot be opened: {source}", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file has no bytes, or only blank lines.
    #[error("{path}: is empty: a header line or a first row is needed", path = .0.display())]
    Empty(PathBuf),
    /// Reading failed part way.
    #[error("{path}: cannot be read after line {line}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
        /// What the operating system or the decompressor said.
        source: io::Error,
    },
    /// The compressed data stop before their end.
    #[error(
        "{path}: the compressed data end too early, after line {line}: \
         the file is truncated, fetch it again", path = path.display()
    )]
    Truncated {
        /// Which file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
    },
    /// The name promises a compression that the content is not in, or it is damaged.
    #[error(
        "{path}: is not valid {compression} data: fetch it again, or rename it if it is not \
         compressed", path = path.display()
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// `gzip` or `zstd`.
        compression: &'static str,
    },
    /// The text is UTF-16.
    #[error(
        "{path}: is {order}: add --encoding {order}, or save it as UTF-8", path = path.display()
    )]
    Utf16 {
        /// Which file.
        path: PathBuf,
        /// `UTF-16LE` or `UTF-16BE`.
        order: &'static str,
    },
    /// A JSON array instead of one object a line.
    #[error(
        "{path}: is a JSON array: write one object a line, for example with jq -c '.[]'",
        path = .0.display()
    )]
    JsonArray(PathBuf),
    /// Parquet inside another compression.
    #[error("{path}: Parquet is read uncompressed: decompress the file first", path = .0.display())]
    CompressedParquet(PathBuf),
    /// A format that cannot hold what is wanted of it.
    #[error("{path}: {format} holds no {wanted}: name another file or --format", path = path.display())]
    WrongFormat {
        /// Which file.
        path: PathBuf,
        /// The format it has.
        format: &'static str,
        /// `interactions` or `titles`.
        wanted: &'static str,
    },
    /// A column is not among those of the header.
    #[error(
        "{path}: no {wanted} column: the columns are {found}: name it with {flag}",
        path = path.display()
    )]
    MissingColumn {
        /// Which file.
        path: PathBuf,
        /// The column that was looked for.
        wanted: String,
        /// The flag that names it.
        flag: &'static str,
        /// The columns of the header.
        found: String,
    },
    /// The first line holds numbers, so it is taken for data, and its text is not repeated.
    #[error(
        "{path}: the first line looks like data: put a header line such as user_id,item_id \
         before it", path = .0.display()
    )]
    NoHeader(PathBuf),
    /// The header line has one column.
    #[error(
        "{path}: the header line, split at {delimiter}, is one column: {seen}: name what stands \
         between the columns with --delimiter, or the columns with --user-col and --item-col",
        path = path.display()
    )]
    Unsplit {
        /// Which file.
        path: PathBuf,
        /// What it was split at.
        delimiter: String,
        /// The line as it was seen.
        seen: String,
    },
    /// The names in the header stand between quotes, which mean nothing between tabs.
    #[error(
        "{path}: the names of the columns stand between quotes, which mean nothing in files with \
         tabs: add --quote '\"'", path = .0.display()
    )]
    QuotedHeader(PathBuf),
    /// The header line cannot be used.
    #[error("{path}: the header line {reason}", path = path.display())]
    BadHeader {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Rejection,
    },
    /// Two columns have the name of the one that is wanted.
    #[error(
        "{path}: two columns are named {name}: rename one, or name another with {flag}",
        path = path.display()
    )]
    AmbiguousColumn {
        /// Which file.
        path: PathBuf,
        /// The name that occurs twice.
        name: String,
        /// The flag that names another.
        flag: &'static str,
    },
    /// The Parquet library could not read the file.
    #[error("{path}: is not a readable Parquet file: {source}", path = path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: ParquetError,
    },
    /// A Parquet file is compressed in a way that is not read.
    #[error(
        "{path}: is compressed with {codec}, which is not read: write it with Snappy, Zstandard, \
         gzip, LZ4 or no compression", path = path.display()
    )]
    ParquetCodec {
        /// Which file.
        path: PathBuf,
        /// The compression.
        codec: &'static str,
    },
    /// A Parquet column has a type that cannot be used.
    #[error(
        "{path}: column {column} is {found}: store it as a plain {usable}", path = path.display()
    )]
    ColumnType {
        /// Which file.
        path: PathBuf,
        /// Name of the column.
        column: String,
        /// The type it has.
        found: String,
        /// The types that would do.
        usable: &'static str,
    },
    /// `--min-rating` was given, and the file has nothing to compare it with.
    #[error(
        "{path}: --min-rating needs a weight or rating column: name it with --weight-col",
        path = .0.display()
    )]
    NoRating(PathBuf),
    /// A bad row, where bad rows are fatal.
    #[error("{path}:{line}: {reason}: mend the row, or leave --strict out", path = path.display())]
    Strict {
        /// Which file.
        path: PathBuf,
        /// Which line, or row of a Parquet file, from 1.
        line: u64,
        /// What is wrong with it.
        reason: Rejection,
    },
    /// The receiver of the rows failed.
    #[error("{0}")]
    Sink(#[source] SinkError),
}
