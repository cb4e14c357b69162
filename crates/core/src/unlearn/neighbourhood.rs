//! What an update knows about the blocks of one side: gradients that it caused, rows it changed.

use std::collections::{BTreeSet, HashMap};

use crate::model::factors::Factors;
use crate::simd::{add_scaled_f64, dot_f64};

/// The blocks of one side that an update follows, each at a slot of its own.
///
/// A block is followed from the first change of a neighbour on. Its half gradient is the sum of
/// what those changes did to it, and zero after it was solved.
#[derive(Debug)]
pub(super) struct Neighbourhood {
    dim: usize,
    /// One more than the slot of each row, 0 for rows that are not followed. The system hands out
    /// zeros page by page, so what is never asked for costs nothing.
    slots: Vec<u32>,
    blocks: Vec<u32>,
    /// A typical curvature h of each block, by slot: `‖g‖²/h` is about what a step would bring.
    curvatures: Vec<f64>,
    /// Half gradients, slot after slot.
    gradients: Vec<f64>,
    /// Rows as they were when the Gram matrix was last brought up to date.
    before: HashMap<u32, Vec<f64>>,
    /// Every row that ever changed.
    changed: BTreeSet<u32>,
}

impl Neighbourhood {
    /// Nothing is followed yet, of a side of `rows` rows.
    pub(super) fn new(rows: usize, dim: usize) -> Self {
        Self {
            dim,
            slots: vec![0; rows],
            blocks: Vec::new(),
            curvatures: Vec::new(),
            gradients: Vec::new(),
            before: HashMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// The slot of a block that is followed.
    pub(super) fn slot(&self, block: u32) -> Option<usize> {
        (self.slots[block as usize] as usize).checked_sub(1)
    }

    /// The slot of a block, which is followed from now on; `curvature` is asked for where it was not
    /// before.
    pub(super) fn track(&mut self, block: u32, curvature: impl FnOnce() -> f64) -> usize {
        if let Some(slot) = self.slot(block) {
            return slot;
        }
        self.blocks.push(block);
        self.curvatures.push(curvature());
        let followed = self.blocks.len();
        self.slots[block as usize] = followed as u32;
        self.gradients.resize(followed * self.dim, 0.0);
        followed - 1
    }

    pub(super) fn block(&self, slot: usize) -> u32 {
        self.blocks[slot]
    }

    pub(super) fn gradient(&self, slot: usize) -> &[f64] {
        &self.gradients[slot * self.dim..(slot + 1) * self.dim]
    }

    /// Adds `a·x + b·y` to the half gradient at `slot`.
    pub(super) fn add_to_gradient(&mut self, slot: usize, a: f64, x: &[f64], b: f64, y: &[f64]) {
        let gradient = &mut self.gradients[slot * self.dim..(slot + 1) * self.dim];
        add_scaled_f64(gradient, a, x);
        add_scaled_f64(gradient, b, y);
    }

    /// The block at `slot` was solved.
    pub(super) fn clear_gradient(&mut self, slot: usize) {
        self.gradients[slot * self.dim..(slot + 1) * self.dim].fill(0.0);
    }

    /// `‖g‖²/h`: about what a step on the block at `slot` would lower the objective by.
    fn gain(&self, slot: usize) -> f64 {
        let gradient = self.gradient(slot);
        dot_f64(gradient, gradient) / self.curvatures[slot]
    }

    /// The sum of that over all slots.
    pub(super) fn disturbance(&self) -> f64 {
        (0..self.blocks.len()).map(|slot| self.gain(slot)).sum()
    }

    /// Slots whose gain is above `threshold`, the largest first; ties in block order.
    pub(super) fn queue(&self, threshold: f64) -> Vec<usize> {
        let mut queue: Vec<(f64, usize)> = (0..self.blocks.len())
            .map(|slot| (self.gain(slot), slot))
            .filter(|(gain, _)| *gain > threshold)
            .collect();
        queue.sort_unstable_by(|a, b| {
            (b.0.total_cmp(&a.0)).then(self.blocks[a.1].cmp(&self.blocks[b.1]))
        });
        queue.into_iter().map(|(_, slot)| slot).collect()
    }

    /// A row is about to change from `old`.
    pub(super) fn changed(&mut self, block: u32, old: &[f64]) {
        self.changed.insert(block);
        self.before.entry(block).or_insert_with(|| old.to_vec());
    }

    /// The rows that changed since the last call, as they were then and as they are now, one after
    /// another, by row.
    pub(super) fn take_changes(&mut self, own: &Factors) -> (Vec<f64>, Vec<f64>) {
        let mut before: Vec<(u32, Vec<f64>)> = self.before.drain().collect();
        before.sort_unstable_by_key(|(block, _)| *block);
        let new = before
            .iter()
            .flat_map(|(block, _)| own.row(*block as usize).iter().copied())
            .collect();
        let old = before.into_iter().flat_map(|(_, row)| row).collect();
        (old, new)
    }

    /// Every row that changed, ascending.
    pub(super) fn all_changed(&self) -> Vec<u32> {
        self.changed.iter().copied().collect()
    }
}
