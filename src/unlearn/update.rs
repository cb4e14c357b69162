//! Stage 1: bringing the model after a change of its data back to stationary, nearest blocks first.
//!
//! AltEraser (Liu et al., "Forgetting Fast in Recommender Systems", 2022, arXiv 2208.06875) splits
//! the unlearning problem into small second-order ones over user and item blocks in turn. For this
//! model a block's Newton step is exact, so what is left to choose is the order: the blocks whose
//! data changed come first, then, step by step, those that the steps before disturbed the most.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::model::factors::{Side, initial_row};
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::optim::block::{BlockSolver, SharedHessian, Step};

/// Blocks solved between two looks at the clock and at the queue: enough for a few threads, few
/// enough that the order follows what happens.
const BLOCKS_AT_ONCE: usize = 32;

/// Rows whose interactions changed, each once or more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Rows of users.
    pub users: Vec<u32>,
    /// Rows of items.
    pub items: Vec<u32>,
}

impl Touched {
    /// Every row of `matrix`, for when it is not known what changed.
    pub fn everything(matrix: &InteractionMatrix) -> Self {
        Self {
            users: (0..matrix.user_rows() as u32).collect(),
            items: (0..matrix.item_rows() as u32).collect(),
        }
    }
}

/// How far an update goes.
#[derive(Debug, Clone, Copy)]
pub struct UpdateOptions {
    /// Ends the update, once the touched blocks are solved, whatever is left to do.
    pub budget: Duration,
    /// A block is left alone while its gradient is at most this, relative to the linear terms of
    /// the blocks solved so far.
    pub tolerance: f64,
    /// Seed of the initial factors of new items.
    pub seed: u64,
}

/// What an update did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateReport {
    /// User rows that changed, ascending.
    pub changed_users: Vec<u32>,
    /// Item rows that changed, ascending.
    pub changed_items: Vec<u32>,
    /// Block systems that were solved.
    pub blocks_solved: usize,
}

/// Updates `model` to a change of `matrix` in the `touched` rows, warm from the present factors.
///
/// Every touched block is solved at least once; rows without interactions become exactly zero,
/// and the counts in λ_u and λ_i are those of `matrix`. Then blocks are taken in batches of one
/// side, by how large their gradient can have become: a solved block adds to each neighbour the
/// norm of the change it causes there, `‖c (e′x′ − e x)‖` with `e = x·y − 1`, so nothing is
/// recomputed to find out. What the Gram matrices pass on to all other blocks is not followed
/// here: that is left to the sweeps of stage 2.
///
/// The model is consistent afterwards in any case. Where the budget ends an update, the result
/// depends on the speed of the machine. Cost: that of the blocks solved (see
/// [`BlockSolver::solve`]), `2d²` for each changed row, and `4d` for each neighbour of one;
/// whatever the number of users and items.
pub fn update(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    touched: &Touched,
    options: &UpdateOptions,
) -> UpdateReport {
    let mut update = Update::new(model, matrix);
    update.give_new_items_factors(&touched.items, options.seed);
    update.solve_all(Side::Users, &touched.users);
    update.solve_all(Side::Items, &touched.items);
    update.spread(options.tolerance, Instant::now() + options.budget);
    update.finish()
}

/// What is known about the blocks of one side while an update runs.
#[derive(Debug, Default)]
struct Blocks {
    /// Bounds on the norm of the half gradient that solved blocks left behind, by block.
    disturbance: HashMap<u32, f64>,
    changed: Vec<u32>,
    solved: usize,
    /// Sum of `‖b‖²` over the solved blocks.
    linear_squared: f64,
}

impl Blocks {
    /// The disturbance under which a block counts as solved.
    fn threshold(&self, tolerance: f64) -> f64 {
        tolerance * (self.linear_squared / self.solved.max(1) as f64).sqrt()
    }

    /// The blocks disturbed the most, beyond the threshold; ties in block order.
    fn worst(&self, tolerance: f64) -> Vec<(u32, f64)> {
        let threshold = self.threshold(tolerance);
        let mut worst: Vec<(u32, f64)> = self
            .disturbance
            .iter()
            .map(|(block, disturbance)| (*block, *disturbance))
            .filter(|(_, disturbance)| *disturbance > threshold)
            .collect();
        let order = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if worst.len() > BLOCKS_AT_ONCE {
            worst.select_nth_unstable_by(BLOCKS_AT_ONCE, order);
            worst.truncate(BLOCKS_AT_ONCE);
        }
        worst.sort_unstable_by(order);
        worst
    }
}

struct Update<'a> {
    model: &'a mut Ials,
    matrix: &'a InteractionMatrix,
    users: Blocks,
    items: Blocks,
}

