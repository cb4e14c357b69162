//! The parameters of a neural model: one vector of f32, cut into user rows, item rows and shared
//! layers.

use std::ops::Range;

use recant_core::model::Side;

/// How many parameters there are, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows of users.
    pub users: usize,
    /// Rows of items.
    pub items: usize,
    /// Parameters of one user.
    pub user_width: usize,
    /// Parameters of one item.
    pub item_width: usize,
    /// Parameters that belong to nobody: weights and biases of layers.
    pub shared: usize,
}

/// A part of the parameters that is contiguous, and that a solver may move while the rest is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Everything.
    All,
    /// The rows of all users.
    Users,
    /// The rows of all items.
    Items,
    /// The shared layers.
    Shared,
}

impl From<Side> for Block {
    fn from(side: Side) -> Self {
        match side {
            Side::Users => Self::Users,
            Side::Items => Self::Items,
        }
    }
}

impl Block {
    /// Whether the block holds the rows of users.
    pub fn has_users(self) -> bool {
        matches!(self, Self::All | Self::Users)
    }

    /// Whether the block holds the rows of items.
    pub fn has_items(self) -> bool {
        matches!(self, Self::All | Self::Items)
    }

    /// Whether the block holds the shared layers.
    pub fn has_shared(self) -> bool {
        matches!(self, Self::All | Self::Shared)
    }
}

impl Layout {
    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.range(Block::All).end
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a block lies in the vector of all parameters.
    pub fn range(&self, block: Block) -> Range<usize> {
        let users = self.users * self.user_width;
        let items = users + self.items * self.item_width;
        match block {
            Block::All => 0..items + self.shared,
            Block::Users => 0..users,
            Block::Items => users..items,
            Block::Shared => items..items + self.shared,
        }
    }

    /// Where the row of a user lies.
    pub fn user(&self, row: usize) -> Range<usize> {
        row * self.user_width..(row + 1) * self.user_width
    }

    /// Where a row of a side lies.
    pub fn row(&self, side: Side, row: u32) -> Range<usize> {
        match side {
            Side::Users => self.user(row as usize),
            Side::Items => self.item(row as usize),
        }
    }

    /// Where the row of an item lies.
    pub fn item(&self, row: usize) -> Range<usize> {
        let start = self.users * self.user_width + row * self.item_width;
        start..start + self.item_width
    }
}

/// A vector of parameters, or anything of the same shape: a gradient, a direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    layout: Layout,
    values: Vec<f32>,
}

impl Parameters {
    /// All zero.
    pub fn zeros(layout: Layout) -> Self {
        Self {
            layout,
            values: vec![0.0; layout.len()],
        }
    }

    /// How they are laid out.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// All of them: users, items, shared.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All of them, to change.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Those of a block.
    pub fn block(&self, block: Block) -> &[f32] {
        &self.values[self.layout.range(block)]
    }

    /// Those of a block, to change.
    pub fn block_mut(&mut self, block: Block) -> &mut [f32] {
        &mut self.values[self.layout.range(block)]
    }

    /// Those of a user.
    pub fn user(&self, row: u32) -> &[f32] {
        &self.values[self.layout.user(row as usize)]
    }

    /// Those of a user, to change.
    pub fn user_mut(&mut self, row: u32) -> &mut [f32] {
        &mut self.values[self.layout.user(row as usize)]
    }

    /// Those of an item.
    pub fn item(&self, row: u32) -> &[f32] {
        &self.values[self.layout.item(row as usize)]
    }

    /// Those of an item, to change.
    pub fn item_mut(&mut self, row: u32) -> &mut [f32] {
        &mut self.values[self.layout.item(row as usize)]
    }

    /// Those of a row of a side.
    pub fn row(&self, side: Side, row: u32) -> &[f32] {
        &self.values[self.layout.row(side, row)]
    }

    /// Those of a row of a side, to change.
    pub fn row_mut(&mut self, side: Side, row: u32) -> &mut [f32] {
        &mut self.values[self.layout.row(side, row)]
    }

    /// Those that belong to nobody.
    pub fn shared(&self) -> &[f32] {
        self.block(Block::Shared)
    }

    /// Users, items and shared, each to change.
    pub fn parts_mut(&mut self) -> (&mut [f32], &mut [f32], &mut [f32]) {
        let items = self.layout.range(Block::Items);
        let (rows, shared) = self.values.split_at_mut(items.end);
        let (users, items) = rows.split_at_mut(items.start);
        (users, items, shared)
    }

    /// Whether every value is a finite number.
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// The same parameters with room for more rows, the new ones zero. O(parameters).
    pub fn grown(&self, users: usize, items: usize) -> Self {
        let mut grown = Self::zeros(Layout {
            users: users.max(self.layout.users),
            items: items.max(self.layout.items),
            ..self.layout
        });
        let (new_users, new_items, new_shared) = grown.parts_mut();
        new_users[..self.block(Block::Users).len()].copy_from_slice(self.block(Block::Users));
        new_items[..self.block(Block::Items).len()].copy_from_slice(self.block(Block::Items));
        new_shared.copy_from_slice(self.shared());
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_rows_lie_where_they_are_said_to_and_growing_keeps_them() {
        let layout = Layout {
            users: 2,
            items: 3,
            user_width: 4,
            item_width: 5,
            shared: 6,
        };
        let mut parameters = Parameters::zeros(layout);
        let values = parameters.values_mut().iter_mut().enumerate();
        values.for_each(|(at, value)| *value = at as f32);
        assert_eq!(parameters.user(1), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(parameters.item(2)[0], 18.0);
        assert_eq!(parameters.shared()[0], 23.0);
        assert_eq!(layout.len(), 29);
        let grown = parameters.grown(5, 3);
        assert_eq!(grown.user(1), parameters.user(1));
        assert_eq!(grown.item(2), parameters.item(2));
        assert_eq!(grown.shared(), parameters.shared());
        assert_eq!(grown.user(4), [0.0; 4]);
    }
}
