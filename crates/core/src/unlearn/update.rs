//! The local update: bringing the model after a change of its data back to stationary, nearest blocks first.
//!
//! AltEraser (Liu et al., "Forgetting Fast in Recommender Systems", 2022, arXiv 2208.06875) splits
//! the unlearning problem into small second-order ones over user and item blocks in turn. For this
//! model a block's Newton step is exact, so what is left to choose is which blocks, and in which
//! order: first those whose data changed; then their neighbours and they again, side by side in
//! turn, by what a step on each would bring.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::model::factors::initial_row;
use crate::model::ials::{Ials, SideView};
use crate::model::interactions::{Entry, InteractionMatrix};
use crate::model::side::RowSets;
use crate::model::side::Side;
use crate::optim::als::CholeskyCache;
use crate::optim::{BlockSolver, PackedFactor, SharedHessian};
use crate::simd::dot_f64;
use crate::unlearn::neighbourhood::Neighbourhood;

/// Blocks solved between two readings of the clock and of the queue: enough for a few threads, few
/// enough that the order follows what happens.
const BLOCKS_AT_ONCE: usize = 64;

/// Share of a side's disturbance, `Σ‖g‖²/h`, that may be left when it is its turn again.
const SHRINKS_TO: f64 = 0.5;

/// A neighbour's row is not moved by more than this share of its norm with a cached factor.
const FAR_SHARE: f64 = 0.1;

/// Steps of one parallel task: each takes a few microseconds.
const BLOCKS_PER_TASK: usize = 8;

/// How far an update goes.
#[derive(Debug, Clone, Copy)]
pub struct UpdateOptions {
    /// Ends the update, once the touched blocks are solved, whatever is left to do.
    pub budget: Duration,
    /// A block is left alone while a step on it would lower the objective by at most the square of
    /// this, relative to the typical weight of the touched pairs times their number a block.
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
/// and the counts in λ_u and λ_i are those of `matrix`. Each change adds to the gradients of the
/// block's neighbours, which were zero as far as the model was converged: exactly for the pair
/// itself, so that no gradient is computed anew. Then the neighbours and the touched blocks are
/// solved by turns, the ones with the largest squared Newton decrements first, bounded by
/// `‖g‖²/h` for half the gradient g and a typical curvature h; with the Cholesky factors in `cache`
/// where there are any. What the Gram matrices pass on to all other blocks, and what neighbours
/// pass on to theirs, is left to the sweeps of the refinement.
///
/// The model is consistent afterwards in any case. Where the budget ends an update, the result
/// depends on the speed of the machine. Cost: that of the touched blocks (see
/// [`BlockSolver::solve`]), `d²` for each step with a cached factor, `4d` for each pair of a changed
/// block within the neighbourhood; whatever the number of users and items.
pub fn update(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    cache: &mut CholeskyCache,
    touched: &RowSets,
    options: &UpdateOptions,
) -> UpdateReport {
    model.grow(matrix);
    let deadline = Instant::now() + options.budget;
    let mut update = Update {
        users: Neighbourhood::new(model.users.rows(), model.hyper.dim),
        items: Neighbourhood::new(model.items.rows(), model.hyper.dim),
        is_fresh: cache.is_fresh(&model.item_gramian),
        model,
        matrix,
        cache,
        solved: 0,
        touched: TouchedPairs::default(),
    };
    update.give_new_items_factors(&touched.items, options.seed);
    update.solve_touched(Side::Users, &touched.users);
    update.solve_touched(Side::Items, &touched.items);
    update.spread(options.tolerance, deadline);
    update.finish()
}

/// What the change of a block's row from y to y′ adds to half the gradient of a neighbour x:
/// `now·y′ − before·y`, with `((c + α₀) x·y′ − c t)` and the same for y. That is exact for the pair;
/// what the change of the Gram matrix adds besides is left out.
struct GradientChange {
    slot: usize,
    now: f64,
    before: f64,
}

impl GradientChange {
    /// On every neighbour of `block` that is followed. Cost: `2d` multiply-adds each.
    fn collect(
        view: &SideView<'_>,
        block: u32,
        old: &[f64],
        new: &[f64],
        neighbours: &Neighbourhood,
    ) -> Vec<Self> {
        let alpha0 = view.hyper.alpha0;
        let change = |entry: &Entry| {
            let slot = neighbours.slot(entry.index)?;
            let other = view.opposite.row(entry.index as usize);
            let weight = f64::from(entry.weight);
            let drawn_to = weight * f64::from(entry.target);
            Some(Self {
                slot,
                now: (weight + alpha0) * dot_f64(other, new) - drawn_to,
                before: (weight + alpha0) * dot_f64(other, old) - drawn_to,
            })
        };
        view.entries(block).iter().filter_map(change).collect()
    }
}

/// Whether a step leads further than a neighbour's change should: the matrix it was made with lacks
/// curvature that the block has by now. The refinement has the right one.
fn is_far(old: &[f64], new: &[f64]) -> bool {
    let moved: f64 = old.iter().zip(new).map(|(a, b)| (a - b) * (a - b)).sum();
    moved > FAR_SHARE * FAR_SHARE * dot_f64(old, old)
}

/// The mean eigenvalue of a block's matrix, with the rows of its own pairs taken to be as long as all
/// the others: `λ + (α₀ + Σc/n) tr(G)/d`. Cost: one addition a pair.
fn typical_curvature(view: &SideView<'_>, trace: f64, block: u32) -> f64 {
    let dim = view.hyper.dim;
    let entries = view.entries(block).iter();
    let weights: f64 = entries.map(|entry| f64::from(entry.weight)).sum();
    let rows = view.opposite_active().max(1) as f64;
    let mean =
        view.regularisation(block) + (view.hyper.alpha0 + weights / rows) * trace / dim as f64;
    mean.max(f64::MIN_POSITIVE)
}

/// Solves one block for which no factor is cached.
fn solve_alone(view: &SideView<'_>, block: u32, row: &mut [f64]) {
    let dim = view.hyper.dim;
    let shared = SharedHessian::new(view.gramian, view.hyper.alpha0, dim);
    BlockSolver::new(dim).solve(view, &shared, block, row);
}

struct Update<'a> {
    model: &'a mut Ials,
    matrix: &'a InteractionMatrix,
    cache: &'a mut CholeskyCache,
    /// Whether the cached factors are those of about this model.
    is_fresh: bool,
    users: Neighbourhood,
    items: Neighbourhood,
    solved: usize,
    touched: TouchedPairs,
}

