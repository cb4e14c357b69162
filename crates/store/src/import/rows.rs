//! Which id has which row while rows are imported.

use std::collections::HashMap;

use super::error::ImportSessionError;
use recant_types::InvalidId;

/// Row numbers by id, with the gaps that are free.
#[derive(Debug)]
pub(super) struct Rows<Id> {
    pub(super) rows: HashMap<Id, u32>,
    free: Vec<u32>,
    end: u32,
}

impl<Id> Default for Rows<Id> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            free: Vec::new(),
            end: 0,
        }
    }
}

impl<Id: std::hash::Hash + Eq + std::borrow::Borrow<str>> Rows<Id> {
    /// Enters a row that is held; rows come in ascending order.
    pub(super) fn hold(&mut self, row: u32, id: Id) {
        self.free.extend(self.end..row);
        self.end = row + 1;
        self.rows.insert(id, row);
    }

    /// The row of `id`, and whether it was given out now.
    pub(super) fn assign(
        &mut self,
        id: &str,
        new: impl FnOnce(&str) -> Result<Id, InvalidId>,
    ) -> Result<(u32, bool), ImportSessionError> {
        if let Some(row) = self.rows.get(id) {
            return Ok((*row, false));
        }
        let row = match self.free.pop() {
            Some(row) => row,
            None => {
                let row = self.end;
                self.end = row.checked_add(1).ok_or(ImportSessionError::TooManyRows)?;
                row
            }
        };
        self.rows.insert(new(id)?, row);
        Ok((row, true))
    }
}
