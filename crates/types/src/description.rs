//! What a catalogue says about an item, and what it may say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::ItemId;
use crate::properties::{
    InvalidProperties, NUMBER_BYTES_MAX, PropertyValue, check_properties, escaped,
    properties_bytes_at_most,
};

/// Longest title, in bytes of UTF-8. It fits the longest of the catalogues measured four times over
/// and keeps a stray document out of every answer that shows the item.
const TITLE_BYTES_MAX: usize = 1_024;

/// Most tags of an item.
const TAGS_MAX: usize = 100;

/// Longest tag, in bytes of UTF-8.
const TAG_BYTES_MAX: usize = 128;

/// Longest description as it is stored, in bytes of JSON: a record of the store has to hold it.
const DESCRIPTION_BYTES_MAX: usize = 30_000;

/// Most items one request may describe.
pub const DESCRIPTIONS_MAX: usize = 10_000;

/// What a catalogue says about one item. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemDescription {
    /// Which item.
    pub id: ItemId,
    /// Its title.
    #[serde(default)]
    pub title: Option<Arc<str>>,
    /// Its tags, sorted, each once.
    #[serde(default)]
    pub tags: Vec<Arc<str>>,
    /// Its properties by name.
    #[serde(default)]
    pub properties: BTreeMap<Arc<str>, PropertyValue>,
    /// When it appeared, in the unit of the source ([`crate::UnixMillis::from_timestamp`]).
    #[serde(default)]
    pub timestamp: Option<i64>,
    /// Whether it is left out of every list.
    #[serde(default)]
    pub hidden: bool,
}

/// Why a description is not taken. What it says is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// The title is too long.
    #[error("title: at most {TITLE_BYTES_MAX} bytes")]
    TitleTooLong,
    /// There are too many tags.
    #[error("tags: at most {TAGS_MAX}")]
    TooManyTags,
    /// A tag is no tag.
    #[error("tags: each has 1 to {TAG_BYTES_MAX} bytes and no control characters")]
    BadTag,
    /// A property is out of bounds.
    #[error(transparent)]
    Properties(#[from] InvalidProperties),
    /// All together is too long.
    #[error("all that is said of an item has at most {DESCRIPTION_BYTES_MAX} bytes of JSON")]
    TooLong,
}

impl ItemDescription {
    /// Nothing is said of `id` yet.
    pub fn of(id: ItemId) -> Self {
        Self {
            id,
            title: None,
            tags: Vec::new(),
            properties: BTreeMap::new(),
            timestamp: None,
            hidden: false,
        }
    }

    /// Takes these tags, sorted and each once, in place of those there were.
    pub fn set_tags(&mut self, tags: impl IntoIterator<Item = Arc<str>>) {
        self.tags = tags.into_iter().collect();
        self.tags.sort_unstable();
        self.tags.dedup();
    }

    /// Whether this is one of its tags.
    pub fn has_tag(&self, tag: &str) -> bool {
        let place = self.tags.binary_search_by(|held| (**held).cmp(tag));
        place.is_ok()
    }

    /// Whether every part is within its bounds, and all together.
    pub fn check(&self) -> Result<(), InvalidDescription> {
        use InvalidDescription as Invalid;
        if self
            .title
            .as_ref()
            .is_some_and(|t| t.len() > TITLE_BYTES_MAX)
        {
            return Err(Invalid::TitleTooLong);
        }
        if self.tags.len() > TAGS_MAX {
            return Err(Invalid::TooManyTags);
        }
        if !self.tags.iter().all(|tag| is_tag(tag)) {
            return Err(Invalid::BadTag);
        }
        check_properties(&self.properties)?;
        if self.json_bytes_at_most() > DESCRIPTION_BYTES_MAX {
            return Err(Invalid::TooLong);
        }
        Ok(())
    }

    /// No fewer bytes than its JSON has, and not many more.
    fn json_bytes_at_most(&self) -> usize {
        const FIELDS: usize = 100;
        const BETWEEN: usize = 8;
        let tags = self.tags.iter().map(|tag| escaped(tag) + BETWEEN);
        FIELDS
            + NUMBER_BYTES_MAX
            + escaped(self.id.expose())
            + self.title.as_deref().map_or(0, escaped)
            + tags.sum::<usize>()
            + properties_bytes_at_most(&self.properties)
    }
}

/// Whether a text can be a tag.
fn is_tag(text: &str) -> bool {
    (1..=TAG_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl fmt::Debug for ItemDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemDescription(redacted)")
    }
}

/// What is to be changed in a description: what is `None` stays as it is.
#[derive(Clone, Default, PartialEq)]
pub struct DescriptionPatch {
    /// The title, or that there is none.
    pub title: Option<Option<Arc<str>>>,
    /// All tags.
    pub tags: Option<Vec<Arc<str>>>,
    /// Of these properties the values, or that there is none; the others stay.
    pub properties: BTreeMap<Arc<str>, Option<PropertyValue>>,
    /// No property stays but those in `properties`.
    pub clears_properties: bool,
    /// The time, or that there is none.
    pub timestamp: Option<Option<i64>>,
    /// Whether it is hidden.
    pub hidden: Option<bool>,
}

