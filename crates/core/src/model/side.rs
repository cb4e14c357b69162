//! The two sides of a model, and what there is one of for each.

use std::ops::{Index, IndexMut};

/// Which side of the model a row of factors belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// User factors P.
    Users,
    /// Item factors Q.
    Items,
}

impl Side {
    /// The users, then the items.
    pub const BOTH: [Self; 2] = [Self::Users, Self::Items];

    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Users => Self::Items,
            Self::Items => Self::Users,
        }
    }
}

/// One value for each side, found by [`Side`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerSide<T> {
    /// That of the users.
    pub users: T,
    /// That of the items.
    pub items: T,
}

impl<T> Index<Side> for PerSide<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Users => &self.users,
            Side::Items => &self.items,
        }
    }
}

impl<T> IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Users => &mut self.users,
            Side::Items => &mut self.items,
        }
    }
}

/// Rows of both sides: those that a change of the data concerns, or those that an update moved.
pub type RowSets = PerSide<Vec<u32>>;

impl RowSets {
    /// Every row of so many users and items, for when it is not known what changed.
    pub fn all(user_rows: usize, item_rows: usize) -> Self {
        Self {
            users: (0..user_rows as u32).collect(),
            items: (0..item_rows as u32).collect(),
        }
    }

    /// The users and the items of some pairs, sorted, each once.
    pub fn from_pairs(pairs: &[(u32, u32)]) -> Self {
        let mut rows = Self {
            users: pairs.iter().map(|(user, _)| *user).collect(),
            items: pairs.iter().map(|(_, item)| *item).collect(),
        };
        rows.sort_and_dedup();
        rows
    }

    /// Whether neither side has a row.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.items.is_empty()
    }

    /// Sorts both lists and leaves each row once. O(n log n).
    pub fn sort_and_dedup(&mut self) {
        for rows in [&mut self.users, &mut self.items] {
            rows.sort_unstable();
            rows.dedup();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_finds_its_own_value_and_leaves_the_other() {
        let mut each = PerSide { users: 1, items: 2 };
        each[Side::Items] += 5;
        assert_eq!((each[Side::Users], each[Side::Items]), (1, 7));
    }

    #[test]
    fn the_rows_from_pairs_are_sorted_and_named_once() {
        let rows = RowSets::from_pairs(&[(4, 1), (2, 1), (4, 0)]);
        assert_eq!((rows.users, rows.items), (vec![2, 4], vec![0, 1]));
        assert!(RowSets::default().is_empty());
    }
}
