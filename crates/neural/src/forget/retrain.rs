//! Retraining: from random parameters, or from the current ones.

use std::ops::ControlFlow;

use crate::graph::Graph;
use crate::initial::{initial, reconcile_rows};
use crate::network::NeuralModel;
use crate::optimise::adamw::{AdamWOptions, EpochReport, adamw};
use crate::optimise::divergence::Divergence;
use crate::parameters::Parameters;

/// Trains from random parameters on what `graph` retains: the yardstick for all other methods.
pub fn retrain_cold(
    model: &dyn NeuralModel,
    graph: &Graph,
    seed: u64,
    options: &AdamWOptions,
    observe: &mut dyn FnMut(&EpochReport, &Parameters) -> ControlFlow<()>,
) -> Result<Parameters, Divergence> {
    let mut parameters = initial(model, graph, seed);
    adamw(model, graph, &mut parameters, options, observe)?;
    Ok(parameters)
}

/// Goes on training the current parameters on what `graph` retains: fine-tuning by AdamW. Rows that
/// lost everything are set to zero first, newcomers to their initial values.
pub fn retrain_warm(
    model: &dyn NeuralModel,
    graph: &Graph,
    at: &mut Parameters,
    options: &AdamWOptions,
    observe: &mut dyn FnMut(&EpochReport, &Parameters) -> ControlFlow<()>,
) -> Result<(), Divergence> {
    reconcile_rows(model, graph, options.seed, at);
    adamw(model, graph, at, options, observe)
}
