//! Which items may be in a list, and by what is said about them, whether one may that is in no set of rows.

use std::collections::HashSet;

use crate::expression::Expression;
use recant_types::{ItemDescription, ItemId};

/// Which items may be in a list: those that everything here leaves.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// None of these; unknown ones are ignored.
    pub exclude: Vec<ItemId>,
    /// Only these; all may without it.
    pub allow: Option<Vec<ItemId>>,
    /// Only items with at least one of these tags; all may when it is empty.
    pub tags: Vec<String>,
    /// Only items with each of these tags.
    pub tags_all: Vec<String>,
    /// No item with one of these tags.
    pub tags_none: Vec<String>,
    /// Only items of which this is true.
    pub filter: Option<Expression>,
}

impl Selection {
    /// Whether finding what is left takes no look at what is said about items.
    pub(crate) fn is_open(&self) -> bool {
        let tags = [&self.tags, &self.tags_all, &self.tags_none];
        self.filter.is_none() && self.allow.is_none() && tags.iter().all(|tags| tags.is_empty())
    }
}

/// Which items may be in a list, by what is said about them.
pub(crate) struct Selected<'a> {
    selection: &'a Selection,
    excluded: HashSet<ItemId>,
    allowed: Option<HashSet<&'a ItemId>>,
}

impl<'a> Selected<'a> {
    /// What `selection` leaves, without those that were `seen`.
    pub(crate) fn new(selection: &'a Selection, seen: impl IntoIterator<Item = ItemId>) -> Self {
        let excluded = selection.exclude.iter().cloned();
        Self {
            selection,
            excluded: excluded.chain(seen).collect(),
            allowed: selection.allow.as_ref().map(|allow| allow.iter().collect()),
        }
    }

    /// Whether the item of which this is said may be in the list.
    pub(crate) fn admits(&self, said: &ItemDescription) -> bool {
        let filter = &self.selection.filter;
        self.admits_unfiltered(said) && filter.as_ref().is_none_or(|filter| filter.matches(said))
    }

    /// The same, whatever the filter says of it.
    pub(crate) fn admits_unfiltered(&self, said: &ItemDescription) -> bool {
        let has = |tag: &String| said.has_tag(tag);
        let Selection {
            tags,
            tags_all,
            tags_none,
            ..
        } = self.selection;
        !said.hidden
            && !self.excluded.contains(&said.id)
            && (self.allowed.as_ref()).is_none_or(|allowed| allowed.contains(&said.id))
            && (tags.is_empty() || tags.iter().any(has))
            && tags_all.iter().all(has)
            && !tags_none.iter().any(has)
    }
}
