//! Implicit alternating least squares: the objective, its gradient, and how far it is from zero.

use pulp::Arch;
use rayon::prelude::*;

use crate::control::ShouldStop;
use crate::model::factors::Factors;
use crate::model::gramian::Gramian;
use crate::model::interactions::{Entry, InteractionMatrix};
use crate::model::side::Side;
use crate::simd::{add_scaled_f64, dot_f64, vectorised};
use recant_types::IalsHyperparameters;

/// Blocks measured by one parallel task. Fixed, so that sums do not depend on the thread count.
const CHUNK_BLOCKS: usize = 64;

/// The factors of both sides with their Gram matrices.
///
/// Invariant: each Gram matrix belongs to the factors beside it, up to rounding of row updates.
#[derive(Debug, Clone)]
pub struct Ials {
    /// What is minimised.
    pub hyper: IalsHyperparameters,
    /// P, users × d.
    pub users: Factors,
    /// Q, items × d.
    pub items: Factors,
    /// The Gram matrix PᵀP of the users, d × d.
    pub user_gramian: Gramian,
    /// The Gram matrix QᵀQ of the items, d × d.
    pub item_gramian: Gramian,
}

/// Half the gradient of the objective, block by block.
#[derive(Debug, Clone)]
pub struct HalfGradient {
    /// ½ ∂L/∂p_u, users × d.
    pub users: Factors,
    /// ½ ∂L/∂q_i, items × d.
    pub items: Factors,
}

/// The objective and how far its gradient is from zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// L(P,Q).
    pub objective: f64,
    /// `√(Σ gᵀD⁻¹g / 2|S|c̄)` over all blocks of both sides: g half the block's gradient, D the
    /// diagonal of its matrix H, c̄ the typical weight. `gᵀD⁻¹g` stands for the squared Newton
    /// decrement `gᵀH⁻¹g`, what a step on the block would bring, so that every block counts by what
    /// is wrong with it: one row of huge weights does not drown what is left in the others, as it
    /// would in `‖g‖/‖b‖` over all rows. 0 for a model without interactions.
    pub residual: f64,
}

/// What one side's blocks add to a measurement.
#[derive(Debug, Clone, Copy, Default)]
struct SideSums {
    decrement: f64,
    data: f64,
    regularisation: f64,
}

impl SideSums {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self {
            decrement: self.decrement + other.decrement,
            data: self.data + other.data,
            regularisation: self.regularisation + other.regularisation,
        }
    }
}

impl Ials {
    /// A model of these factors.
    pub fn from_factors(hyper: IalsHyperparameters, users: Factors, items: Factors) -> Self {
        let (user_gramian, item_gramian) =
            (Gramian::from_factors(&users), Gramian::from_factors(&items));
        Self {
            hyper,
            users,
            items,
            user_gramian,
            item_gramian,
        }
    }

    /// A model of zeros.
    pub fn zeros(hyper: IalsHyperparameters, users: usize, items: usize) -> Self {
        let factors = |rows| Factors::zeros(rows, hyper.dim);
        Self::from_factors(hyper, factors(users), factors(items))
    }

    /// A model with zero user factors, to be solved for.
    pub fn from_item_factors(hyper: IalsHyperparameters, users: usize, items: Factors) -> Self {
        Self::from_factors(hyper, Factors::zeros(users, hyper.dim), items)
    }

    /// Adds zero rows until the model covers `matrix`.
    pub fn grow(&mut self, matrix: &InteractionMatrix) {
        self.users.grow(matrix.user_rows());
        self.items.grow(matrix.item_rows());
    }

    /// Sets rows without interactions to zero, which is their exact solution.
    pub fn clear_inactive(&mut self, matrix: &InteractionMatrix) {
        for user in (0..self.users.rows()).filter(|u| matrix.user(*u as u32).is_empty()) {
            self.users.row_mut(user).fill(0.0);
        }
        for item in (0..self.items.rows()).filter(|i| matrix.item(*i as u32).is_empty()) {
            self.items.row_mut(item).fill(0.0);
        }
        self.rebuild_gramians();
    }

