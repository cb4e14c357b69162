//! Which rows changed since the live version was made.

use std::collections::BTreeSet;

use recant_core::model::interactions::InteractionMatrix;

/// Rows that the next version must copy and, for items, the next commit must write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirtyRows {
    users: BTreeSet<u32>,
    items: BTreeSet<u32>,
}

impl DirtyRows {
    /// Every row of `matrix`.
    pub fn everything(matrix: &InteractionMatrix) -> Self {
        Self {
            users: (0..matrix.user_rows() as u32).collect(),
            items: (0..matrix.item_rows() as u32).collect(),
        }
    }

    /// Adds user rows.
    pub fn users<'a>(&mut self, rows: impl IntoIterator<Item = &'a u32>) {
        self.users.extend(rows);
    }

    /// Adds item rows.
    pub fn items<'a>(&mut self, rows: impl IntoIterator<Item = &'a u32>) {
        self.items.extend(rows);
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.users(&other.users);
        self.items(&other.items);
    }

    /// The user rows, ascending.
    pub fn user_rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.users.iter().copied()
    }

    /// The item rows, ascending.
    pub fn item_rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.items.iter().copied()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.items.is_empty()
    }
}
