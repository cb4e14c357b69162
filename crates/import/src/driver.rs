//! Carries the rows of files to a sink, and counts what became of each.

use std::fmt;
use std::path::{Path, PathBuf};

use recant_types::{DescriptionPatch, FeedbackType, looks_like_float};

use super::account::{Account, Rejections, SinkTotals};
use super::error::{ImportError, Rejection, SinkError, Unbalanced};
use super::folder::Part;
use super::options::ImportOptions;
use super::row::{RawRow, open};
use super::titles::open_titles;

/// Most rejected rows that are shown; the rest are counted.
pub const REJECTED_SHOWN_MAX: usize = 10;

/// Rows between two reports of progress: some hundred reports a second at full speed.
const PROGRESS_ROWS: u64 = 8_192;

/// A row as a sink takes it. Both ids are valid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TakenRow<'a> {
    /// Who.
    pub user: &'a str,
    /// With what.
    pub item: &'a str,
    /// What was done.
    pub feedback: &'a FeedbackType,
    /// When, in the unit of the source.
    pub timestamp: Option<i64>,
}

/// Where rows go: the store's import session, or memory in a test.
pub trait RowSink {
    /// Takes one interaction of a weight within the range of weights. Of a pair and a type the newest
    /// row counts, unless the type's rule says otherwise.
    fn push(&mut self, row: TakenRow<'_>, weight: f32) -> Result<(), SinkError>;

    /// Takes a row whose rating is below the wanted one: if it is the newest of its pair and type, the
    /// pair is not kept.
    fn withdraw(&mut self, row: TakenRow<'_>) -> Result<(), SinkError>;

    /// Takes what is said about an item with a valid id. What is not said stays as it was.
    fn describe(&mut self, item: &str, said: &DescriptionPatch) -> Result<(), SinkError>;
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

/// What the reader did with the rows. `read` is always the sum of `taken`, `filtered` and
/// `rejected`; what the sink did with those taken closes the [`Account`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Interactions read, good or bad.
    pub read: u64,
    /// Interactions given to the sink.
    pub taken: u64,
    /// Interactions without a rating where one is wanted.
    pub filtered: u64,
    /// Interactions that could not be used.
    pub rejected: Rejections,
    /// Rows of the items files, good or bad.
    pub titles_read: u64,
    /// Titles given to the sink.
    pub titles_taken: u64,
    /// Rows of the items files that could not be used.
    pub titles_rejected: Rejections,
    /// The first [`REJECTED_SHOWN_MAX`] rejected rows of either kind.
    pub rejected_first: Vec<RejectedRow>,
    /// Rows whose user, and whose item, has an id that went through a column of floats.
    pub float_like: [u64; 2],
}

impl RowCounts {
    /// The account of all rows, with what the sink says of those it took.
    pub fn close(&self, sink: SinkTotals) -> Result<Account, Unbalanced> {
        let titles = self.titles_taken + self.titles_rejected.total();
        if titles != self.titles_read {
            return Err(Unbalanced {
                read: self.titles_read,
                accounted: titles,
            });
        }
        Account::close(self.read, self.rejected.clone(), self.filtered, sink)
    }
}

/// Reads the interactions of `files`, then the titles of `items`, into `sink`.
///
/// Every file is opened and its header checked before the first row is taken, so that a mistyped
/// name costs no time. `progress` is called every few thousand rows and at the end of each file. A
/// file without rows is an error, and so is one whose rows are all rejected; a part of a folder may be
/// empty.
pub fn run(
    files: &[Part],
    items: &[Part],
    options: &ImportOptions,
    sink: &mut impl RowSink,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<RowCounts, ImportError> {
    check_files(files, items, options)?;
    let mut import = Import {
        options,
        sink,
        progress,
        bytes_before: 0,
        counts: RowCounts::default(),
    };
    each_named(files, |part| import.take_interactions(part))?;
    each_named(items, |part| import.take_titles(part))?;
    Ok(import.counts)
}

/// Calls `take`, which returns how many rows there were, for every part. A file that was named must
/// have some, and so must a folder in all of its parts.
fn each_named(
    parts: &[Part],
    mut take: impl FnMut(&Part) -> Result<u64, ImportError>,
) -> Result<(), ImportError> {
    let is_same = |a: &Part, b: &Part| a.folder.is_some() && a.folder == b.folder;
    for named in parts.chunk_by(is_same) {
        let mut rows = 0;
        for part in named {
            rows += take(part)?;
        }
        if rows == 0 {
            let path = named[0].folder.as_ref().unwrap_or(&named[0].path);
            return Err(ImportError::NoRows(path.clone()));
        }
    }
    Ok(())
}

/// What a part is opened as; `None` for an empty one of a folder.
fn unless_empty<T>(part: &Part, opened: Result<T, ImportError>) -> Result<Option<T>, ImportError> {
    match opened {
        Err(ImportError::Empty(_)) if part.folder.is_some() => Ok(None),
        opened => opened.map(Some),
    }
}

fn check_files(files: &[Part], items: &[Part], options: &ImportOptions) -> Result<(), ImportError> {
    // A pipe cannot be opened twice, and a missing file is reported by opening it.
    let is_pipe = |part: &&Part| part.path.exists() && !part.path.is_file() && !part.path.is_dir();
    for part in files.iter().filter(|part| !is_pipe(part)) {
        let rows = unless_empty(part, open(&part.path, &options.read))?;
        if options.min_rating.is_some() && rows.is_some_and(|rows| !rows.has_weights()) {
            return Err(ImportError::NoRating(part.path.clone()));
        }
    }
    for part in items.iter().filter(|part| !is_pipe(part)) {
        unless_empty(part, open_titles(&part.path, &options.read))?;
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

/// What is to be done with a row.
enum Decision {
    Keep(f32),
    Withdraw,
    Filter,
}

impl<'o, S: RowSink> Import<'o, S> {
    fn take_interactions(&mut self, part: &Part) -> Result<u64, ImportError> {
        let Some(mut rows) = unless_empty(part, open(&part.path, &self.options.read))? else {
            return Ok(0);
        };
        let (read_before, rejected_before) = (self.counts.read, self.counts.rejected.total());
        let mut first_rejected = None;
        while let Some(numbered) = rows.next_row()? {
            self.counts.read += 1;
            let line = numbered.line;
            if let Err(reason) = self.take(numbered.row)? {
                self.counts.rejected.add(&reason);
                first_rejected.get_or_insert_with(|| (line, reason.clone()));
                self.reject(&part.path, line, reason)?;
            }
            if self.counts.read.is_multiple_of(PROGRESS_ROWS) {
                self.report(rows.bytes_read());
            }
        }
        self.finish_file(rows.bytes_read());
        let read = self.counts.read - read_before;
        let rejected = self.counts.rejected.total() - rejected_before;
        check_some_taken(&part.path, read, rejected, first_rejected)?;
        Ok(read)
    }

    /// Gives a row to the sink or says why not.
    fn take(
        &mut self,
        row: Result<RawRow<'_>, Rejection>,
    ) -> Result<Result<(), Rejection>, ImportError> {
        let (row, decision) = match row.and_then(|row| self.judge(&row)) {
            Ok(judged) => judged,
            Err(reason) => return Ok(Err(reason)),
        };
        match decision {
            Decision::Keep(weight) => self.sink.push(row, weight),
            Decision::Withdraw => self.sink.withdraw(row),
            Decision::Filter => {
                self.counts.filtered += 1;
                return Ok(Ok(()));
            }
        }
        .map_err(ImportError::Sink)?;
        self.counts.taken += 1;
        for (count, id) in self.counts.float_like.iter_mut().zip([row.user, row.item]) {
            *count += u64::from(looks_like_float(id));
        }
        Ok(Ok(()))
    }

    fn judge<'r>(&self, row: &RawRow<'r>) -> Result<(TakenRow<'r>, Decision), Rejection>
    where
        'o: 'r,
    {
        let options: &'o ImportOptions = self.options;
        let taken = TakenRow {
            user: row.user,
            item: row.item,
            feedback: options.feedback.find(row.feedback)?,
            timestamp: row.timestamp,
        };
        Ok((taken, self.decide(row)?))
    }

    fn decide(&self, row: &RawRow<'_>) -> Result<Decision, Rejection> {
        if let Some(min) = self.options.min_rating {
            match row.rating {
                None => return Ok(Decision::Filter),
                Some(rating) if rating < f64::from(min) => return Ok(Decision::Withdraw),
                Some(_) => {}
            }
        }
        let weight = match row.rating {
            Some(rating) => self.options.read.weights.apply(rating),
            None => Ok(1.0),
        };
        weight.map(Decision::Keep).map_err(Rejection::Weight)
    }

    fn take_titles(&mut self, part: &Part) -> Result<u64, ImportError> {
        let opened = open_titles(&part.path, &self.options.read);
        let Some(mut titles) = unless_empty(part, opened)? else {
            return Ok(0);
        };
        let (mut read, mut rejected, mut first_rejected) = (0, 0, None);
        while let Some(numbered) = titles.next_title()? {
            read += 1;
            match numbered.title {
                Ok(title) => {
                    self.sink
                        .describe(title.item, &title.said)
                        .map_err(ImportError::Sink)?;
                    self.counts.titles_taken += 1;
                }
                Err(reason) => {
                    rejected += 1;
                    self.counts.titles_rejected.add(&reason);
                    first_rejected.get_or_insert_with(|| (numbered.line, reason.clone()));
                    self.reject(&part.path, numbered.line, reason)?;
                }
            }
        }
        self.counts.titles_read += read;
        self.finish_file(titles.bytes_read());
        check_some_taken(&part.path, read, rejected, first_rejected)?;
        Ok(read)
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

/// Refuses a file that has rows and not a good one among them.
fn check_some_taken(
    path: &Path,
    rows: u64,
    rejected: u64,
    first: Option<(u64, Rejection)>,
) -> Result<(), ImportError> {
    match first {
        Some((line, reason)) if rejected == rows => Err(ImportError::AllRejected {
            path: path.to_owned(),
            rows,
            reason,
            line,
        }),
        _ => Ok(()),
    }
}