    /// Builds both Gram matrices from all rows.
    pub fn rebuild_gramians(&mut self) {
        self.user_gramian = Gramian::from_factors(&self.users);
        self.item_gramian = Gramian::from_factors(&self.items);
    }

    /// One side of the model as the blocks of that side see it.
    pub fn side<'a>(&'a self, side: Side, matrix: &'a InteractionMatrix) -> SideView<'a> {
        let (own, opposite, gramian) = match side {
            Side::Users => (&self.users, &self.items, &self.item_gramian),
            Side::Items => (&self.items, &self.users, &self.user_gramian),
        };
        SideView {
            side,
            hyper: &self.hyper,
            matrix,
            own,
            opposite,
            gramian,
        }
    }

    /// The objective and the relative residual over all blocks. Cost: `4|S|·d + (users+items)·d²`
    /// multiply-adds in f64. The same for any number of threads.
    pub fn measure(&self, matrix: &InteractionMatrix) -> Measurement {
        self.measurement(matrix, &|| false)
    }

    /// [`Ials::measure`], or `None` when `should_stop`, asked between groups of blocks, turned
    /// true first.
    pub fn measure_unless(
        &self,
        matrix: &InteractionMatrix,
        should_stop: ShouldStop<'_>,
    ) -> Option<Measurement> {
        let measurement = self.measurement(matrix, should_stop);
        (!should_stop()).then_some(measurement)
    }

    fn measurement(&self, matrix: &InteractionMatrix, should_stop: ShouldStop<'_>) -> Measurement {
        let users = self.side(Side::Users, matrix).sums(should_stop);
        let items = self.side(Side::Items, matrix).sums(should_stop);
        let both = users.plus(items);
        // ‖PQᵀ‖² = ⟨PᵀP, QᵀQ⟩; the data term is summed once, on the users' side.
        let dense = inner(&self.user_gramian, &self.item_gramian);
        let objective = users.data + self.hyper.alpha0 * dense + both.regularisation;
        let scale = 2.0 * matrix.interactions() as f64 * matrix.typical_weight();
        let residual = if matrix.interactions() > 0 {
            (both.decrement / scale).sqrt()
        } else {
            0.0
        };
        Measurement {
            objective,
            residual,
        }
    }

    /// Half the gradient of every block. Cost as [`Ials::measure`].
    pub fn half_gradient(&self, matrix: &InteractionMatrix) -> HalfGradient {
        HalfGradient {
            users: self.side(Side::Users, matrix).half_gradients(),
            items: self.side(Side::Items, matrix).half_gradients(),
        }
    }
}

/// `⟨A, B⟩`, the sum over all entries of their products.
pub(crate) fn inner(a: &Gramian, b: &Gramian) -> f64 {
    let (a, b) = (a.matrix(), b.matrix());
    (0..a.ncols())
        .map(|k| a.col(k).transpose() * b.col(k))
        .sum()
}

/// The blocks of one side, with everything their systems are made of.
#[derive(Debug, Clone, Copy)]
pub struct SideView<'a> {
    /// The side whose blocks these are.
    pub side: Side,
    /// What is minimised.
    pub hyper: &'a IalsHyperparameters,
    /// The interactions of both sides.
    pub matrix: &'a InteractionMatrix,
    /// The factors of this side.
    pub own: &'a Factors,
    /// The factors of the other side.
    pub opposite: &'a Factors,
    /// The Gram matrix of the other side.
    pub gramian: &'a Gramian,
}

