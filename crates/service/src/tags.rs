//! The tags of items, and the items of tags.

use std::collections::HashMap;
use std::sync::Arc;

use recant_core::topk::RowSet;

/// Which items have which tags.
///
/// Read from the store at start and shared by all versions from then on: tags come with an import,
/// and a service holds its store alone.
#[derive(Debug, Clone, Default)]
pub struct Tags(Arc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    by_item: HashMap<u32, Vec<Arc<str>>>,
    by_tag: HashMap<Arc<str>, RowSet>,
}

impl Tags {
    /// The tags of these item rows.
    pub fn new(items: impl IntoIterator<Item = (u32, Vec<Arc<str>>)>) -> Self {
        let tagged = items.into_iter().filter(|(_, tags)| !tags.is_empty());
        let by_item: HashMap<u32, Vec<Arc<str>>> = tagged.collect();
        let mut rows: HashMap<Arc<str>, Vec<u32>> = HashMap::new();
        for (row, tags) in &by_item {
            for tag in tags {
                rows.entry(Arc::clone(tag)).or_default().push(*row);
            }
        }
        let by_tag = rows.into_iter().map(|(tag, rows)| (tag, RowSet::new(rows)));
        Self(Arc::new(Tables {
            by_tag: by_tag.collect(),
            by_item,
        }))
    }

    /// The tags of an item, sorted.
    pub fn of(&self, row: u32) -> &[Arc<str>] {
        self.0.by_item.get(&row).map_or(&[], Vec::as_slice)
    }

    /// The items with a tag; `None` when no item has it.
    pub fn rows(&self, tag: &str) -> Option<&RowSet> {
        self.0.by_tag.get(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_by_their_tags() {
        let tags = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        let held = Tags::new([
            (7, tags(&["crime", "noir"])),
            (3, tags(&["noir"])),
            (1, tags(&[])),
        ]);
        assert_eq!(held.rows("noir").map(RowSet::rows), Some(&[3, 7][..]));
        assert_eq!(held.rows("crime").map(RowSet::rows), Some(&[7][..]));
        assert!(held.rows("western").is_none());
        assert_eq!(held.of(7).len(), 2);
        assert!(held.of(1).is_empty() && held.of(99).is_empty());
    }
}
