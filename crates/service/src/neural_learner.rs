//! The mutable side of a neural model: its parameters, and the examples they are judged by.

use recant_neural::forget::{
    AltEraserControl, AltEraserOptions, AltEraserReport, Anchor, Reach, RefinementControl,
    RefinementOptions, RefinementReport, alt_eraser, measure, refine,
};
use recant_neural::optimise::Divergence;
use recant_neural::{
    Examples, Graph, NeuralModel, Objective, Parameters, Sampling, Scorer, initial, model_of,
    reconcile_rows,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::network::Network;
use recant_core::model::{Entry, InteractionMatrix, RowSets};
use recant_core::unlearn::UpdateReport;
use recant_core::{ShouldStop, never};
use recant_types::ModelSpecification;

/// Rounds of stage 1 within the budget: touched rows, neighbours, everything.
const UPDATE_ROUNDS_MAX: usize = 3;

/// Curvature products of a step in stage 1, where rows depend on one another.
const UPDATE_PRODUCTS: usize = 5;

/// Rounds of stage 1 over the touched rows of a model that is anchored.
const ANCHORED_ROUNDS: usize = 2;

/// Strength of the proximal term that anchors a trained model while it forgets, per example: where
/// rows stand alone, and where they depend on one another. Chosen by the experiments (docs/experiments.md).
const PROXIMAL_SEPARATE: f32 = 0.03;
const PROXIMAL_PROPAGATED: f32 = 3e-3;

/// A neural model under training, owned by the trainer.
///
/// Graph and examples follow the interactions: they are brought up to date by
/// [`NeuralLearner::update`], and until then the model is what it was.
#[derive(Debug, Clone)]
pub struct NeuralLearner {
    /// Kind and hyper-parameters.
    pub specification: ModelSpecification,
    /// Rows and layers.
    pub parameters: Parameters,
    /// Seed of initial rows and of negatives.
    pub seed: u64,
    graph: Arc<Graph>,
    examples: Arc<Examples>,
}

impl NeuralLearner {
    /// A learner with all parameters zero.
    pub fn new(specification: ModelSpecification, matrix: &InteractionMatrix, seed: u64) -> Self {
        let graph = Graph::new(matrix);
        let model = model_of(&specification);
        let layout = model.layout(graph.user_rows(), graph.item_rows());
        let sampling = Sampling {
            seed,
            negatives: model.negatives(),
        };
        Self {
            parameters: Parameters::zeros(layout),
            examples: Arc::new(Examples::new(&graph, sampling, 0)),
            specification,
            seed,
            graph: Arc::new(graph),
        }
    }

    /// The model that scores.
    pub fn model(&self) -> &dyn NeuralModel {
        model_of(&self.specification)
    }

    /// The pairs as a graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    fn objective(&self) -> Objective<'_> {
        Objective {
            model: self.model(),
            graph: &self.graph,
            examples: &self.examples,
            proximal: None,
        }
    }

    /// Whether a row with interactions has no parameters yet.
    pub fn has_unlearnt_rows(&self) -> bool {
        let is_zero = |row: &[f32]| row.iter().all(|value| *value == 0.0);
        let (users, items) = (&self.graph.users, &self.graph.items);
        let parameters = &self.parameters;
        (0..users.rows() as u32).any(|row| users.degree(row) > 0 && is_zero(parameters.user(row)))
            || (0..items.rows() as u32)
                .any(|row| items.degree(row) > 0 && is_zero(parameters.item(row)))
    }

    /// Stage 1: AltEraser from the touched rows outwards. Every touched row is solved for; what
    /// follows is bounded by `budget`. Rows that lost everything become zero. The layers of a model
    /// that has none yet are drawn.
    ///
    /// With `is_anchored`, and when nothing but losses touched the rows, these alone are solved for,
    /// anchored to what training had made of them. What was learnt, and a loss that the data no longer show (it
    /// was carried out before a restart), is solved for as it is.
    pub fn update(
        &mut self,
        matrix: &InteractionMatrix,
        touched: &RowSets,
        budget: Duration,
        is_anchored: bool,
    ) -> Result<UpdateReport, Divergence> {
        let mut rows = touched.clone();
        let only_lost = is_anchored && self.only_lost(matrix, &rows);
        let anchor = only_lost.then(|| self.anchor(&rows));
        let own = rows.clone();
        self.follow(matrix, &mut rows);
        // Whoever drew other negatives is not anchored: their rows are solved for as they are.
        let anchor = anchor.filter(|_| rows == own);
        let linear = anchor
            .as_ref()
            .map(|anchor| anchor.linear_part(&self.objective(), &self.parameters));
        let anchored = anchor.as_ref().zip(linear.as_ref());
        let objective = Objective {
            proximal: anchored.map(|(anchor, linear)| anchor.proximal_term(linear)),
            ..self.objective()
        };
        let mut at = self.parameters.clone();
        let (reach, rounds_max) = match anchored {
            Some(_) => (Reach::Touched, ANCHORED_ROUNDS),
            None => (Reach::Growing, UPDATE_ROUNDS_MAX),
        };
        let options = AltEraserOptions {
            reach,
            rounds_max,
            products: UPDATE_PRODUCTS,
            budget: Some(budget),
            ..AltEraserOptions::default()
        };
        let report = alt_eraser(
            &objective,
            &mut at,
            &rows,
            &options,
            AltEraserControl {
                cancelled: &never,
                observe: &mut |_: &AltEraserReport, _: &Parameters| ControlFlow::Continue(()),
            },
        )?;
        self.parameters = at;
        Ok(UpdateReport {
            changed_users: report.moved.users,
            changed_items: report.moved.items,
            blocks_solved: report.blocks,
        })
    }

    /// Whether every row of `rows` has fewer neighbours in `matrix` than in the graph, and no new one.
    fn only_lost(&self, matrix: &InteractionMatrix, rows: &RowSets) -> bool {
        let lost = |before: &[u32], after: &[Entry]| {
            let mut after = after.iter().filter(|entry| entry.is_wanted());
            after.clone().count() < before.len()
                && after.all(|entry| before.binary_search(&entry.index).is_ok())
        };
        let (users, items) = (&self.graph.users, &self.graph.items);
        let mut of_users = rows.users.iter();
        let mut of_items = rows.items.iter();
        of_users.all(|row| lost(users.neighbours(*row), matrix.user(*row)))
            && of_items.all(|row| lost(items.neighbours(*row), matrix.item(*row)))
    }

    /// A proximal term for some rows, centred where training has brought them.
    fn anchor(&self, rows: &RowSets) -> Anchor {
        let strength = if self.model().is_propagated() {
            PROXIMAL_PROPAGATED
        } else {
            PROXIMAL_SEPARATE
        };
        Anchor::for_rows(&self.objective(), &self.parameters, strength, rows)
    }

    /// Brings graph, examples and the number of rows up to date with `matrix`, and adds to `rows`
    /// the users whose negatives changed.
    fn follow(&mut self, matrix: &InteractionMatrix, rows: &mut RowSets) {
        self.graph = Arc::new(Graph::new(matrix));
        let (users, items) = (self.graph.user_rows(), self.graph.item_rows());
        self.parameters = self.parameters.grown(users, items);
        rows.users
            .extend(Arc::make_mut(&mut self.examples).update(&self.graph, &rows.users));
        rows.sort_and_dedup();
        let is_new = self.parameters.values().iter().all(|value| *value == 0.0);
        if is_new {
            let model = model_of(&self.specification);
            self.parameters = initial(model, &self.graph, self.seed);
        }
        let model = model_of(&self.specification);
        reconcile_rows(model, &self.graph, self.seed, &mut self.parameters);
    }

    /// Stage 2: rounds over everything until the residual is at most the tolerance or stops falling.
    /// Returns the parameters as they would be; `None` when `should_stop` said so.
    pub fn refined(
        &self,
        options: &RefinementOptions,
        should_stop: ShouldStop<'_>,
        observe: &mut dyn FnMut(&RefinementReport),
    ) -> Result<Option<(Parameters, RefinementReport)>, Divergence> {
        let mut at = self.parameters.clone();
        let control = RefinementControl {
            cancelled: should_stop,
            observe: &mut |report: &RefinementReport| {
                observe(report);
                ControlFlow::Continue(())
            },
        };
        let report = refine(&self.objective(), &mut at, options, control)?;
        Ok(report.map(|report| (at, report)))
    }

    /// Value and residual of the parameters as they are; `None` when `should_stop` said so.
    pub fn measure(
        &self,
        options: &RefinementOptions,
        should_stop: ShouldStop<'_>,
    ) -> Option<RefinementReport> {
        measure(&self.objective(), &self.parameters, 0, options, should_stop)
    }

    /// The rows that readers get: propagated, where the model propagates.
    pub fn served(&self) -> Scorer<'_> {
        Scorer::new(self.model(), &self.graph, &self.parameters)
    }

    /// What readers get besides.
    pub fn network(&self) -> Network {
        Network {
            specification: self.specification.clone(),
            shared: self.parameters.shared().to_vec(),
            seed: self.seed,
        }
    }
}
