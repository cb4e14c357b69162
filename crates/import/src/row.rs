//! Rows of interactions: the fields of a record, checked.

use std::path::Path;

use recant_types::{WeightTransform, is_null_word, new_id};

use super::columns::interaction;
use super::error::{ImportError, Rejection};
use super::options::ReadOptions;
use super::record::{Content, Record};
use super::record_reader::RecordReader;

/// One interaction as a file has it. It borrows the reader's buffer and lives until the next row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawRow<'a> {
    /// Who: a valid id.
    pub user: &'a str,
    /// With what: a valid id.
    pub item: &'a str,
    /// Weight or rating as the row gives it, before any transform; not NaN. `None` when the file has
    /// none, or when none is needed and the row's is empty.
    pub rating: Option<f64>,
    /// What was done, as the row names it; `None` when it names nothing.
    pub feedback: Option<&'a str>,
    /// When. A number keeps the unit of the source; it is not ahead of the clock by more than a day.
    pub timestamp: Option<i64>,
}

/// A row and where it stands.
pub struct NumberedRow<'a> {
    /// The line it began on, or the row of a Parquet file, from 1.
    pub line: u64,
    /// The row, or why it is not one.
    pub row: Result<RawRow<'a>, Rejection>,
}

/// Streams the interactions of one file; made by [`open`].
pub struct RowReader {
    records: RecordReader,
    record: Record,
    options: ReadOptions,
}

/// Opens a file of interactions.
///
/// The format is that of the options, or else of the extension, or else of the first bytes; `.gz`
/// and `.zst` are read directly.
///
/// ```
/// use recant_import::{ReadOptions, open};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("ratings.csv");
/// # std::fs::write(&path, "userId,movieId,rating\nada,alien,5\n")?;
/// let mut rows = open(&path, &ReadOptions::default())?;
/// let first = rows.next_row()?.expect("a row").row?;
/// assert_eq!((first.user, first.item, first.rating), ("ada", "alien", Some(5.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(path: &Path, options: &ReadOptions) -> Result<RowReader, ImportError> {
    let wanted = options.columns.of_interactions();
    let format = options.format;
    Ok(RowReader {
        records: RecordReader::open(path, wanted, Content::Interactions, format, options)?,
        record: Record::default(),
        options: options.clone(),
    })
}

impl RowReader {
    /// The next row, good or bad; `None` at the end of the file. An error means that the rest of
    /// the file cannot be read.
    pub fn next_row(&mut self) -> Result<Option<NumberedRow<'_>>, ImportError> {
        let Some(outcome) = self.records.next(&mut self.record)? else {
            return Ok(None);
        };
        let line = self.record.number;
        let row = outcome.and_then(|()| parse(&self.record, &self.options));
        Ok(Some(NumberedRow { line, row }))
    }

    /// Whether the file can have weights.
    pub fn has_weights(&self) -> bool {
        self.records.has_field(interaction::WEIGHT)
    }

    /// Bytes of the file on the disk that have been read so far.
    pub fn bytes_read(&self) -> u64 {
        self.records.bytes_read()
    }
}

fn parse<'a>(record: &'a Record, options: &ReadOptions) -> Result<RawRow<'a>, Rejection> {
    Ok(RawRow {
        user: id(record, interaction::USER, "user_id", options.keep_null_ids)?,
        item: id(record, interaction::ITEM, "item_id", options.keep_null_ids)?,
        rating: rating(record, options.weights)?,
        feedback: text(record, interaction::FEEDBACK, "feedback_type")?
            .map(str::trim)
            .filter(|name| !name.is_empty()),
        timestamp: timestamp(record, options)?,
    })
}

/// The text of a field that must be there and must be an id.
pub(super) fn id<'a>(
    record: &'a Record,
    index: usize,
    field: &'static str,
    keep_null_ids: bool,
) -> Result<&'a str, Rejection> {
    let text = text(record, index, field)?.ok_or(Rejection::MissingField(field))?;
    new_id(text, keep_null_ids).map_err(|reason| Rejection::InvalidId { field, reason })
}

/// The text of a field, when there is one.
pub(super) fn text<'a>(
    record: &'a Record,
    index: usize,
    field: &'static str,
) -> Result<Option<&'a str>, Rejection> {
    let Some(bytes) = record.field(index) else {
        return Ok(None);
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if record.is_decoded && text.contains(char::REPLACEMENT_CHARACTER) => {
            Err(Rejection::NotInEncoding(field))
        }
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Rejection::NotUtf8(field)),
    }
}

/// An empty weight is not a weight of 1; where every row weighs 1 none is needed.
fn rating(record: &Record, weights: WeightTransform) -> Result<Option<f64>, Rejection> {
    let Some(text) = text(record, interaction::WEIGHT, "weight")?.map(str::trim) else {
        return Ok(None);
    };
    if let Ok(number) = text.parse::<f64>()
        && !number.is_nan()
    {
        return Ok(Some(number));
    }
    if !text.is_empty() && !is_null_word(text) {
        return Err(Rejection::WeightUnreadable);
    }
    match weights {
        WeightTransform::Binary => Ok(None),
        _ => Err(Rejection::WeightEmpty),
    }
}

fn timestamp(record: &Record, options: &ReadOptions) -> Result<Option<i64>, Rejection> {
    if let Some(moment) = record.moment {
        return options
            .times
            .millis(moment)
            .map(Some)
            .map_err(Rejection::Time);
    }
    match text(record, interaction::TIME, "timestamp")? {
        Some(text) => options.times.text(text).map_err(Rejection::Time),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(text: &str, weights: WeightTransform) -> Result<Option<f64>, Rejection> {
        let mut record = Record::default();
        record.clear(4);
        record.set(interaction::WEIGHT, text.as_bytes());
        rating(&record, weights)
    }

    #[test]
    fn weights_are_decimal_numbers_and_never_empty() {
        let read = |text: &str| weight(text, WeightTransform::Identity);
        assert_eq!(read(" 4.5"), Ok(Some(4.5)));
        assert_eq!(read("-1"), Ok(Some(-1.0)));
        assert_eq!(read("four"), Err(Rejection::WeightUnreadable));
        assert_eq!(read("4,5"), Err(Rejection::WeightUnreadable));
        for empty in ["", "  ", "NaN", "null", "\\N"] {
            assert_eq!(read(empty), Err(Rejection::WeightEmpty), "{empty}");
            assert_eq!(weight(empty, WeightTransform::Binary), Ok(None), "{empty}");
        }
        assert!(weight("four", WeightTransform::Binary).is_err());
    }
}
