//! Categories as tags. Tags are sorted; the order that a client gave is kept beside them.

use std::sync::Arc;

use super::chunks::{self, Properties, TooLong};
use recant_types::ItemDescription;

/// Under which name the order is kept.
const CATEGORIES: &str = "categories";

/// Names that the order of categories is kept under.
pub(super) fn names() -> impl Iterator<Item = Arc<str>> {
    chunks::names(CATEGORIES)
}

/// The categories as tags.
pub(super) fn tags(categories: &[String]) -> Vec<Arc<str>> {
    categories
        .iter()
        .map(|name| Arc::from(name.as_str()))
        .collect()
}

/// Keeps the order of `categories` in `properties`, unless it is that of tags.
pub(super) fn keep_order(
    categories: &[String],
    properties: &mut Properties,
) -> Result<(), TooLong> {
    if categories.is_sorted_by(|one, other| one < other) {
        return Ok(());
    }
    let order = serde_json::to_string(categories).expect("texts");
    chunks::put(CATEGORIES, &order, properties)
}

/// The categories of an item: its tags, in the order that was kept unless they changed since.
pub(super) fn of_item(item: &ItemDescription) -> Vec<String> {
    let kept = chunks::get(CATEGORIES, &item.properties);
    let kept = kept.and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok());
    let is_current = |kept: &Vec<String>| {
        let mut sorted: Vec<&str> = kept.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.into_iter().eq(item.tags.iter().map(AsRef::as_ref))
    };
    let tags = || item.tags.iter().map(|tag| tag.to_string()).collect();
    kept.filter(is_current).unwrap_or_else(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_types::ItemId;

    #[test]
    fn the_order_of_categories_is_kept_until_they_change() {
        let mut item = ItemDescription::of(ItemId::new("dune").expect("an id"));
        let given = ["Comedy", "Animation", "Comedy"].map(String::from);
        item.set_tags(tags(&given));
        keep_order(&given, &mut item.properties).expect("short");
        assert_eq!(of_item(&item), given);
        item.set_tags(tags(&given[..1]));
        assert_eq!(of_item(&item), ["Comedy"], "said by another call");
        let sorted = ["A", "B"].map(String::from);
        let mut properties = Properties::new();
        keep_order(&sorted, &mut properties).expect("short");
        assert!(properties.is_empty());
    }
}
