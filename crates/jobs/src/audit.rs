//! The stored live model against a model trained from scratch on what is retained.
//!
//! Both are within their certified bound of the one minimiser, so the distance between them is at
//! most the sum of the two bounds. The distance is measured here; a distance above the sum would
//! show that a certificate was wrong.
//!
//! The live model's bound is the one on record for the stored version, which its users were shown,
//! or the one computed anew for the factors as they are stored, whichever is lower. User factors
//! are not stored; each is the minimiser for the item factors, so solving for them anew cannot
//! raise the objective, nor the distance that the bound on record allows.

use std::ops::ControlFlow;

use recant_core::optim::als::{TrainingError, TrainingOptions};
use recant_core::unlearn::{GapOptions, Progress, cold, duality_gap};
use recant_eval::{Comparison, compare, numerical_rank};
use recant_service::TRAINING_SHARE;
use recant_service::{Loaded, load};
use recant_store::{Store, StoreError};
use recant_types::IalsHyperparameters;

/// Length of the lists that are compared.
pub const LIST_LENGTH: usize = 10;

/// How to retrain.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// Seed of the retrained model; the one after the live model's unless given.
    pub seed: Option<u64>,
    /// Tolerance and sweeps of the retraining.
    pub tolerance: f64,
    /// Most sweeps of the retraining.
    pub max_sweeps: usize,
    /// The certified root mean square that the live model works to; retraining works to half.
    pub target: f64,
}

/// One of the two models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Audited {
    /// Seed of its initial factors.
    pub seed: u64,
    /// Columns that carry something.
    pub rank: Option<usize>,
    /// Certified bound on its distance to the one minimiser, in Frobenius norm.
    pub bound: f64,
    /// The same as a root mean square over all pairs.
    pub bound_root_mean_square: f64,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Version of the live model.
    pub version: u64,
    /// What both models minimise.
    pub hyperparameters: IalsHyperparameters,
    /// Pairs retained.
    pub interactions: usize,
    /// The live model, certified anew as it is stored.
    pub live: Audited,
    /// The bound on record for exactly the stored version, in Frobenius norm.
    pub on_record: Option<f64>,
    /// The model trained from scratch.
    pub retrained: Audited,
    /// Sweeps of the retraining.
    pub sweeps: usize,
    /// How the two differ.
    pub comparison: Comparison,
}

impl Audit {
    /// What the bounds allow the models to be apart, in Frobenius norm.
    pub fn allowed(&self) -> f64 {
        let on_record = self.on_record.unwrap_or(f64::INFINITY);
        self.live.bound.min(on_record) + self.retrained.bound
    }

    /// Whether the models are as near as the two bounds promise; `None` when one of the bounds is
    /// not finite, and so promises nothing.
    pub fn bound_held(&self) -> Option<bool> {
        let allowed = self.allowed();
        // A distance that is no number is within no bound.
        allowed
            .is_finite()
            .then_some(self.comparison.frobenius <= allowed)
    }
}

/// What an audit is doing.
#[derive(Debug, Clone, Copy)]
pub enum AuditProgress<'a> {
    /// The retraining goes on.
    Training(Progress<'a>),
    /// The retraining is over; this many users will be compared.
    Comparing(usize),
}

/// Why there is nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store has no model.
    #[error("the store holds no model to audit: run recant train first")]
    NoModel,
    /// The model has no certificate that an audit could check.
    #[error(
        "the stored model is neural and has no bound to audit: compare it with retrained ones by \
         recant eval"
    )]
    NoBound,
    /// Nothing is retained.
    #[error("the store holds no interactions: there is nothing to retrain on")]
    Empty,
    /// The stored model lags behind the log.
    #[error(
        "requests wait in the log that the stored model has not learnt or forgotten yet: run \
         recant serve until /erasures shows none waiting, stop it, and audit again"
    )]
    Waiting,
    /// The seed is that of the live model.
    #[error("seed {seed} is the live model's own: give another, or none")]
    SameSeed {
        /// Which.
        seed: u64,
    },
    /// The observer ended it.
    #[error("the audit was interrupted")]
    Interrupted,
    /// The retraining went wrong.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Retrains on what `store` retains, with the live model's hyper-parameters and another seed, and
