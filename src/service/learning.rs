//! The arithmetic of the worker: what is run between one commit and the next.

use std::time::Duration;

use crate::model::interactions::InteractionMatrix;
use crate::optim::als::{self, ShouldStop, TrainingReport};
use crate::service::dirty::DirtyRows;
use crate::service::trainer::Trainer;
use crate::unlearn::update::{self, Touched, UpdateOptions, UpdateReport};

/// Most sweeps of one polishing. A model that needs more is far from converged; the measured
/// residual says so, and the next change polishes on.
const POLISH_SWEEPS_MAX: usize = 500;

/// Stage 1: block Newton steps from the touched blocks outwards, within `budget`.
pub fn update(
    trainer: &mut Trainer,
    touched: &Touched,
    budget: Duration,
    tolerance: f64,
) -> UpdateReport {
    let options = UpdateOptions {
        budget,
        tolerance,
        seed: trainer.seed,
    };
    update::update(&mut trainer.model, &trainer.matrix, touched, &options)
}

/// Stage 2: sweeps over all blocks until the residual is at most `tolerance`.
///
/// Works on a copy of the factors. `None` when `should_stop`, asked between small groups of
/// blocks, turned true: then the trainer is as it was. Otherwise what changed, and how it ended.
pub fn polish(
    trainer: &mut Trainer,
    tolerance: f64,
    should_stop: ShouldStop<'_>,
) -> Option<(DirtyRows, TrainingReport)> {
    let measured = trainer.model.measure_unless(&trainer.matrix, should_stop)?;
    if measured.residual <= tolerance {
        let report = TrainingReport {
            sweeps: 0,
            objective: measured.objective,
            residual: measured.residual,
            converged: true,
        };
        return Some((DirtyRows::default(), report));
    }
    let mut model = trainer.model.clone();
    let polished = als::polish(
        &mut model,
        &trainer.matrix,
        tolerance,
        POLISH_SWEEPS_MAX,
        should_stop,
    );
    match polished {
        Ok(Some(report)) => {
            trainer.model = model;
            if !report.converged {
                tracing::warn!(
                    residual = report.residual,
                    tolerance,
                    "polishing fell short"
                );
            }
            Some((every_row(&trainer.matrix), report))
        }
        Ok(None) => None,
        Err(error) => {
            // The live factors stay; their residual is what there is to tell.
            tracing::error!(%error, "polishing failed");
            let report = TrainingReport {
                sweeps: 0,
                objective: measured.objective,
                residual: measured.residual,
                converged: false,
            };
            Some((DirtyRows::default(), report))
        }
    }
}

fn every_row(matrix: &InteractionMatrix) -> DirtyRows {
    DirtyRows::everything(matrix)
}
