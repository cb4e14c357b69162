//! Sweeps over all blocks, and training to a tolerance.

use std::ops::ControlFlow;

use pulp::Arch;
use rayon::prelude::*;

use crate::model::factors::{Factors, Side};
use crate::model::gramian::Gramian;
use crate::model::hyper::IalsHyperparameters;
use crate::model::ials::{Ials, Measurement, SideView};
use crate::model::interactions::InteractionMatrix;
use crate::optim::anderson::Anderson;
use crate::optim::block::{BlockSolver, SharedHessian, Step};
use crate::simd::{dot_f64, vectorised};

/// Blocks of one parallel task.
const BLOCKS_PER_TASK: usize = 16;

/// Plain sweeps before acceleration begins: from random factors the first ones turn the most.
const PLAIN_SWEEPS: usize = 4;

/// Steps that acceleration looks back over. More cost memory (items × d each) and bring little.
const HISTORY: usize = 10;

/// Asked between groups of blocks whether to give way.
pub type ShouldStop<'a> = &'a (dyn Fn() -> bool + Sync);

/// How to train.
#[derive(Debug, Clone)]
pub struct TrainingOptions {
    /// Seed of the initial factors.
    pub seed: u64,
    /// Training ends when the relative residual is at most this.
    pub tolerance: f64,
    /// Training ends after so many sweeps in any case.
    pub max_sweeps: usize,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            tolerance: 1e-5,
            max_sweeps: 500,
        }
    }
}

/// How far training has come.
#[derive(Debug, Clone, Copy)]
pub struct SweepReport {
    /// Sweeps done.
    pub sweep: usize,
    /// The objective at the user factors that are optimal for the present item factors.
    pub objective: f64,
    /// The relative residual on the users' side before their step; the items' side was at zero.
    pub residual: f64,
}

/// How training ended.
#[derive(Debug, Clone, Copy)]
pub struct TrainingReport {
    /// Sweeps done.
    pub sweeps: usize,
    /// The objective of the trained model.
    pub objective: f64,
    /// Its relative residual over all blocks, measured.
    pub residual: f64,
    /// Whether the residual is at most the tolerance.
    pub converged: bool,
}

/// Why training has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainingError {
    /// A value became infinite or undefined.
    #[error("training diverged in sweep {sweep}: try a larger lambda or smaller weights")]
    Diverged {
        /// The sweep in which it was noticed.
        sweep: usize,
    },
}

/// Solves every user's block for the present item factors, and refreshes the users' Gram matrix.
/// Returns sums over the blocks as they were before.
pub fn solve_users(model: &mut Ials, matrix: &InteractionMatrix) -> Step {
    half_sweep(model, matrix, Side::Users, &|| false)
}

/// Solves every block of one side. When `should_stop` turns true some blocks are left as they
/// were; the model is consistent in any case. Cost: `|S|·d²/2 + rows·d³/6` multiply-adds in f32.
pub fn half_sweep(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    side: Side,
    should_stop: ShouldStop<'_>,
) -> Step {
    model.grow(matrix);
    let mut own = match side {
        Side::Users => std::mem::replace(&mut model.users, Factors::zeros(0, model.hyper.dim)),
        Side::Items => std::mem::replace(&mut model.items, Factors::zeros(0, model.hyper.dim)),
    };
    let sums = solve_blocks(&model.side(side, matrix), &mut own, should_stop);
    let gramian = Gramian::of(&own);
    match side {
        Side::Users => (model.users, model.user_gramian) = (own, gramian),
        Side::Items => (model.items, model.item_gramian) = (own, gramian),
    }
    sums
}

fn solve_blocks(view: &SideView<'_>, own: &mut Factors, should_stop: ShouldStop<'_>) -> Step {
    let d = view.hyper.dim;
    let shared = SharedHessian::new(view.gramian, view.hyper.alpha0, d);
    let steps: Vec<Step> = own
        .as_mut_slice()
        .par_chunks_mut(BLOCKS_PER_TASK * d)
        .enumerate()
        .map_init(
            || BlockSolver::new(d),
            |solver, (task, rows)| {
                let first = task * BLOCKS_PER_TASK;
                let mut sum = Step::default();
                for (k, x) in rows.chunks_exact_mut(d).enumerate() {
                    // One block of a popular item can take a millisecond.
                    if should_stop() {
                        break;
                    }
                    sum = add(sum, solver.solve(view, &shared, (first + k) as u32, x));
                }
                sum
            },
        )
        .collect();
    steps.into_iter().fold(Step::default(), add)
}