impl<'a> Update<'a> {
    fn new(model: &'a mut Ials, matrix: &'a InteractionMatrix) -> Self {
        model.grow(matrix);
        Self {
            model,
            matrix,
            users: Blocks::default(),
            items: Blocks::default(),
        }
    }

    fn blocks(&mut self, side: Side) -> &mut Blocks {
        match side {
            Side::Users => &mut self.users,
            Side::Items => &mut self.items,
        }
    }

    /// A new item between new users would stay at the saddle where both are zero.
    fn give_new_items_factors(&mut self, items: &[u32], seed: u64) {
        let dim = self.model.hyper.dim;
        for item in items {
            let row = self.model.items.row(*item as usize);
            if row.iter().any(|value| *value != 0.0) || self.matrix.item(*item).is_empty() {
                continue;
            }
            let mut initial = vec![0.0; dim];
            initial_row(&mut initial, *item, seed, Side::Items);
            self.replace(Side::Items, *item, &initial);
        }
    }

    /// Solves every one of these blocks, once.
    fn solve_all(&mut self, side: Side, blocks: &[u32]) {
        let mut blocks = blocks.to_vec();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
            .chunks(BLOCKS_AT_ONCE)
            .for_each(|blocks| self.solve(side, blocks));
    }

    /// Follows the disturbance from block to block until it is small or time is up.
    fn spread(&mut self, tolerance: f64, deadline: Instant) {
        while Instant::now() < deadline {
            let users = self.users.worst(tolerance);
            let items = self.items.worst(tolerance);
            let total = |worst: &[(u32, f64)]| worst.iter().map(|(_, d)| d * d).sum::<f64>();
            let (side, worst) = if total(&users) > total(&items) {
                (Side::Users, users)
            } else {
                (Side::Items, items)
            };
            if worst.is_empty() {
                return;
            }
            let blocks: Vec<u32> = worst.into_iter().map(|(block, _)| block).collect();
            self.solve(side, &blocks);
        }
    }

    /// Solves blocks of one side; they do not depend on each other.
    fn solve(&mut self, side: Side, blocks: &[u32]) {
        let view = self.model.side(side, self.matrix);
        let dim = self.model.hyper.dim;
        let shared = SharedHessian::new(view.gramian, view.hyper.alpha0, dim);
        let solved: Vec<(Vec<f64>, Step)> = blocks
            .par_iter()
            .map_init(
                || BlockSolver::new(dim),
                |solver, block| {
                    let mut row = view.own.row(*block as usize).to_vec();
                    let step = solver.solve(&view, &shared, *block, &mut row);
                    (row, step)
                },
            )
            .collect();
        for (block, (row, step)) in blocks.iter().zip(solved) {
            let state = self.blocks(side);
            state.disturbance.remove(block);
            state.solved += 1;
            state.linear_squared += step.linear_squared;
            self.replace(side, *block, &row);
        }
    }

    /// Changes one row, and with it the Gram matrix and what is known about the neighbours.
    fn replace(&mut self, side: Side, block: u32, row: &[f64]) {
        let (own, gramian) = match side {
            Side::Users => (&mut self.model.users, &mut self.model.user_gramian),
            Side::Items => (&mut self.model.items, &mut self.model.item_gramian),
        };
        let old = own.row(block as usize).to_vec();
        if old == row {
            return;
        }
        own.row_mut(block as usize).copy_from_slice(row);
        gramian.replace_row(&old, row);
        self.blocks(side).changed.push(block);
        let (entries, opposite, neighbours) = match side {
            Side::Users => (self.matrix.user(block), &self.model.items, &mut self.items),
            Side::Items => (self.matrix.item(block), &self.model.users, &mut self.users),
        };
        let norms = (dot(&old, &old), dot(&old, row), dot(row, row));
        for entry in entries {
            let other = opposite.row(entry.index as usize);
            let (before, after) = (dot(&old, other) - 1.0, dot(row, other) - 1.0);
            let squared = before * before * norms.0 - 2.0 * before * after * norms.1
                + after * after * norms.2;
            let change = f64::from(entry.weight) * squared.max(0.0).sqrt();
            *neighbours.disturbance.entry(entry.index).or_insert(0.0) += change;
        }
    }

    fn finish(self) -> UpdateReport {
        let sorted = |mut rows: Vec<u32>| {
            rows.sort_unstable();
            rows.dedup();
            rows
        };
        UpdateReport {
            blocks_solved: self.users.solved + self.items.solved,
            changed_users: sorted(self.users.changed),
            changed_items: sorted(self.items.changed),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
