//! Which rows changed since the live version was made.

use std::collections::BTreeSet;

use recant_core::model::{InteractionMatrix, RowSets};

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

    /// The rows as an update takes them.
    pub fn to_touched(&self) -> RowSets {
        RowSets {
            users: self.user_rows().collect(),
            items: self.item_rows().collect(),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.users.len() + self.items.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.items.is_empty()
    }
}

/// What the log did to the data since some moment, in rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows whose interactions changed.
    pub touched: DirtyRows,
    /// Rows that were without interactions at some time: what was learnt for them belongs to nobody
    /// any more.
    pub emptied: DirtyRows,
    /// Users of whom an erasure took something.
    pub lost: DirtyRows,
}

impl Changes {
    /// Adds what happened later.
    pub fn merge(&mut self, later: &Self) {
        self.touched.merge(&later.touched);
        self.emptied.merge(&later.emptied);
        self.lost.merge(&later.lost);
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.emptied.is_empty() && self.lost.is_empty()
    }
}
