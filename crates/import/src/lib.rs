//! Files of other programs, read row by row.
//!
//! The path of a row: `source` opens the file and undoes its compression, `lines` cuts it into
//! lines of bounded length, a record reader (`delimited`, `json_lines`, `parquet`) picks the wanted
//! columns out of it, [`RowReader`] checks what it found, and [`run`] counts it and hands it to a
//! [`RowSink`].
//!
//! Memory does not grow with the file: one record (or one batch of a Parquet column) is held at a
//! time. Ids and values never reach an error text: a message names file, line and reason only.

mod columns;
mod delimited;
mod driver;
mod error;
mod format;
mod json_lines;
mod lines;
mod movielens;
#[cfg_attr(not(feature = "parquet"), path = "parquet_absent.rs")]
mod parquet;
mod record;
mod record_reader;
mod row;
mod source;
mod titles;

pub use columns::Columns;
pub use driver::{
    ImportOptions, ImportProgress, REJECTED_SHOWN_MAX, RejectedRow, RowCounts, RowSink, SinkError,
    run,
};
pub use error::{ImportError, Rejection};
pub use format::{Format, UnknownFormat};
pub use lines::{LINE_BYTES_MAX, RECORD_LINES_MAX};
pub use row::{NumberedRow, RawRow, RowReader, open};
pub use titles::{
    NumberedTitle, RawTitle, TAG_BYTES_MAX, TAG_SEPARATOR, TAGS_MAX, TITLE_BYTES_MAX, TitleReader,
    open_titles,
};
