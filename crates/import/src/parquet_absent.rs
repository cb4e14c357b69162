//! Stands in for the reader of Parquet in a program that is built without the feature `parquet`.

use super::error::{ImportError, ParquetError};
use super::reader::FormatDescription;

/// Apache Parquet, which is recognised and cannot be read.
pub(super) const PARQUET: FormatDescription = FormatDescription {
    name: "parquet",
    extensions: &["parquet", "pq"],
    is_content: |head| head.starts_with(b"PAR1"),
    yields_to_delimiter: false,
    open: |file| {
        Err(ImportError::Parquet {
            path: file.path.to_owned(),
            source: ParquetError,
        })
    },
};