fn add(a: Step, b: Step) -> Step {
    Step {
        decrement: a.decrement + b.decrement,
        residual_squared: a.residual_squared + b.residual_squared,
        linear_squared: a.linear_squared + b.linear_squared,
        data: a.data + b.data,
    }
}

/// One sweep: users, then items. Returns what the users' half saw before its step.
pub fn sweep(model: &mut Ials, matrix: &InteractionMatrix, should_stop: ShouldStop<'_>) -> Step {
    let users = half_sweep(model, matrix, Side::Users, should_stop);
    half_sweep(model, matrix, Side::Items, should_stop);
    users
}

/// Trains from random factors until the relative residual is at most the tolerance.
///
/// The result depends on data, hyper-parameters, tolerance and seed, not on the number of threads.
/// `observe` is called after every sweep and may end the training early.
pub fn train(
    matrix: &InteractionMatrix,
    hyper: IalsHyperparameters,
    options: &TrainingOptions,
    observe: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<(Ials, TrainingReport), TrainingError> {
    let random = |rows, side| Factors::random(rows, hyper.dim, options.seed, side);
    let users = random(matrix.user_rows(), Side::Users);
    let items = random(matrix.item_rows(), Side::Items);
    let mut model = Ials::from_factors(hyper, users, items);
    model.clear_inactive(matrix);
    let mut sweeps = AcceleratedSweeps::new(PLAIN_SWEEPS);
    let goal = Goal {
        tolerance: options.tolerance,
        max_sweeps: options.max_sweeps,
    };
    let report = sweeps.run(&mut model, matrix, goal, &|| false, observe)?;
    Ok((model, report.expect("nothing asks it to stop")))
}

/// Brings a model that is near its minimum closer: sweeps until the relative residual is at most
/// `tolerance`, or until `observe`, called after each, says so. `None` when `should_stop` turned
/// true first; the model is consistent then.
pub fn polish(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    tolerance: f64,
    max_sweeps: usize,
    should_stop: ShouldStop<'_>,
    observe: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<Option<TrainingReport>, TrainingError> {
    let mut sweeps = AcceleratedSweeps::new(0);
    let goal = Goal {
        tolerance,
        max_sweeps,
    };
    sweeps.run(model, matrix, goal, should_stop, observe)
}

#[derive(Debug, Clone, Copy)]
struct Goal {
    tolerance: f64,
    max_sweeps: usize,
}

/// Alternating least squares seen as a fixed-point map of the item factors, Anderson-accelerated.
///
/// `T(Q) = argmin_Q L(P(Q), Q)` with `P(Q) = argmin_P L(P, Q)`. The map alone is plain ALS, which
/// converges linearly and slowly; extrapolating from a few steps converges in a small fraction of
/// the sweeps. Safeguard: `L(P(Q), Q)` comes for free with the users' half sweep, and must not
/// rise; an extrapolated Q that raised it is thrown away for the plain image, which cannot.
struct AcceleratedSweeps {
    anderson: Anderson,
    plain: usize,
    /// The objective at the last accepted item factors.
    accepted: f64,
    /// The plain image to return to, while the item factors are extrapolated ones.
    image: Option<Factors>,
}

impl AcceleratedSweeps {
    fn new(plain: usize) -> Self {
        Self {
            anderson: Anderson::new(HISTORY),
            plain,
            accepted: f64::INFINITY,
            image: None,
        }
    }

    /// `None` when `should_stop` turned true before the goal was reached.
    fn run(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        goal: Goal,
        should_stop: ShouldStop<'_>,
        observe: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
    ) -> Result<Option<TrainingReport>, TrainingError> {
        let mut sweep = 0;
        while sweep < goal.max_sweeps {
            sweep += 1;
            let report = self.sweep(model, matrix, sweep, should_stop);
            if should_stop() {
                return Ok(None);
            }
            if !report.objective.is_finite() {
                return Err(TrainingError::Diverged { sweep });
            }
            if observe(&report).is_break() {
                break;
            }
            // The residual came before this sweep, so it can only be pessimistic about the model.
            if report.residual <= goal.tolerance {
                let Some(measured) = self.settle(model, matrix, should_stop) else {
                    return Ok(None);
                };
                if measured.residual <= goal.tolerance {
                    return Ok(Some(finish(sweep, measured, goal)));
                }
            }
        }
        let measured = self.settle(model, matrix, should_stop);
        Ok(measured.map(|measured| finish(sweep, measured, goal)))
    }

    /// One step: the users' half at the present items, then either back to the plain image, or the
    /// items' half and an extrapolation.
    fn sweep(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        sweep: usize,
        should_stop: ShouldStop<'_>,
    ) -> SweepReport {
        let users = half_sweep(model, matrix, Side::Users, should_stop);
        let objective = if should_stop() {
            f64::NAN
        } else {
            objective_at_optimal_users(model, matrix)
        };
        let residual =
            (users.residual_squared / users.linear_squared.max(f64::MIN_POSITIVE)).sqrt();
        let report = SweepReport {
            sweep,
            objective,
            residual,
        };
        if should_stop() {
            return report;
        }
        // Rounding makes the last digits of the objective rise and fall; they say nothing.
        let rose = objective > self.accepted + 1e-12 * objective.abs();
        if let Some(image) = self.image.take().filter(|_| rose) {
            set_items(model, image);
            self.anderson.reset();
            return report;
        }
        self.accepted = objective;
        let before = model.items.clone();
        half_sweep(model, matrix, Side::Items, should_stop);
        if sweep > self.plain && !should_stop() {
            let next = self
                .anderson
                .next(before.as_slice(), model.items.as_slice());
            let mut extrapolated = before;
            extrapolated.as_mut_slice().copy_from_slice(&next);
            self.image = Some(std::mem::replace(&mut model.items, extrapolated));
            model.item_gramian = Gramian::of(&model.items);
        }
        report
    }

    /// Ends on a plain image with the users solved for it, and measures that.
    fn settle(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        should_stop: ShouldStop<'_>,
    ) -> Option<Measurement> {
        if let Some(image) = self.image.take() {
            set_items(model, image);
            self.anderson.reset();
        }
        half_sweep(model, matrix, Side::Users, should_stop);
        model.measure_unless(matrix, should_stop)
    }
}

fn set_items(model: &mut Ials, items: Factors) {
    model.items = items;
    model.item_gramian = Gramian::of(&model.items);
}

/// `L(P(Q), Q)`: with every user at the minimum of its quadratic, `L = Σ_S c − Σ_u b_u·p_u` plus
/// the items' regularisation. Cost: `|S|·d`.
fn objective_at_optimal_users(model: &Ials, matrix: &InteractionMatrix) -> f64 {
    let users: Vec<f64> = (0..matrix.user_rows())
        .into_par_iter()
        .map(|user| {
            vectorised(
                Arch::new(),
                #[inline(always)]
                || unexplained_weight(model, matrix, user),
            )
        })
        .collect();
    let view = model.side(Side::Items, matrix);
    let items = (0..matrix.item_rows()).map(|item| {
        let row = model.items.row(item);
        let square = dot_f64(row, row);
        if square == 0.0 {
            0.0
        } else {
            view.regularisation(item as u32) * square
        }
    });
    users.into_iter().sum::<f64>() + items.sum::<f64>()
}

/// `Σ c (1 − p·q)` over the history of one user.
#[inline(always)]
fn unexplained_weight(model: &Ials, matrix: &InteractionMatrix, user: usize) -> f64 {
    let p = model.users.row(user);
    let mut sum = 0.0;
    for entry in matrix.user(user as u32) {
        sum += f64::from(entry.weight) * (1.0 - dot_f64(p, model.items.row(entry.index as usize)));
    }
    sum
}

fn finish(sweeps: usize, measured: Measurement, goal: Goal) -> TrainingReport {
    TrainingReport {
        sweeps,
        objective: measured.objective,
        residual: measured.residual,
        converged: measured.residual <= goal.tolerance,
    }
}
