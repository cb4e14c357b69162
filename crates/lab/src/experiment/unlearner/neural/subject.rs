//! Neural models: training by AdamW, and their scores.

use recant_neural::forget::retrain_cold;
use recant_neural::optimise::{Divergence, EpochReport, LbfgsOptions, Selection, lbfgs};
use recant_neural::{
    Block, Examples, Graph, NeuralModel, Objective, Parameters, Sampling, model_of,
};
use std::ops::ControlFlow;
use std::sync::Arc;

use faer::Mat;

use crate::experiment::recipe::{ModelSpec, TrainingSpec};
use crate::experiment::unlearner::method::{MethodError, Seeds};
use crate::experiment::watch::Watch;
use recant_core::model::InteractionMatrix;
use recant_eval::Scorer;

use recant_types::ModelSpecification;

/// The epoch whose negatives are those of the fixed examples; training begins with the next.
pub(in crate::experiment::unlearner) const FIXED_EPOCH: u64 = 0;

/// L-BFGS ends its part of a training when the gradient has fallen to this share.
const REFINEMENT_TOLERANCE: f64 = 1e-6;

/// A neural model with its training.
pub(in crate::experiment) struct NeuralSubject {
    pub(in crate::experiment::unlearner) specification: Arc<ModelSpecification>,
    pub(in crate::experiment::unlearner) training: TrainingSpec,
}

/// A trained neural model.
#[derive(Clone)]
pub(in crate::experiment) struct NeuralModelState {
    pub(in crate::experiment::unlearner) graph: Graph,
    pub(in crate::experiment::unlearner) parameters: Parameters,
    pub(in crate::experiment::unlearner) scores: Arc<NeuralScores>,
}

impl NeuralModelState {
    pub(in crate::experiment::unlearner) fn scorer(&self) -> &dyn Scorer {
        self.scores.as_ref()
    }
}

/// The scores of parameters that were propagated once.
pub(in crate::experiment::unlearner) struct NeuralScores {
    pub(in crate::experiment::unlearner) specification: Arc<ModelSpecification>,
    rows: Parameters,
}

impl NeuralScores {
    pub(in crate::experiment::unlearner) fn new(
        specification: &Arc<ModelSpecification>,
        graph: &Graph,
        parameters: &Parameters,
    ) -> Self {
        let mut rows = parameters.clone();
        if model_of(specification).is_propagated() {
            model_of(specification).propagate(graph, &mut rows);
        }
        Self {
            specification: specification.clone(),
            rows,
        }
    }
}

impl Scorer for NeuralScores {
    fn user_rows(&self) -> usize {
        self.rows.layout().users
    }

    fn item_rows(&self) -> usize {
        self.rows.layout().items
    }

    fn scores(&self, users: &[u32]) -> Mat<f64> {
        let scorer =
            recant_neural::Scorer::from_propagated(model_of(&self.specification), &self.rows);
        let scores = scorer.catalogue(users);
        let items = self.item_rows();
        Mat::from_fn(items, users.len(), |item, column| {
            f64::from(scores[column * items + item])
        })
    }
}

pub(in crate::experiment::unlearner) fn diverged(error: Divergence) -> MethodError {
    MethodError::Diverged {
        what: "the neural model",
        reason: error.to_string(),
    }
}

/// The examples that second-order methods work on.
pub(in crate::experiment::unlearner) fn fixed_examples(
    model: &dyn NeuralModel,
    graph: &Graph,
    seed: u64,
) -> Examples {
    let sampling = Sampling {
        seed,
        negatives: model.negatives(),
    };
    Examples::new(graph, sampling, FIXED_EPOCH)
}

impl NeuralSubject {
    /// `None` for a model that is not neural.
    pub(in crate::experiment::unlearner) fn new(spec: &ModelSpec) -> Option<Self> {
        let (specification, training) = spec.neural()?;
        Some(Self {
            specification: Arc::new(specification),
            training,
        })
    }

    pub(in crate::experiment::unlearner) fn model(&self) -> &dyn NeuralModel {
        model_of(&self.specification)
    }

    /// AdamW from random parameters, then L-BFGS as far as the recipe asks for it.
    pub(in crate::experiment::unlearner) fn train(
        &self,
        matrix: &InteractionMatrix,
        seeds: Seeds,
        watch: &mut Watch<'_>,
    ) -> Result<NeuralModelState, MethodError> {
        let (graph, parameters) = watch
            .time(|watch| {
                let graph = Graph::new(matrix);
                let options = self.training.adamw(self.model(), seeds.order);
                let look = &mut |report: &EpochReport, at: &Parameters| {
                    let scores = || NeuralScores::new(&self.specification, &graph, at);
                    watch.look_after_epoch(report.epoch, scores);
                    ControlFlow::Continue(())
                };
                let mut at = retrain_cold(self.model(), &graph, seeds.initial, &options, look)?;
                self.refine(&graph, &mut at, seeds, watch)?;
                Ok((graph, at))
            })
            .map_err(diverged)?;
        Ok(NeuralModelState {
            scores: Arc::new(NeuralScores::new(&self.specification, &graph, &parameters)),
            graph,
            parameters,
        })
    }

    fn refine(
        &self,
        graph: &Graph,
        at: &mut Parameters,
        seeds: Seeds,
        watch: &mut Watch<'_>,
    ) -> Result<(), Divergence> {
        if self.training.polish == 0 {
            return Ok(());
        }
        let examples = fixed_examples(self.model(), graph, seeds.order);
        let objective = Objective {
            model: self.model(),
            graph,
            examples: &examples,
            proximal: None,
        };
        let options = LbfgsOptions {
            steps_max: self.training.polish,
            tolerance: REFINEMENT_TOLERANCE,
            ..LbfgsOptions::default()
        };
        let everything = Selection::from(Block::All);
        lbfgs(&objective, at, &everything, &options, &mut |_, at| {
            watch.look_at(|| NeuralScores::new(&self.specification, graph, at));
            ControlFlow::Continue(())
        })?;
        Ok(())
    }
}
