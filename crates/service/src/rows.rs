//! Dense row numbers for ids, and back.

use std::hash::Hash;

/// Which id has which row, in both directions.
///
/// Both are persistent containers: a snapshot takes a copy in constant time, and what happens to
/// the [`RowTable`] later does not reach it.
#[derive(Debug, Clone)]
pub struct RowDirectory<Id: Clone + Eq + Hash> {
    rows: imbl::HashMap<Id, u32>,
    ids: imbl::Vector<Option<Id>>,
}

impl<Id: Clone + Eq + Hash> Default for RowDirectory<Id> {
    fn default() -> Self {
        Self {
            rows: imbl::HashMap::new(),
            ids: imbl::Vector::new(),
        }
    }
}

impl<Id: Clone + Eq + Hash> RowDirectory<Id> {
    /// The row of `id`, if it has one.
    pub fn row(&self, id: &Id) -> Option<u32> {
        self.rows.get(id).copied()
    }

    /// The id at `row`, if the row is taken.
    pub fn id(&self, row: u32) -> Option<&Id> {
        self.ids.get(row as usize).and_then(Option::as_ref)
    }

    /// Every id held, by row.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        self.ids.iter().flatten()
    }

    /// Number of ids held.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no id is held.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every row is below this.
    pub fn capacity(&self) -> usize {
        self.ids.len()
    }

    fn set(&mut self, row: u32, id: Id) {
        while self.ids.len() <= row as usize {
            self.ids.push_back(None);
        }
        self.ids.set(row as usize, Some(id.clone()));
        self.rows.insert(id, row);
    }

    pub(crate) fn clear(&mut self, row: u32) -> bool {
        let Some(id) = self.id(row).cloned() else {
            return false;
        };
        self.rows.remove(&id);
        self.ids.set(row as usize, None);
        true
    }
}

/// Gives ids their rows, and takes them back when the id is gone.
///
/// A released row is not handed out again before [`RowTable::recycle`] is called, so that no
/// newcomer starts from the factors of the one before.
#[derive(Debug, Clone)]
pub struct RowTable<Id: Clone + Eq + Hash> {
    directory: RowDirectory<Id>,
    free: Vec<u32>,
    released: Vec<u32>,
}

impl<Id: Clone + Eq + Hash> Default for RowTable<Id> {
    fn default() -> Self {
        Self {
            directory: RowDirectory::default(),
            free: Vec::new(),
            released: Vec::new(),
        }
    }
}

impl<Id: Clone + Eq + Hash> RowTable<Id> {
    /// The table that holds exactly these rows; the gaps between them are free.
    pub fn from_rows(entries: impl IntoIterator<Item = (u32, Id)>) -> Self {
        let mut directory = RowDirectory::default();
        for (row, id) in entries {
            directory.set(row, id);
        }
        let gaps = directory
            .ids
            .iter()
            .enumerate()
            .filter(|(_, id)| id.is_none());
        let free = gaps.map(|(row, _)| row as u32).rev().collect();
        Self {
            directory,
            free,
            released: Vec::new(),
        }
    }

    /// The rows as they are now; cheap to clone and to keep.
    pub fn directory(&self) -> &RowDirectory<Id> {
        &self.directory
    }

    /// The row of `id`, given out now if it has none.
    pub fn assign(&mut self, id: &Id) -> u32 {
        if let Some(row) = self.directory.row(id) {
            return row;
        }
        let row = self.free.pop().unwrap_or(self.directory.capacity() as u32);
        self.directory.set(row, id.clone());
        row
    }

    /// Forgets the id at `row`. The row stays out of use until [`RowTable::recycle`].
    pub fn release(&mut self, row: u32) {
        if self.directory.clear(row) {
            self.released.push(row);
        }
    }

    /// Makes released rows available again; to be called once their factors are zero.
    pub fn recycle(&mut self) {
        self.free.append(&mut self.released);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_released_row_waits_for_recycling() {
        let mut table = RowTable::default();
        let first = table.assign(&"a");
        table.release(first);
        assert_ne!(table.assign(&"b"), first);
        table.recycle();
        assert_eq!(table.assign(&"c"), first);
        assert_eq!(table.directory().row(&"a"), None);
    }

    #[test]
    fn gaps_are_found_again_after_loading() {
        let mut table = RowTable::from_rows([(3, "d"), (0, "a")]);
        assert_eq!(table.directory().capacity(), 4);
        let mut given = [table.assign(&"x"), table.assign(&"y"), table.assign(&"z")];
        given.sort_unstable();
        assert_eq!(given, [1, 2, 4]);
    }

    proptest! {
        /// Rows and ids stay inverse to one another whatever is done.
        #[test]
        fn both_directions_agree(steps in prop::collection::vec((0u8..3, 0u8..20), 0..200)) {
            let mut table = RowTable::default();
            for (step, id) in steps {
                match step {
                    0 => { table.assign(&id); }
                    1 => if let Some(row) = table.directory().row(&id) { table.release(row) },
                    _ => table.recycle(),
                }
                let held: Vec<_> = (0..table.directory().capacity() as u32)
                    .filter_map(|row| table.directory().id(row).map(|id| (*id, row)))
                    .collect();
                prop_assert_eq!(held.len(), table.directory().len());
                for (id, row) in held {
                    prop_assert_eq!(table.directory().row(&id), Some(row));
                }
            }
        }
    }
}
