//! Items and what a file says about them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use recant_types::{DescriptionPatch, ItemDescription, ItemId, PropertyValue, TimeRule};

use super::columns::item;
use super::error::{ImportError, Rejection};
use super::options::ReadOptions;
use super::record::{Content, Record};
use super::record_reader::RecordReader;
use super::row::{id, text};

/// What stands between two tags of an item.
pub const TAG_SEPARATOR: char = '|';

/// What MovieLens writes for an item without genres.
const NO_GENRES: &str = "(no genres listed)";

/// One item as a file has it. It borrows the reader's buffer and lives until the next one.
#[derive(Clone, PartialEq)]
pub struct RawTitle<'a> {
    /// Which: a valid id.
    pub item: &'a str,
    /// What the file says about it, within bounds.
    pub said: DescriptionPatch,
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

/// Opens a file of items: `item_id,title[,tags][,properties][,timestamp][,hidden]` in any of the text
/// formats or Parquet, or MovieLens `u.item` or `movies.dat`.
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
    let title = match text(record, item::TITLE, "title")? {
        Some(title) if record.is_exact && !title.trim().is_empty() => Some(title),
        _ => filled(record, item::TITLE, "title")?,
    };
    let tags = filled(record, item::TAGS, "tags")?;
    let tags = tags.map(tags_of).transpose()?;
    let properties = filled(record, item::PROPERTIES, "properties")?;
    let properties = properties.map(properties_of).transpose()?;
    let timestamp = timestamp(record)?;
    let hidden = filled(record, item::HIDDEN, "hidden")?
        .map(truth)
        .transpose()?;
    let untagged = tags.as_ref().is_none_or(Vec::is_empty);
    let untold = properties.is_none() && timestamp.is_none() && hidden.is_none();
    if title.is_none() && untagged && untold {
        return Err(Rejection::MissingField("title"));
    }
    let said = DescriptionPatch {
        title: title.map(|title| Some(Arc::from(title))),
        tags,
        clears_properties: properties.is_some(),
        properties: properties.unwrap_or_default(),
        timestamp: timestamp.map(Some),
        hidden,
    };
    let mut alone = ItemDescription::of(ItemId::new(item).map_err(|reason| {
        let field = "item_id";
        Rejection::InvalidId { field, reason }
    })?);
    said.apply(&mut alone);
    alone.check().map_err(Rejection::Description)?;
    Ok(RawTitle { item, said })
}

/// The text of a field without blanks around it, when there is some.
fn filled<'a>(
    record: &'a Record,
    index: usize,
    field: &'static str,
) -> Result<Option<&'a str>, Rejection> {
    let text = text(record, index, field)?.map(str::trim);
    Ok(text.filter(|text| !text.is_empty()))
}

/// The tags in an array of JSON, or with bars between them.
fn tags_of(text: &str) -> Result<Vec<Arc<str>>, Rejection> {
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|_| Rejection::Malformed {
            field: "tags",
            wanted: "an array of texts, or texts with | between them",
        });
    }
    let tags = text.split(TAG_SEPARATOR).map(str::trim);
    let tags = tags.filter(|tag| !tag.is_empty() && *tag != NO_GENRES);
    Ok(tags.map(Arc::from).collect())
}

type Properties = BTreeMap<Arc<str>, Option<PropertyValue>>;

/// The properties in an object of JSON; a null is none.
fn properties_of(text: &str) -> Result<Properties, Rejection> {
    let read: Result<Properties, _> = serde_json::from_str(text);
    let mut properties = read.map_err(|_| Rejection::Malformed {
        field: "properties",
        wanted: "an object of JSON with texts, numbers and truths",
    })?;
    properties.retain(|_, value| value.is_some());
    Ok(properties)
}

fn timestamp(record: &Record) -> Result<Option<i64>, Rejection> {
    let times = TimeRule::of_catalogues();
    let said = match record.moment {
        Some(moment) => times.millis(moment).map(Some),
        None => match text(record, item::TIME, "timestamp")? {
            Some(text) => times.text(text),
            None => Ok(None),
        },
    };
    said.map_err(Rejection::Time)
}

fn truth(text: &str) -> Result<bool, Rejection> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Rejection::Malformed {
            field: "hidden",
            wanted: "true or false",
        }),
    }
}