impl DescriptionPatch {
    /// Makes the changes.
    pub fn apply(&self, to: &mut ItemDescription) {
        if let Some(title) = &self.title {
            to.title.clone_from(title);
        }
        if let Some(tags) = &self.tags {
            to.set_tags(tags.iter().cloned());
        }
        if self.clears_properties {
            to.properties.clear();
        }
        for (name, value) in &self.properties {
            match value {
                Some(value) => to.properties.insert(Arc::clone(name), value.clone()),
                None => to.properties.remove(name),
            };
        }
        if let Some(timestamp) = self.timestamp {
            to.timestamp = timestamp;
        }
        if let Some(hidden) = self.hidden {
            to.hidden = hidden;
        }
    }
}

impl fmt::Debug for DescriptionPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DescriptionPatch(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> ItemDescription {
        ItemDescription::of(ItemId::new("x").expect("an id"))
    }

    #[test]
    fn bounds_are_held_and_the_text_never_shown() {
        let text = |length: usize| Arc::<str>::from("n".repeat(length));
        let mut good = item();
        good.title = Some(text(TITLE_BYTES_MAX));
        good.set_tags((1..=TAGS_MAX).map(text));
        good.properties
            .insert("a_1".into(), PropertyValue::Text(text(1_024)));
        assert_eq!(good.check(), Ok(()));
        let wrong = |change: &dyn Fn(&mut ItemDescription)| {
            let mut wrong = item();
            change(&mut wrong);
            wrong.check().expect_err("out of bounds")
        };
        use InvalidDescription as I;
        use InvalidProperties as P;
        let number = PropertyValue::Number;
        assert_eq!(wrong(&|i| i.title = Some(text(1_025))), I::TitleTooLong);
        assert_eq!(wrong(&|i| i.set_tags((1..=101).map(text))), I::TooManyTags);
        assert_eq!(wrong(&|i| i.set_tags([text(129)])), I::BadTag);
        assert_eq!(wrong(&|i| i.set_tags(["".into()])), I::BadTag);
        assert_eq!(wrong(&|i| i.set_tags(["a\nb".into()])), I::BadTag);
        for name in ["", "1a", "a-b", "é", &"a".repeat(65)] {
            let named = |i: &mut ItemDescription| {
                i.properties.insert(name.into(), number(1.0));
            };
            assert_eq!(wrong(&named), I::Properties(P::BadName), "{name}");
        }
        let many = |i: &mut ItemDescription| {
            let names = (0..101).map(|n| (Arc::from(format!("p{n}")), number(1.0)));
            i.properties = names.collect();
        };
        assert_eq!(wrong(&many), I::Properties(P::TooMany));
        // The properties by themselves, and with the rest.
        let long = |properties: usize, tags: usize| {
            move |i: &mut ItemDescription| {
                let value = || PropertyValue::Text(text(900));
                let named = (0..properties).map(|n| (Arc::from(format!("p{n}")), value()));
                i.properties = named.collect();
                i.set_tags((0..tags).map(|n| Arc::from(format!("{n:0>100}"))));
            }
        };
        assert_eq!(wrong(&long(40, 0)), I::Properties(P::TooLong));
        let long = long(30, 100);
        assert_eq!(wrong(&long), I::TooLong);
        let infinite = |i: &mut ItemDescription| {
            i.properties.insert("p".into(), number(f64::NAN));
        };
        assert_eq!(wrong(&infinite), I::Properties(P::NumberNotFinite));
        assert!(!format!("{good:?}").contains('n'.to_string().repeat(3).as_str()));
    }

    #[test]
    fn a_description_reads_back_and_whole_numbers_stay_whole() {
        let text = r#"{"id":"x","title":"T","tags":["a","b"],"properties":{"f":0.5,"n":12,"t":true,"w":"v"},"timestamp":7,"hidden":true}"#;
        let read: ItemDescription = serde_json::from_str(text).expect("a description");
        assert_eq!(serde_json::to_string(&read).expect("text"), text);
        let bare: ItemDescription = serde_json::from_str(r#"{"id":"x"}"#).expect("defaults");
        assert_eq!(bare, item());
        let length = serde_json::to_string(&read).expect("text").len();
        assert!(read.json_bytes_at_most() >= length);
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let mut held = item();
        held.title = Some("T".into());
        held.set_tags(["b".into(), "a".into(), "b".into()]);
        held.properties
            .insert("p".into(), PropertyValue::Truth(true));
        held.properties
            .insert("q".into(), PropertyValue::Number(1.0));
        let before = held.clone();
        DescriptionPatch::default().apply(&mut held);
        assert_eq!(held, before);
        let patch = DescriptionPatch {
            title: Some(None),
            properties: [
                ("p".into(), None),
                ("r".into(), Some(PropertyValue::Number(2.0))),
            ]
            .into(),
            hidden: Some(true),
            ..DescriptionPatch::default()
        };
        patch.apply(&mut held);
        assert!(held.title.is_none() && held.hidden && held.tags == before.tags);
        let names: Vec<&str> = held.properties.keys().map(AsRef::as_ref).collect();
        assert_eq!(names, ["q", "r"]);
        let patch = DescriptionPatch {
            clears_properties: true,
            ..DescriptionPatch::default()
        };
        patch.apply(&mut held);
        assert!(held.properties.is_empty());
    }
}
