//! Rows of interactions: the fields of a record, checked.

use std::path::Path;

use recant_types::check_id;

use super::columns::{Columns, interaction};
use super::error::{ImportError, Rejection};
use super::format::Format;
use super::record::Record;
use super::record_reader::{Content, RecordReader};

/// One interaction as a file has it. It borrows the reader's buffer and lives until the next row.
#[derive(Clone, Copy, PartialEq)]
pub struct RawRow<'a> {
    /// Who: a valid id.
    pub user: &'a str,
    /// With what: a valid id.
    pub item: &'a str,
    /// Weight or rating, not NaN; `None` when the row gives none.
    pub weight: Option<f32>,
    /// When. A number keeps the unit of the source, its fraction cut off; an RFC 3339 time becomes
    /// milliseconds since 1970-01-01T00:00:00Z, and is taken as UTC when it names no offset.
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
}

/// Opens a file of interactions.
///
/// The format is that of `format`, or else of the extension, or else of the first bytes; `.gz` and
/// `.zst` are read directly.
///
/// ```
/// use crate::{Columns, open};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("ratings.csv");
/// # std::fs::write(&path, "userId,movieId,rating\nada,alien,5\n")?;
/// let mut rows = open(&path, &Columns::default(), None)?;
/// let first = rows.next_row()?.expect("a row").row?;
/// assert_eq!((first.user, first.item, first.weight), ("ada", "alien", Some(5.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(
    path: &Path,
    columns: &Columns,
    format: Option<Format>,
) -> Result<RowReader, ImportError> {
    let wanted = columns.of_interactions();
    Ok(RowReader {
        records: RecordReader::open(path, wanted, Content::Interactions, format)?,
        record: Record::default(),
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
        let row = outcome.and_then(|()| parse(&self.record));
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

fn parse(record: &Record) -> Result<RawRow<'_>, Rejection> {
    Ok(RawRow {
        user: id(record, interaction::USER, "user_id")?,
        item: id(record, interaction::ITEM, "item_id")?,
        weight: optional(record, interaction::WEIGHT, "weight")?
            .map(parse_weight)
            .transpose()?,
        timestamp: optional(record, interaction::TIME, "timestamp")?
            .map(parse_timestamp)
            .transpose()?,
    })
}

/// The text of a field that must be there and must be an id.
pub(super) fn id<'a>(
    record: &'a Record,
    index: usize,
    field: &'static str,
) -> Result<&'a str, Rejection> {
    let text = text(record, index, field)?.ok_or(Rejection::MissingField(field))?;
    check_id(text).map_err(|reason| Rejection::InvalidId { field, reason })?;
    Ok(text)
}

/// The text of a field, when there is one.
pub(super) fn text<'a>(
    record: &'a Record,
    index: usize,
    field: &'static str,
) -> Result<Option<&'a str>, Rejection> {
    record
        .field(index)
        .map(|bytes| std::str::from_utf8(bytes).map_err(|_| Rejection::NotUtf8(field)))
        .transpose()
}

/// The text of a field, when there is one and it is not blank.
fn optional<'a>(
    record: &'a Record,
    index: usize,
    field: &'static str,
) -> Result<Option<&'a str>, Rejection> {
    let text = text(record, index, field)?.map(str::trim);
    Ok(text.filter(|text| !text.is_empty()))
}

fn parse_weight(text: &str) -> Result<f32, Rejection> {
    let weight: f32 = text.parse().map_err(|_| Rejection::WeightUnreadable)?;
    match weight.is_finite() {
        true => Ok(weight),
        false => Err(Rejection::WeightOutOfRange),
    }
}

fn parse_timestamp(text: &str) -> Result<i64, Rejection> {
    if let Ok(integer) = text.parse() {
        return Ok(integer);
    }
    if let Ok(number) = text.parse::<f64>() {
        let in_range = number.abs() < i64::MAX as f64;
        return match in_range {
            true => Ok(number.trunc() as i64),
            false => Err(Rejection::TimestampUnreadable),
        };
    }
    parse_rfc3339(text).ok_or(Rejection::TimestampUnreadable)
}

fn parse_rfc3339(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let time = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_unit_and_lose_their_fraction() {
        assert_eq!(parse_timestamp("881250949"), Ok(881_250_949));
        assert_eq!(parse_timestamp("-5"), Ok(-5));
        assert_eq!(parse_timestamp("881250949.75"), Ok(881_250_949));
        assert_eq!(parse_timestamp("8.8125e8"), Ok(881_250_000));
    }

    #[test]
    fn rfc_3339_times_become_milliseconds() {
        let moment = Ok(1_700_000_000_123);
        assert_eq!(parse_timestamp("2023-11-14T22:13:20.123Z"), moment);
        assert_eq!(parse_timestamp("2023-11-15T00:13:20.123+02:00"), moment);
        assert_eq!(parse_timestamp("2023-11-14 22:13:20.123"), moment);
        assert_eq!(parse_timestamp("1970-01-02"), Ok(86_400_000));
    }

    #[test]
    fn other_times_are_refused() {
        for bad in ["yesterday", "NaN", "inf", "1e300", "2023-13-01", "12:30"] {
            assert_eq!(
                parse_timestamp(bad),
                Err(Rejection::TimestampUnreadable),
                "{bad}"
            );
        }
    }

    #[test]
    fn weights_are_finite_decimal_numbers() {
        assert_eq!(parse_weight("4.5"), Ok(4.5));
        assert_eq!(parse_weight("-1"), Ok(-1.0));
        assert_eq!(parse_weight("four"), Err(Rejection::WeightUnreadable));
        assert_eq!(parse_weight("4,5"), Err(Rejection::WeightUnreadable));
        assert_eq!(parse_weight("NaN"), Err(Rejection::WeightOutOfRange));
        assert_eq!(parse_weight("1e39"), Err(Rejection::WeightOutOfRange));
    }
}
