//! Half a sweep: every block of one side, in parallel, with or without forming its matrix anew.

use rayon::prelude::*;

use crate::control::ShouldStop;
use crate::model::factors::Factors;
use crate::model::gramian::Gramian;
use crate::model::ials::{Ials, SideView};
use crate::model::interactions::InteractionMatrix;
use crate::model::side::Side;
use crate::optim::block::{BlockSolver, PackedFactor, SharedHessian, Step};

/// Blocks of one parallel task.
const BLOCKS_PER_TASK: usize = 16;

/// Where a block's step takes its matrix from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matrices {
    /// Formed and factorised anew; cached for later where there is room. The step is exact.
    Formed,
    /// The cached Cholesky factor, where it is fresh.
    Cached,
    /// Formed anew, and the step refined until nothing but rounding in f64 is left of it.
    Refined,
}

/// Cholesky factors of block matrices, cached from one sweep to the next.
///
/// Near a minimum the matrices hardly change from sweep to sweep, while forming and factorising
/// them is most of a sweep's work: `|S|d²/2` multiply-adds a side against the `3|S|d` of the
/// gradient. A step with a cached factor has the same fixed point, where the gradient is zero.
///
/// Belongs to one model and its coordinates: whoever turns the factors' columns calls
/// [`CholeskyCache::clear`]. A clone shares every factor until one of the two is formed anew.
#[derive(Debug, Clone)]
pub struct CholeskyCache {
    users: Vec<PackedFactor>,
    items: Vec<PackedFactor>,
    bytes_max: usize,
    /// Blocks of fewer interactions are not worth their memory.
    entries_min: usize,
    /// The items' Gram matrix when the matrices of all blocks were last formed.
    formed_at: Option<Gramian>,
}

/// Cached factors are too old once the items' Gram matrix has moved by this share since.
const MOVED_SHARE: f64 = 0.02;

impl CholeskyCache {
    /// Nothing cached yet, and never more than `bytes_max` bytes: the blocks with the most
    /// interactions, whose matrices are the dearest, come first.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            users: Vec::new(),
            items: Vec::new(),
            bytes_max,
            entries_min: 0,
            formed_at: None,
        }
    }

    /// Drops every factor, as after the columns of the model were turned.
    pub fn clear(&mut self) {
        self.users.clear();
        self.items.clear();
        self.formed_at = None;
    }

    /// Whether the matrices as a whole are still near those of a model with this Gram matrix of
    /// its items. Cost: d².
    pub fn is_fresh(&self, item_gramian: &Gramian) -> bool {
        self.formed_at.as_ref().is_some_and(|formed| {
            let difference = item_gramian.matrix() - formed.matrix();
            difference.norm_l2() <= MOVED_SHARE * formed.matrix().norm_l2()
        })
    }

    /// All matrices are about to be formed, at this Gram matrix of the items.
    pub(super) fn form_at(&mut self, item_gramian: &Gramian) {
        self.formed_at = Some(item_gramian.clone());
    }

    /// The place of a block's factor, to form a new one in; `None` where there is none.
    pub fn place(&mut self, side: Side, block: u32) -> Option<&mut PackedFactor> {
        let factors = match side {
            Side::Users => &mut self.users,
            Side::Items => &mut self.items,
        };
        factors.get_mut(block as usize)
    }

    /// The factor of a block with `entries` interactions, where one is cached and fresh.
    pub fn factor(&self, side: Side, block: u32, entries: usize) -> Option<&PackedFactor> {
        let factors = match side {
            Side::Users => &self.users,
            Side::Items => &self.items,
        };
        let factor = factors.get(block as usize)?;
        factor.is_fresh(entries).then_some(factor)
    }

    /// Makes place for the blocks of `matrix` and decides which of them are worth keeping.
    fn prepare(&mut self, matrix: &InteractionMatrix, dim: usize) {
        self.users
            .resize_with(matrix.user_rows(), PackedFactor::default);
        self.items
            .resize_with(matrix.item_rows(), PackedFactor::default);
        let users = (0..matrix.user_rows()).map(|row| matrix.user(row as u32).len());
        let items = (0..matrix.item_rows()).map(|row| matrix.item(row as u32).len());
        let room = self.bytes_max / PackedFactor::bytes(dim).max(1);
        self.entries_min = least_cached(users.chain(items), room);
        for (row, factor) in self.users.iter_mut().enumerate() {
            if matrix.user(row as u32).len() < self.entries_min {
                factor.clear();
            }
        }
        for (row, factor) in self.items.iter_mut().enumerate() {
            if matrix.item(row as u32).len() < self.entries_min {
                factor.clear();
            }
        }
    }
}

/// The length from which on factors are cached, so that there are at most `room` of them.
fn least_cached(lengths: impl Iterator<Item = usize>, room: usize) -> usize {
    let mut longest: Vec<usize> = lengths.filter(|length| *length > 0).collect();
    if longest.len() <= room {
        return 1;
    }
    longest.select_nth_unstable_by(room, |a, b| b.cmp(a));
    // The first one that finds no room, and all as short as it, are left out.
    longest[room] + 1
}

/// Solves every user's block for the present item factors until nothing but rounding in f64 is left:
/// the users of a model of which only the items are stored. Cost: that of half a [`sweep`] and some
/// `12|S|·d` multiply-adds in f64.
pub fn solve_users_to_rounding(model: &mut Ials, matrix: &InteractionMatrix) {
    let mut nothing = CholeskyCache::new(0);
    let exact = Matrices::Refined;
    half_sweep_with(model, matrix, Side::Users, &mut nothing, exact, &|| false);
}

