//! Carries the rows of files to a sink, and counts what became of each.

use std::fmt;
use std::path::{Path, PathBuf};

use super::columns::Columns;
use super::error::{ImportError, Rejection};
use super::format::Format;
use super::row::{RawRow, open};
use super::titles::open_titles;

/// Most rejected rows that are shown; the rest are counted.
pub const REJECTED_SHOWN_MAX: usize = 10;

/// Rows between two reports of progress: some hundred reports a second at full speed.
const PROGRESS_ROWS: u64 = 8_192;

/// What a sink reports when it cannot take a row. It ends the import.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Where rows go: the store's import session, or memory in a test.
pub trait RowSink {
    /// Takes one interaction. Both ids are valid, the weight is finite and greater than 0.
    fn push(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), SinkError>;

    /// Takes the title of an item with a valid id.
    fn set_title(&mut self, item: &str, title: &str) -> Result<(), SinkError>;
    /// Takes the tags of an item with a valid id, instead of those it had.
    fn set_tags(
        &mut self,
        item: &str,
        tags: &mut dyn Iterator<Item = &str>,
    ) -> Result<(), SinkError>;
}

/// How rows are read and which of them are kept.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Names of the columns, where the usual ones do not fit.
    pub columns: Columns,
    /// The format of the interaction files, where name and content do not tell.
    pub format: Option<Format>,
    /// Keeps rows with at least this weight or rating; a row without one is filtered out.
    pub min_rating: Option<f32>,
    /// Gives every kept row the weight 1.
    pub binary: bool,
    /// Makes the first rejected row an error.
    pub strict: bool,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes read of all files together, as they lie on the disk.
    pub bytes_read: u64,
    /// Rows read so far.
    pub rows: u64,
}

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// In which file.
    pub path: PathBuf,
    /// The line it began on, or the row of a Parquet file, from 1.
    pub line: u64,
    /// Why.
    pub reason: Rejection,
}

impl fmt::Display for RejectedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.reason)
    }
}

/// What became of the rows: `read` is always the sum of `taken`, `filtered` and `rejected`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Interactions read, good or bad.
    pub read: u64,
    /// Interactions given to the sink.
    pub taken: u64,
    /// Interactions below the wanted rating.
    pub filtered: u64,
    /// Interactions that could not be used.
    pub rejected: u64,
    /// Titles given to the sink.
    pub titles_taken: u64,
    /// Rows of the items files that could not be used.
    pub titles_rejected: u64,
    /// The first [`REJECTED_SHOWN_MAX`] rejected rows of either kind.
    pub rejected_first: Vec<RejectedRow>,
}

/// Reads the interactions of `paths`, then the titles of `items`, into `sink`.
///
/// Every file is opened and its header checked before the first row is taken, so that a mistyped
/// name costs no time. `progress` is called every few thousand rows and at the end of each file.
pub fn run(
    paths: &[PathBuf],
    items: &[PathBuf],
    options: &ImportOptions,
    sink: &mut impl RowSink,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<RowCounts, ImportError> {
    check_files(paths, items, options)?;
    let mut import = Import {
        options,
        sink,
        progress,
        bytes_before: 0,
        counts: RowCounts::default(),
    };
    for path in paths {
        import.take_interactions(path)?;
    }
    for path in items {
        import.take_titles(path)?;
    }
    Ok(import.counts)
}

fn check_files(
    paths: &[PathBuf],
    items: &[PathBuf],
    options: &ImportOptions,
) -> Result<(), ImportError> {
    // A pipe cannot be opened twice, and a missing file is reported by opening it.
    let is_pipe = |path: &&PathBuf| path.exists() && !path.is_file() && !path.is_dir();
    for path in paths.iter().filter(|path| !is_pipe(path)) {
        let rows = open(path, &options.columns, options.format)?;
        if options.min_rating.is_some() && !rows.has_weights() {
            return Err(ImportError::NoRating(path.clone()));
        }
    }
    for path in items.iter().filter(|path| !is_pipe(path)) {
        open_titles(path, &options.columns, None)?;
    }
    Ok(())
}

struct Import<'a, S: RowSink> {
    options: &'a ImportOptions,
    sink: &'a mut S,
    progress: &'a mut dyn FnMut(ImportProgress),
    /// Bytes of the files that are done with.
    bytes_before: u64,
    counts: RowCounts,
}

impl<S: RowSink> Import<'_, S> {
    fn take_interactions(&mut self, path: &Path) -> Result<(), ImportError> {
        let mut rows = open(path, &self.options.columns, self.options.format)?;
        while let Some(numbered) = rows.next_row()? {
            self.counts.read += 1;
            match numbered.row.and_then(|row| self.weigh(row)) {
                Ok(Some((row, weight))) => {
                    self.sink
                        .push(row.user, row.item, weight, row.timestamp)
                        .map_err(ImportError::Sink)?;
                    self.counts.taken += 1;
                }
                Ok(None) => self.counts.filtered += 1,
                Err(reason) => {
                    self.counts.rejected += 1;
                    self.reject(path, numbered.line, reason)?;
                }
            }
            if self.counts.read.is_multiple_of(PROGRESS_ROWS) {
                self.report(rows.bytes_read());
            }
        }
        self.finish_file(rows.bytes_read());
        Ok(())
    }

    /// The row with the weight it gets; `None` when it is below the wanted rating.
    fn weigh<'r>(&self, row: RawRow<'r>) -> Result<Option<(RawRow<'r>, f32)>, Rejection> {
        if let Some(min) = self.options.min_rating
            && row.weight.is_none_or(|weight| weight < min)
        {
            return Ok(None);
        }
        let weight = row.weight.unwrap_or(1.0);
        if weight <= 0.0 {
            return Err(Rejection::WeightOutOfRange);
        }
        Ok(Some((row, if self.options.binary { 1.0 } else { weight })))
    }

    fn take_titles(&mut self, path: &Path) -> Result<(), ImportError> {
        let mut titles = open_titles(path, &self.options.columns, None)?;
        while let Some(numbered) = titles.next_title()? {
            match numbered.title {
                Ok(title) => {
                    self.sink
                        .set_title(title.item, title.title)
                        .map_err(ImportError::Sink)?;
                    if let Some(mut tags) = title.tags() {
                        self.sink
                            .set_tags(title.item, &mut tags)
                            .map_err(ImportError::Sink)?;
                    }
                    self.counts.titles_taken += 1;
                }
                Err(reason) => {
                    self.counts.titles_rejected += 1;
                    self.reject(path, numbered.line, reason)?;
                }
            }
        }
        self.finish_file(titles.bytes_read());
        Ok(())
    }

    fn reject(&mut self, path: &Path, line: u64, reason: Rejection) -> Result<(), ImportError> {
        let path = path.to_owned();
        if self.options.strict {
            return Err(ImportError::Strict { path, line, reason });
        }
        if self.counts.rejected_first.len() < REJECTED_SHOWN_MAX {
            let row = RejectedRow { path, line, reason };
            self.counts.rejected_first.push(row);
        }
        Ok(())
    }

    fn finish_file(&mut self, bytes: u64) {
        self.report(bytes);
        self.bytes_before += bytes;
    }

    fn report(&mut self, bytes: u64) {
        (self.progress)(ImportProgress {
            bytes_read: self.bytes_before + bytes,
            rows: self.counts.read,
        });
    }
}