/// compares. Nothing is stored.
///
/// `observe` follows the retraining and may end it; `compared` is told, from any thread, how many
/// more users are compared. Cost: a cold training, and `users·items·d` multiply-adds. The result
/// does not depend on the number of threads. Blocks the thread; not for an async task.
pub fn audit(
    store: &Store,
    options: &AuditOptions,
    observe: &mut dyn FnMut(AuditProgress<'_>) -> ControlFlow<()>,
    compared: &(dyn Fn(usize) + Sync),
) -> Result<Audit, AuditError> {
    let header = store.model_header()?.ok_or(AuditError::NoModel)?;
    if !store.read_from(header.learnt.next(), 1)?.is_empty() {
        return Err(AuditError::Waiting);
    }
    let seed = options.seed.unwrap_or(header.seed.wrapping_add(1));
    if seed == header.seed {
        return Err(AuditError::SameSeed { seed });
    }
    let Some(hyperparameters) = header.model.ials() else {
        return Err(AuditError::NoBound);
    };
    let Loaded { trainer, .. } = load(store, hyperparameters, header.seed)?;
    if trainer.matrix.interactions() == 0 {
        return Err(AuditError::Empty);
    }
    let matrix = &trainer.matrix;
    let Some(live) = trainer.learner.into_ials() else {
        return Err(AuditError::NoBound);
    };
    let live = &live;
    let live_gap = duality_gap(
        live,
        matrix,
        &GapOptions {
            target: options.target,
            seed: header.seed,
            ..GapOptions::default()
        },
    );
    let training = TrainingOptions {
        seed,
        tolerance: options.tolerance,
        max_sweeps: options.max_sweeps,
        ..TrainingOptions::default()
    };
    let target = options.target * TRAINING_SHARE;
    let (retrained, convergence) =
        cold::train(matrix, hyperparameters, &training, target, &mut |now| {
            observe(AuditProgress::Training(now))
        })?
        .ok_or(AuditError::Interrupted)?;
    if observe(AuditProgress::Comparing(matrix.active_users())).is_break() {
        return Err(AuditError::Interrupted);
    }
    Ok(Audit {
        version: header.version,
        hyperparameters,
        interactions: matrix.interactions(),
        on_record: header
            .certificate
            .filter(|_| header.measured_version == Some(header.version))
            .and_then(|certificate| certificate.frobenius()),
        live: Audited {
            seed: header.seed,
            rank: numerical_rank(live),
            bound: live_gap.frobenius,
            bound_root_mean_square: live_gap.root_mean_square,
        },
        retrained: Audited {
            seed,
            rank: numerical_rank(&retrained),
            bound: convergence.gap.frobenius,
            bound_root_mean_square: convergence.gap.root_mean_square,
        },
        sweeps: convergence.report.sweeps,
        comparison: compare(live, &retrained, matrix, LIST_LENGTH, compared),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(distance: f64, live: f64, retrained: f64, on_record: Option<f64>) -> Audit {
        let audited = |bound| Audited {
            seed: 1,
            rank: Some(3),
            bound,
            bound_root_mean_square: bound,
        };
        Audit {
            version: 1,
            hyperparameters: IalsHyperparameters::default(),
            interactions: 9,
            live: audited(live),
            on_record,
            retrained: audited(retrained),
            sweeps: 1,
            comparison: Comparison {
                users: 3,
                items: 3,
                jaccard: 1.0,
                jaccard_least: 1.0,
                spearman: None,
                largest: distance,
                frobenius: distance,
                root_mean_square: distance,
            },
        }
    }

    #[test]
    fn a_bound_holds_up_to_the_sum_and_no_further() {
        let held = |distance, live, on_record| audit(distance, live, 0.25, on_record).bound_held();
        assert_eq!(held(0.3, 0.1, None), Some(true));
        assert_eq!(held(0.4, 0.1, None), Some(false));
        assert_eq!(held(f64::NAN, 0.1, None), Some(false));
        assert_eq!(held(0.3, f64::INFINITY, None), None);
        // The one on record counts as well, and the lower of the two decides.
        assert_eq!(held(0.3, 0.1, Some(0.01)), Some(false));
        assert_eq!(held(0.4, 0.1, Some(0.2)), Some(false));
        assert_eq!(held(0.3, f64::INFINITY, Some(0.1)), Some(true));
    }
}
