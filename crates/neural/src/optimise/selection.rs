//! Which parameters a solver may move.

use std::ops::Range;

use crate::objective::Objective;
use crate::parameters::{Block, Parameters};

/// A block, or some rows of it; what is not selected is frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The block.
    pub block: Block,
    /// Rows of the one side that the block is, sorted; all of them without.
    pub rows: Option<Vec<u32>>,
}

impl From<Block> for Selection {
    fn from(block: Block) -> Self {
        Self { block, rows: None }
    }
}

impl Selection {
    /// Some rows of users or of items.
    ///
    /// # Panics
    /// When the block is not one side.
    pub fn rows(block: Block, mut rows: Vec<u32>) -> Self {
        assert!(matches!(block, Block::Users | Block::Items), "one side");
        rows.sort_unstable();
        rows.dedup();
        Self {
            block,
            rows: Some(rows),
        }
    }

    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.rows.as_ref().is_some_and(Vec::is_empty)
    }

    /// Sets everything of the block that is not selected to zero.
    pub fn restrict(&self, vector: &mut Parameters) {
        let Some(rows) = &self.rows else {
            return;
        };
        let layout = *vector.layout();
        let width = match self.block {
            Block::Users => layout.user_width,
            _ => layout.item_width,
        };
        let values = vector.block_mut(self.block).chunks_exact_mut(width);
        let others = values
            .enumerate()
            .filter(|(row, _)| rows.binary_search(&(*row as u32)).is_err());
        others.for_each(|(_, row)| row.fill(0.0));
    }

    /// How many examples name each parameter of the block; at least one, so that it may be divided
    /// by. A natural scale: the curvature of a row grows with its examples.
    pub fn scales(&self, objective: &Objective<'_>, at: &Parameters) -> Vec<f32> {
        let range: Range<usize> = at.layout().range(self.block);
        let mut scales = vec![1.0; range.len()];
        objective.visit_weights(at, self.block, |place, weight| {
            scales[place.start - range.start..place.end - range.start].fill(weight.max(1.0));
        });
        scales
    }
}
