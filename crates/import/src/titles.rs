//! Items, their titles and their tags.

use std::path::Path;

use super::columns::item;
use super::error::{ImportError, Rejection};
use super::limits::{TAG_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX};
use super::options::ReadOptions;
use super::record::{Content, Record};
use super::record_reader::RecordReader;
use super::row::{id, text};

/// What stands between two tags of an item.
pub const TAG_SEPARATOR: char = '|';

/// What MovieLens writes for an item without genres.
const NO_GENRES: &str = "(no genres listed)";

/// One item as a file has it. It borrows the reader's buffer and lives until the next one.
#[derive(Clone, Copy, PartialEq)]
pub struct RawTitle<'a> {
    /// Which: a valid id.
    pub item: &'a str,
    /// Its title, without blanks around it; never empty.
    pub title: &'a str,
    /// Its tags with bars between them; `None` when the file has none to say.
    tags: Option<&'a str>,
}

impl<'a> RawTitle<'a> {
    /// The tags of the item, without blanks around them, none empty; `None` when the file does not
    /// tell tags.
    pub fn tags(&self) -> Option<impl Iterator<Item = &'a str> + Clone> {
        let tags = self.tags?.split(TAG_SEPARATOR).map(str::trim);
        Some(tags.filter(|tag| !tag.is_empty() && *tag != NO_GENRES))
    }
}

/// An item and where it stands.
pub struct NumberedTitle<'a> {
    /// The line it began on, or the row of a Parquet file, from 1.
    pub line: u64,
    /// The item, or why it is not one.
    pub title: Result<RawTitle<'a>, Rejection>,
}

/// Streams the titles of one file; made by [`open_titles`].
pub struct TitleReader {
    records: RecordReader,
    record: Record,
    keep_null_ids: bool,
}

/// Opens a file of items: `item_id,title[,tags]` in any of the text formats or Parquet, or MovieLens
/// `u.item` or `movies.dat`.
///
/// The format that the options name is that of the interactions: that of the items is found out.
pub fn open_titles(path: &Path, options: &ReadOptions) -> Result<TitleReader, ImportError> {
    let wanted = options.columns.of_items();
    Ok(TitleReader {
        records: RecordReader::open(path, wanted, Content::Titles, None, options)?,
        record: Record::default(),
        keep_null_ids: options.keep_null_ids,
    })
}

impl TitleReader {
    /// The next item, good or bad; `None` at the end of the file. An error means that the rest of
    /// the file cannot be read.
    pub fn next_title(&mut self) -> Result<Option<NumberedTitle<'_>>, ImportError> {
        let Some(outcome) = self.records.next(&mut self.record)? else {
            return Ok(None);
        };
        let line = self.record.number;
        let title = outcome.and_then(|()| parse(&self.record, self.keep_null_ids));
        Ok(Some(NumberedTitle { line, title }))
    }

    /// Bytes of the file on the disk that have been read so far.
    pub fn bytes_read(&self) -> u64 {
        self.records.bytes_read()
    }
}

fn parse(record: &Record, keep_null_ids: bool) -> Result<RawTitle<'_>, Rejection> {
    let item = id(record, item::ITEM, "item_id", keep_null_ids)?;
    let title = text(record, item::TITLE, "title")?.map(str::trim);
    let title = title
        .filter(|title| !title.is_empty())
        .ok_or(Rejection::MissingField("title"))?;
    if title.len() > TITLE_BYTES_MAX {
        return Err(Rejection::TitleTooLong);
    }
    let tags = text(record, item::TAGS, "tags")?;
    let found = RawTitle { item, title, tags };
    let too_long = |mut tags: Box<dyn Iterator<Item = &str> + '_>| {
        tags.by_ref()
            .take(TAGS_MAX)
            .any(|tag| tag.len() > TAG_BYTES_MAX)
            || tags.next().is_some()
    };
    if found.tags().is_some_and(|tags| too_long(Box::new(tags))) {
        return Err(Rejection::TagsTooLong);
    }
    Ok(found)
}
