//! Items and what a catalogue says about them.
//!
//! A description lies by the hash of the item's id, beside the rows of items. Earlier versions kept
//! titles and tags in the record of the row: they are moved when that record changes.

use super::Stage;
use crate::codec;
use crate::error::StoreError;
use crate::keys;
use crate::records::ItemRecord;
use recant_types::{ItemDescription, ItemId};

impl Stage<'_> {
    pub(super) fn put_item(&mut self, row: u32, item: &ItemRecord) -> Result<(), StoreError> {
        self.move_description(row)?;
        self.index.set_item(row, self.hasher.item(&item.id));
        if item.description().is_some() {
            self.index.describing_rows.insert(row);
        }
        self.put(keys::item(row), &codec::to_json(item));
        Ok(())
    }

    pub(super) fn remove_item(&mut self, row: u32) -> Result<(), StoreError> {
        self.move_description(row)?;
        self.index.remove_item(row);
        self.remove(keys::item(row));
        Ok(())
    }

    pub(super) fn describe(&mut self, description: &ItemDescription) -> Result<(), StoreError> {
        let key = keys::description(self.hasher.item(&description.id));
        self.put(key, &codec::to_json(description));
        Ok(())
    }

    pub(super) fn remove_description(&mut self, id: &ItemId) -> Result<(), StoreError> {
        let hash = self.hasher.item(id);
        let row = self.index.item(hash);
        if let Some(row) = row.filter(|row| self.index.describing_rows.remove(row)) {
            let bare = ItemRecord::new(id.clone());
            self.put(keys::item(row), &codec::to_json(&bare));
        }
        self.remove(keys::description(hash));
        Ok(())
    }

    /// Gives the description that an earlier version kept in the record of a row a record of its
    /// own, unless the item has one already. The record of the row is about to be replaced.
    fn move_description(&mut self, row: u32) -> Result<(), StoreError> {
        if !self.index.describing_rows.remove(&row) {
            return Ok(());
        }
        let Some(payload) = self.get(&keys::item(row))? else {
            return Ok(());
        };
        let record: ItemRecord = codec::from_json(&payload)?;
        if let Some(description) = record.description() {
            let key = keys::description(self.hasher.item(&record.id));
            if self.value(&key)?.is_none() {
                self.describe(&description)?;
            }
        }
        Ok(())
    }
}