/// Solves every block of one side. When `should_stop` turns true some blocks are left as they
/// were; the model is consistent in any case. Cost: `|S|·d²/2 + rows·d³/6` multiply-adds in f32.
fn half_sweep(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    side: Side,
    should_stop: ShouldStop<'_>,
) -> Step {
    let mut nothing = CholeskyCache::new(0);
    half_sweep_with(
        model,
        matrix,
        side,
        &mut nothing,
        Matrices::Formed,
        should_stop,
    )
}

/// [`half_sweep`] with cached factors; with [`Matrices::Cached`] the cost falls to
/// `3|S|·d` multiply-adds in f64 and `rows·d²` in f32 where they are fresh.
pub(super) fn half_sweep_with(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    side: Side,
    cache: &mut CholeskyCache,
    matrices: Matrices,
    should_stop: ShouldStop<'_>,
) -> Step {
    model.grow(matrix);
    cache.prepare(matrix, model.hyper.dim);
    let mut own = match side {
        Side::Users => std::mem::replace(&mut model.users, Factors::zeros(0, model.hyper.dim)),
        Side::Items => std::mem::replace(&mut model.items, Factors::zeros(0, model.hyper.dim)),
    };
    let entries_min = cache.entries_min;
    let factors = match side {
        Side::Users => &mut cache.users,
        Side::Items => &mut cache.items,
    };
    let blocks = Blocks {
        view: &model.side(side, matrix),
        shared: SharedHessian::new(
            model.side(side, matrix).gramian,
            model.hyper.alpha0,
            model.hyper.dim,
        ),
        matrices,
        entries_min,
        should_stop,
    };
    let sums = blocks.solve(&mut own, factors);
    let gramian = Gramian::from_factors(&own);
    match side {
        Side::Users => (model.users, model.user_gramian) = (own, gramian),
        Side::Items => (model.items, model.item_gramian) = (own, gramian),
    }
    sums
}

/// One sweep: users, then items. Returns what the users' half saw before its step.
pub fn sweep(model: &mut Ials, matrix: &InteractionMatrix, should_stop: ShouldStop<'_>) -> Step {
    let users = half_sweep(model, matrix, Side::Users, should_stop);
    half_sweep(model, matrix, Side::Items, should_stop);
    users
}

/// Fills `cache` with the factors of all block matrices at this model, as far as there is room: what
/// local updates and later sweeps step with. Cost: that of a [`sweep`]. Nothing stays cached when
/// `should_stop` turned true first.
pub fn cache_factors(
    model: &Ials,
    matrix: &InteractionMatrix,
    cache: &mut CholeskyCache,
    should_stop: ShouldStop<'_>,
) {
    let mut moved = model.clone();
    cache.form_at(&model.item_gramian);
    for side in [Side::Users, Side::Items] {
        let formed = Matrices::Formed;
        half_sweep_with(&mut moved, matrix, side, cache, formed, should_stop);
    }
    if should_stop() {
        cache.clear();
    }
}

/// The blocks of one side and how to step them.
struct Blocks<'a> {
    view: &'a SideView<'a>,
    shared: SharedHessian,
    matrices: Matrices,
    entries_min: usize,
    should_stop: ShouldStop<'a>,
}

impl Blocks<'_> {
    fn solve(&self, own: &mut Factors, factors: &mut [PackedFactor]) -> Step {
        let d = self.view.hyper.dim;
        let steps: Vec<Step> = own
            .as_mut_slice()
            .par_chunks_mut(BLOCKS_PER_TASK * d)
            .zip(factors.par_chunks_mut(BLOCKS_PER_TASK))
            .enumerate()
            .map_init(
                || BlockSolver::new(d),
                |solver, (task, (rows, factors))| {
                    let first = (task * BLOCKS_PER_TASK) as u32;
                    let mut sum = Step::default();
                    for (block, (x, factor)) in (first..).zip(rows.chunks_exact_mut(d).zip(factors))
                    {
                        // One block of a popular item can take a millisecond.
                        if (self.should_stop)() {
                            break;
                        }
                        sum = sum.plus(self.step(solver, block, x, factor));
                    }
                    sum
                },
            )
            .collect();
        steps.into_iter().fold(Step::default(), Step::plus)
    }

    fn step(
        &self,
        solver: &mut BlockSolver,
        block: u32,
        x: &mut [f64],
        factor: &mut PackedFactor,
    ) -> Step {
        let entries = self.view.entries(block).len();
        if self.matrices == Matrices::Refined {
            solver.solve_to_rounding(self.view, &self.shared, block, x);
            return Step::default();
        }
        if self.matrices == Matrices::Cached
            && factor.is_fresh(entries)
            && let Some(step) = solver.step_with(self.view, factor, block, x)
        {
            return step;
        }
        let keep = (entries >= self.entries_min).then_some(factor);
        solver.solve_and_cache(self.view, &self.shared, block, x, keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_histories_find_room_first() {
        let lengths = || [5, 0, 3, 9, 3, 1].into_iter();
        assert_eq!(least_cached(lengths(), 10), 1);
        assert_eq!(least_cached(lengths(), 5), 1);
        assert_eq!(least_cached(lengths(), 4), 2);
        // Both of length 3 or none.
        assert_eq!(least_cached(lengths(), 3), 4);
        assert_eq!(least_cached(lengths(), 0), 10);
    }
}