impl<'a> SideView<'a> {
    /// The interactions of a block.
    pub fn entries(&self, block: u32) -> &'a [Entry] {
        match self.side {
            Side::Users => self.matrix.user(block),
            Side::Items => self.matrix.item(block),
        }
    }

    /// Number of active rows on the other side.
    pub fn opposite_active(&self) -> usize {
        match self.side {
            Side::Users => self.matrix.active_items(),
            Side::Items => self.matrix.active_users(),
        }
    }

    /// λ of a block.
    pub fn regularisation(&self, block: u32) -> f64 {
        self.hyper
            .regularisation(self.entries(block).len(), self.opposite_active())
    }

    /// Writes `H x − b` of the block at `x` into `into`: half the gradient, from residuals:
    /// `Σ c (x·q − t) q + α₀ G x + λ x`. Returns `Σ c (x·q − t)²`. d values each.
    /// Cost: `2|S_u|·d + d²` multiply-adds in f64.
    #[inline(always)]
    pub fn half_gradient_at(&self, block: u32, x: &[f64], into: &mut [f64]) -> f64 {
        let lambda = self.regularisation(block);
        for (sum, value) in into.iter_mut().zip(x) {
            *sum = lambda * value;
        }
        self.gramian.add_product(into, x, self.hyper.alpha0);
        let mut data = 0.0;
        for entry in self.entries(block) {
            let row = self.opposite.row(entry.index as usize);
            let error = dot_f64(row, x) - f64::from(entry.target);
            let weighted = f64::from(entry.weight) * error;
            data += weighted * error;
            add_scaled_f64(into, weighted, row);
        }
        data
    }

    /// Rows of this side.
    pub fn blocks(&self) -> usize {
        self.own.rows()
    }

    fn sums(&self, should_stop: ShouldStop<'_>) -> SideSums {
        let chunks: Vec<SideSums> = (0..self.blocks())
            .into_par_iter()
            .chunks(CHUNK_BLOCKS)
            .map(|blocks| {
                if should_stop() {
                    return SideSums::default();
                }
                let mut scratch = vec![0.0; 2 * self.hyper.dim];
                vectorised(
                    Arch::new(),
                    #[inline(always)]
                    || self.sums_of_all(&blocks, &mut scratch),
                )
            })
            .collect();
        chunks.into_iter().fold(SideSums::default(), SideSums::plus)
    }

    #[inline(always)]
    fn sums_of_all(&self, blocks: &[usize], scratch: &mut [f64]) -> SideSums {
        let mut sums = SideSums::default();
        for block in blocks {
            sums = sums.plus(self.sums_of(*block, scratch));
        }
        sums
    }

    #[inline(always)]
    fn sums_of(&self, block: usize, scratch: &mut [f64]) -> SideSums {
        let entries = self.entries(block as u32);
        if entries.is_empty() {
            return SideSums::default();
        }
        let x = self.own.row(block);
        let (gradient, diagonal) = scratch.split_at_mut(x.len());
        let data = self.half_gradient_at(block as u32, x, gradient);
        let lambda = self.regularisation(block as u32);
        diagonal.fill(lambda);
        for (k, sum) in diagonal.iter_mut().enumerate() {
            *sum += self.hyper.alpha0 * self.gramian.column(k)[k];
        }
        for entry in entries {
            let weight = f64::from(entry.weight);
            let row = self.opposite.row(entry.index as usize);
            for (sum, value) in diagonal.iter_mut().zip(row) {
                *sum += weight * value * value;
            }
        }
        let shares = gradient.iter().zip(&*diagonal);
        SideSums {
            decrement: shares.map(|(g, h)| g * g / h).sum(),
            data,
            regularisation: lambda * square(x),
        }
    }

    fn half_gradients(&self) -> Factors {
        let d = self.hyper.dim;
        let mut gradients = Factors::zeros(self.blocks(), d);
        gradients
            .as_mut_slice()
            .par_chunks_mut(d)
            .enumerate()
            .for_each(|(block, into)| {
                if !self.entries(block as u32).is_empty() {
                    self.half_gradient_at(block as u32, self.own.row(block), into);
                }
            });
        gradients
    }
}