/// The pairs of the touched blocks: what counts as small is measured against these.
#[derive(Debug, Default)]
struct TouchedPairs {
    blocks: usize,
    pairs: usize,
    log_weights: f64,
}

impl TouchedPairs {
    fn add(&mut self, entries: &[Entry]) {
        self.blocks += 1;
        self.pairs += entries.len();
        let logs = entries.iter().map(|entry| f64::from(entry.weight).ln());
        self.log_weights += logs.sum::<f64>();
    }

    /// What a block is worth: the typical weight times the pairs of a block. The typical weight is the
    /// geometric mean, so that one huge weight does not make everything beside it small. 0 where
    /// nothing is left of what was touched: then every neighbour counts.
    fn worth(&self) -> f64 {
        if self.pairs == 0 {
            return 0.0;
        }
        let pairs = self.pairs as f64;
        pairs / self.blocks as f64 * (self.log_weights / pairs).exp()
    }
}

impl Update<'_> {
    fn side(&mut self, side: Side) -> &mut Neighbourhood {
        match side {
            Side::Users => &mut self.users,
            Side::Items => &mut self.items,
        }
    }

    /// A new item between new users would stay at the saddle where both are zero.
    fn give_new_items_factors(&mut self, items: &[u32], seed: u64) {
        let dim = self.model.hyper.dim;
        let mut given = Vec::new();
        for item in items {
            let row = self.model.items.row(*item as usize);
            if row.iter().any(|value| *value != 0.0) || self.matrix.item(*item).is_empty() {
                continue;
            }
            let mut initial = vec![0.0; dim];
            initial_row(&mut initial, *item, seed, Side::Items);
            given.push((*item, initial));
        }
        self.replace(Side::Items, given);
        self.refresh_gramian(Side::Items);
    }

    /// Solves every one of these blocks, once, and begins to follow their neighbours.
    fn solve_touched(&mut self, side: Side, blocks: &[u32]) {
        let mut blocks = blocks.to_vec();
        blocks.sort_unstable();
        blocks.dedup();
        for chunk in blocks.chunks(BLOCKS_AT_ONCE) {
            let solved = self.solve(side, chunk);
            let view = self.model.side(side, self.matrix);
            for block in chunk {
                self.touched.add(view.entries(*block));
            }
            self.solved += chunk.len();
            let rows = chunk.iter().copied().zip(solved);
            self.replace(side, rows.collect());
        }
        for block in blocks {
            let view = self.model.side(side, self.matrix);
            let curvature = typical_curvature(&view, view.gramian.trace(), block);
            let dirty = self.side(side).track(block, || curvature);
            self.side(side).clear_gradient(dirty);
        }
        self.refresh_gramian(side);
    }

    /// Solutions of blocks of one side, which do not depend on each other, as they are now: with the
    /// factors that are cached, or where their data changed too much for that, with new ones.
    fn solve(&mut self, side: Side, blocks: &[u32]) -> Vec<Vec<f64>> {
        let mut places: Vec<Option<PackedFactor>> = blocks
            .iter()
            .map(|block| self.cache.place(side, *block).map(std::mem::take))
            .collect();
        let view = self.model.side(side, self.matrix);
        let dim = self.model.hyper.dim;
        let shared = SharedHessian::new(view.gramian, view.hyper.alpha0, dim);
        let is_fresh = self.is_fresh;
        let solved = blocks
            .par_iter()
            .zip(&mut places)
            .map_init(
                || BlockSolver::new(dim),
                |solver, (block, place)| {
                    let mut row = view.own.row(*block as usize).to_vec();
                    let entries = view.entries(*block).len();
                    let usable = |factor: &&PackedFactor| is_fresh && factor.is_fresh(entries);
                    let cached = place.as_ref().filter(usable);
                    if cached.is_some_and(|f| solver.solve_with(&view, f, *block, &mut row)) {
                        return row;
                    }
                    let keep = place.as_mut().filter(|factor| !factor.is_empty());
                    solver.solve_and_cache(&view, &shared, *block, &mut row, keep);
                    row
                },
            )
            .collect();
        for (block, factor) in blocks.iter().zip(places) {
            if let (Some(place), Some(factor)) = (self.cache.place(side, *block), factor) {
                *place = factor;
            }
        }
        solved
    }

    /// Follows the disturbance through the neighbourhood until it is small or time is up, or until a
    /// pass over a side no longer halves it: then the cached factors are too far from what they
    /// should be, and a step with them could as well lead away.
    fn spread(&mut self, tolerance: f64, deadline: Instant) {
        let threshold = tolerance * tolerance * self.touched.worth();
        let (mut before_users, mut before_items) = (f64::INFINITY, f64::INFINITY);
        loop {
            let (users, items) = (self.users.disturbance(), self.items.disturbance());
            let (side, now, before) = if users > items {
                (Side::Users, users, &mut before_users)
            } else {
                (Side::Items, items, &mut before_items)
            };
            let queue = self.side(side).queue(threshold);
            let shrinks = now <= SHRINKS_TO * *before;
            if queue.is_empty() || !shrinks {
                return;
            }
            *before = now;
            if self.some_form(side, &queue) {
                // A block that forms its matrix takes the other side's Gram matrix into it.
                self.refresh_gramian(side.opposite());
            }
            for slots in queue.chunks(BLOCKS_AT_ONCE) {
                if Instant::now() >= deadline {
                    return;
                }
                self.step(side, slots);
            }
        }
    }

    /// Whether some of these blocks have no matrix to step with.
    fn some_form(&self, side: Side, slots: &[usize]) -> bool {
        let neighbourhood = match side {
            Side::Users => &self.users,
            Side::Items => &self.items,
        };
        let forms = |slot: &usize| self.factor(side, neighbourhood.block(*slot)).is_none();
        slots.iter().any(forms)
    }

    /// The matrix to step with for a block, where there is one.
    fn factor(&self, side: Side, block: u32) -> Option<&PackedFactor> {
        let entries = match side {
            Side::Users => self.matrix.user(block),
            Side::Items => self.matrix.item(block),
        };
        (self.cache.factor(side, block, entries.len())).filter(|_| self.is_fresh)
    }

    /// One step on each of these blocks of the neighbourhood, and what that does to the others in
    /// it.
    fn step(&mut self, side: Side, slots: &[usize]) {
        let view = self.model.side(side, self.matrix);
        let (own, opposite) = match side {
            Side::Users => (&self.users, &self.items),
            Side::Items => (&self.items, &self.users),
        };
        let steps: Vec<(Vec<f64>, Vec<GradientChange>)> = slots
            .par_iter()
            .with_min_len(BLOCKS_PER_TASK)
            .map(|slot| {
                let block = own.block(*slot);
                let old = view.own.row(block as usize);
                let mut row = old.to_vec();
                match self.factor(side, block) {
                    Some(factor) => {
                        factor.step(own.gradient(*slot), &mut row);
                        if is_far(old, &row) {
                            row.copy_from_slice(old);
                        }
                    }
                    None => solve_alone(&view, block, &mut row),
                }
                let changes = GradientChange::collect(&view, block, old, &row, opposite);
                (row, changes)
            })
            .collect();
        self.solved += slots.len();
        let (own, opposite, factors) = match side {
            Side::Users => (&mut self.users, &mut self.items, &mut self.model.users),
            Side::Items => (&mut self.items, &mut self.users, &mut self.model.items),
        };
        for (slot, (row, changes)) in slots.iter().zip(steps) {
            let block = own.block(*slot);
            let old = factors.row_mut(block as usize);
            own.clear_gradient(*slot);
            own.changed(block, old);
            changes.iter().for_each(|change| {
                opposite.add_to_gradient(change.slot, change.now, &row, -change.before, old)
            });
            old.copy_from_slice(&row);
        }
    }

    /// Changes rows, and begins to follow every neighbour of theirs.
    fn replace(&mut self, side: Side, rows: Vec<(u32, Vec<f64>)>) {
        let trace = self
            .model
            .side(side.opposite(), self.matrix)
            .gramian
            .trace();
        for (block, row) in rows {
            let view = self.model.side(side, self.matrix);
            let neighbours = self.model.side(side.opposite(), self.matrix);
            let (own, opposite) = match side {
                Side::Users => (&mut self.users, &mut self.items),
                Side::Items => (&mut self.items, &mut self.users),
            };
            let old = view.own.row(block as usize).to_vec();
            if old == row {
                continue;
            }
            for entry in view.entries(block) {
                opposite.track(entry.index, || {
                    typical_curvature(&neighbours, trace, entry.index)
                });
            }
            for change in GradientChange::collect(&view, block, &old, &row, opposite) {
                opposite.add_to_gradient(change.slot, change.now, &row, -change.before, &old);
            }
            own.changed(block, &old);
            match side {
                Side::Users => self.model.users.row_mut(block as usize),
                Side::Items => self.model.items.row_mut(block as usize),
            }
            .copy_from_slice(&row);
        }
    }

    /// Brings the side's Gram matrix up to what its rows are now.
    fn refresh_gramian(&mut self, side: Side) {
        let (own, gramian, neighbourhood) = match side {
            Side::Users => (
                &self.model.users,
                &mut self.model.user_gramian,
                &mut self.users,
            ),
            Side::Items => (
                &self.model.items,
                &mut self.model.item_gramian,
                &mut self.items,
            ),
        };
        let (old, new) = neighbourhood.take_changes(own);
        gramian.replace_rows(&old, &new);
    }

    fn finish(mut self) -> UpdateReport {
        self.refresh_gramian(Side::Users);
        self.refresh_gramian(Side::Items);
        UpdateReport {
            changed_users: self.users.all_changed(),
            changed_items: self.items.all_changed(),
            blocks_solved: self.solved,
        }
    }
}
