//! What is said about items while rows are imported.

use std::collections::{HashMap, HashSet};

use recant_types::{ItemDescription, ItemId};

/// Descriptions by id, and which of them have to be written.
#[derive(Debug, Default)]
pub(super) struct Descriptions {
    held: HashMap<ItemId, ItemDescription>,
    changed: HashSet<ItemId>,
}

impl Descriptions {
    /// Enters one that the store has.
    pub(super) fn hold(&mut self, description: ItemDescription) {
        // One of its own is newer than what was found in the record of a row.
        self.changed.remove(&description.id);
        self.held.insert(description.id.clone(), description);
    }

    /// Enters one that an earlier version kept in the record of a row, to be written by itself.
    pub(super) fn move_from_row(&mut self, description: ItemDescription) {
        if !self.held.contains_key(&description.id) {
            self.changed.insert(description.id.clone());
            self.held.insert(description.id.clone(), description);
        }
    }

    /// What is said about an item, to be changed.
    pub(super) fn of(&mut self, id: ItemId) -> &mut ItemDescription {
        self.changed.insert(id.clone());
        let new = id.clone();
        self.held
            .entry(id)
            .or_insert_with(|| ItemDescription::of(new))
    }

    /// Those to be written.
    pub(super) fn changed(&self) -> impl Iterator<Item = &ItemDescription> {
        self.changed.iter().filter_map(|id| self.held.get(id))
    }
}
