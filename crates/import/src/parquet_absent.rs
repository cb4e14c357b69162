//! Stands in for the reader of Parquet in a program that is built without the feature `parquet`.

use std::fs::File;
use std::path::Path;

use super::columns::Wanted;
use super::error::{ImportError, ParquetError};
use super::record::{Next, Record};

/// A reader that there is none of.
pub(super) enum ParquetReader {}

impl ParquetReader {
    pub(super) fn open(path: &Path, _: File, _: &[Wanted]) -> Result<Self, ImportError> {
        Err(ImportError::Parquet {
            path: path.to_owned(),
            source: ParquetError,
        })
    }

    pub(super) fn has_field(&self, _: usize) -> bool {
        match *self {}
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match *self {}
    }

    pub(super) fn next(&mut self, _: &mut Record) -> Next {
        match *self {}
    }
}