fn square(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random(seed: u64, hyper: IalsHyperparameters) -> (Ials, InteractionMatrix) {
        let mut matrix = InteractionMatrix::new();
        let mut state = seed | 1;
        for _ in 0..60 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(11);
            let (user, item) = ((state >> 33) % 12, (state >> 45) % 9);
            let entry = Entry {
                index: item as u32,
                weight: 0.5 + (state >> 60) as f32 / 4.0,
                target: ((state >> 20) % 3) as f32 / 2.0,
            };
            matrix.insert(user as u32, entry);
        }
        matrix.grow(13, 10);
        let scale = |mut factors: Factors| {
            factors
                .as_mut_slice()
                .iter_mut()
                .for_each(|value| *value *= 12.0);
            factors
        };
        let users = scale(Factors::random(13, hyper.dim, seed, Side::Users));
        let items = scale(Factors::random(10, hyper.dim, seed, Side::Items));
        let mut model = Ials::from_factors(hyper, users, items);
        model.clear_inactive(&matrix);
        (model, matrix)
    }

    /// The objective as the formula reads, over every pair.
    fn dense_objective(model: &Ials, matrix: &InteractionMatrix) -> f64 {
        let hyper = &model.hyper;
        let mut sum = 0.0;
        for u in 0..model.users.rows() {
            for i in 0..model.items.rows() {
                let x: f64 = model
                    .users
                    .row(u)
                    .iter()
                    .zip(model.items.row(i))
                    .map(|(p, q)| p * q)
                    .sum();
                sum += hyper.alpha0 * x * x;
                let held = matrix.user(u as u32).iter().find(|e| e.index == i as u32);
                let error = |e: &Entry| x - f64::from(e.target);
                sum += held.map_or(0.0, |e| f64::from(e.weight) * error(e) * error(e));
            }
        }
        for side in [Side::Users, Side::Items] {
            let view = model.side(side, matrix);
            sum += (0..view.blocks())
                .map(|block| view.regularisation(block as u32) * square(view.own.row(block)))
                .sum::<f64>();
        }
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_objective_is_the_formula(seed in any::<u64>(), nu in 0.0f64..1.5) {
            let hyper = IalsHyperparameters { dim: 5, alpha0: 0.3, lambda: 0.1, nu };
            let (model, matrix) = random(seed, hyper);
            let (fast, dense) = (model.measure(&matrix).objective, dense_objective(&model, &matrix));
            prop_assert!((fast - dense).abs() < 1e-10 * dense, "{fast} {dense}");
        }

        /// Central differences of the dense objective, in every coordinate.
        #[test]
        fn the_gradient_is_that_of_the_objective(seed in any::<u64>(), nu in prop::sample::select(vec![0.0, 1.0])) {
            let hyper = IalsHyperparameters { dim: 3, alpha0: 0.3, lambda: 0.1, nu };
            let (model, matrix) = random(seed, hyper);
            let gradient = model.half_gradient(&matrix);
            let step = 1e-5;
            for (u, k) in (0..13).flat_map(|u| (0..3).map(move |k| (u, k))) {
                if matrix.user(u as u32).is_empty() { continue; }
                let at = |offset: f64| {
                    let mut moved = model.clone();
                    moved.users.row_mut(u)[k] += offset;
                    dense_objective(&moved, &matrix)
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                let value = 2.0 * gradient.users.row(u)[k];
                prop_assert!((difference - value).abs() < 1e-5 * (1.0 + value.abs()), "{difference} {value}");
            }
            for (i, k) in (0..10).flat_map(|i| (0..3).map(move |k| (i, k))) {
                if matrix.item(i as u32).is_empty() { continue; }
                let at = |offset: f64| {
                    let mut moved = model.clone();
                    moved.items.row_mut(i)[k] += offset;
                    dense_objective(&moved, &matrix)
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                let value = 2.0 * gradient.items.row(i)[k];
                prop_assert!((difference - value).abs() < 1e-5 * (1.0 + value.abs()), "{difference} {value}");
            }
        }
    }
}
