//! Files of other programs, read row by row.
//!
//! The path of a row: `folder` finds the files, `source` opens one and undoes its compression and its
//! encoding, `lines` cuts it into lines of bounded length, a record reader (`delimited`,
//! `json_lines`, `parquet`) picks the wanted columns out of it, [`RowReader`] checks what it found, and
//! [`run`] counts it and hands it to a [`RowSink`].
//!
//! No row vanishes: [`Account`] holds what became of every one, and exists only when it adds up.
//!
//! Memory does not grow with the file: one record (or one batch of a Parquet column) is held at a
//! time. Ids and values never reach an error text: a message names file, line and reason only.

#![deny(unreachable_pub)]

mod account;
mod archive;
mod columns;
mod delimited;
mod driver;
mod encoding;
mod error;
mod folder;
mod format;
mod json_lines;
mod limits;
mod lines;
mod movielens;
mod options;
#[cfg_attr(not(feature = "parquet"), path = "parquet_absent.rs")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_file;
mod reader;
mod record;
mod record_reader;
mod row;
mod source;
mod syntax;
mod text_lines;
mod titles;

pub use account::{Account, Rejections, SinkTotals};
pub use columns::Columns;
pub use driver::{
    ImportProgress, REJECTED_SHOWN_MAX, RejectedRow, RowCounts, RowSink, TakenRow, run,
};
pub use encoding::{Encoding, UnknownEncoding};
pub use error::{ImportError, ParquetError, Rejection, SinkError, Unbalanced};
pub use folder::{Part, parts};
pub use format::{Format, UnknownFormat};
pub use limits::{LINE_BYTES_MAX, RECORD_LINES_MAX};
pub use options::{FeedbackChoice, ImportOptions, ReadOptions};
pub use row::{NumberedRow, RawRow, RowReader, open};
pub use syntax::{Delimiter, Escape, NotACharacter, Quote};
pub use text_lines::{NoText, text_lines};
pub use titles::{NumberedTitle, RawTitle, TAG_SEPARATOR, TitleReader, open_titles};
