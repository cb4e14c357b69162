//! Sweeps over all blocks, and training to a tolerance.

use std::ops::ControlFlow;

use crate::control::ShouldStop;
use crate::model::factors::Factors;
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::model::side::Side;
use crate::optim::accelerated::{AcceleratedSweeps, Goal};
pub use crate::optim::half_sweep::{CholeskyCache, cache_factors, solve_users_to_rounding, sweep};
pub use crate::optim::report::{SweepReport, TrainingError, TrainingReport};
use recant_types::IalsHyperparameters;

/// Plain sweeps before acceleration begins: from random factors the first ones turn the most.
const PLAIN_SWEEPS: usize = 4;

/// How to train.
#[derive(Debug, Clone)]
pub struct TrainingOptions {
    /// Seed of the initial factors.
    pub seed: u64,
    /// Training ends when the relative residual is at most this.
    pub tolerance: f64,
    /// Training ends after so many sweeps in any case.
    pub max_sweeps: usize,
    /// Memory for Cholesky factors that are cached between sweeps. Where it does not
    /// suffice, the blocks with few interactions form theirs in every sweep.
    pub cache_bytes_max: usize,
}

/// Memory for cached factors unless something else is asked for: 1 GiB holds those of 29 000 blocks
/// at d = 128, of 125 000 at d = 64.
pub const CACHE_BYTES_MAX: usize = 1 << 30;

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            tolerance: 4e-6,
            max_sweeps: 500,
            cache_bytes_max: CACHE_BYTES_MAX,
        }
    }
}

/// Trains from random factors until the relative residual is at most the tolerance.
///
/// The result depends on data, hyper-parameters and options, not on the number of threads.
/// `observe` is called after every sweep and may end the training early.
pub fn train(
    matrix: &InteractionMatrix,
    hyper: IalsHyperparameters,
    options: &TrainingOptions,
    observe: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<(Ials, TrainingReport), TrainingError> {
    let mut cache = CholeskyCache::new(options.cache_bytes_max);
    train_observed(matrix, hyper, options, &mut cache, &mut |sweep, _| {
        observe(sweep)
    })
}

/// [`train`], which leaves the factors of its last block matrices in `cache`, with an observer that
/// sees the model, too.
pub(crate) fn train_observed(
    matrix: &InteractionMatrix,
    hyper: IalsHyperparameters,
    options: &TrainingOptions,
    cache: &mut CholeskyCache,
    observe: &mut dyn FnMut(&SweepReport, &Ials) -> ControlFlow<()>,
) -> Result<(Ials, TrainingReport), TrainingError> {
    let random = |rows, side| Factors::random(rows, hyper.dim, options.seed, side);
    let users = random(matrix.user_rows(), Side::Users);
    let items = random(matrix.item_rows(), Side::Items);
    let mut model = Ials::from_factors(hyper, users, items);
    model.clear_inactive(matrix);
    let mut sweeps = AcceleratedSweeps::new(PLAIN_SWEEPS, cache);
    let goal = Goal {
        tolerance: options.tolerance,
        max_sweeps: options.max_sweeps,
    };
    let report = sweeps.run(&mut model, matrix, goal, &|| false, observe)?;
    Ok((model, report.expect("nothing asks it to stop")))
}

/// Brings a model that is near its minimum closer: sweeps until the relative residual is at most
/// `tolerance`, or until `observe`, called after each, says so. `None` when `should_stop` turned
/// true first; the model is consistent then. Steps with the factors in `cache` where they are fresh, and
/// leaves there what it had to make.
pub fn refine(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    cache: &mut CholeskyCache,
    tolerance: f64,
    max_sweeps: usize,
    should_stop: ShouldStop<'_>,
    observe: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<Option<TrainingReport>, TrainingError> {
    let mut sweeps = AcceleratedSweeps::new(0, cache);
    let goal = Goal {
        tolerance,
        max_sweeps,
    };
    sweeps.run(model, matrix, goal, should_stop, &mut |sweep, _| {
        observe(sweep)
    })
}
