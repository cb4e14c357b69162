//! The mutable side of a neural model: its parameters, and the examples they are judged by.

use recant_neural::specification::model_of;
use std::sync::Arc;
use std::time::Duration;

use crate::network::Network;
use recant_core::model::interactions::{Entry, InteractionMatrix};
use recant_core::unlearn::update::{self, UpdateReport};
use recant_neural::examples::{Examples, Sampling};
use recant_neural::forget::Touched;
use recant_neural::forget::alteraser::{AltEraserOptions, Reach, alt_eraser};
use recant_neural::forget::polish::{PolishOptions, PolishReport, measure, polish};
use recant_neural::forget::trained::Trained;
use recant_neural::graph::Graph;
use recant_neural::initial::{initial, settle_rows};
use recant_neural::network::NeuralModel;
use recant_neural::objective::Objective;
use recant_neural::optimise::Divergence;
use recant_neural::parameters::Parameters;
use recant_neural::scoring::Scorer;
use recant_types::ModelSpecification;

/// Rounds of stage 1 within the budget: touched rows, neighbours, everything.
const UPDATE_ROUNDS_MAX: usize = 3;

/// Curvature products of a step in stage 1, where rows depend on one another.
const UPDATE_PRODUCTS: usize = 5;

/// Rounds of stage 1 over the touched rows of a model that is held.
const HELD_ROUNDS: usize = 2;

/// How strongly a trained model is held while it forgets, per example: where rows stand alone, and
/// where they depend on one another. Chosen by the experiments (docs/experiments.md).
const HOLD_SEPARATE: f32 = 0.03;
const HOLD_PROPAGATED: f32 = 3e-3;

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
            hold: None,
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
    /// With `hold`, and when nothing but losses touched the rows, these alone are solved for, held to
    /// what training had made of them. What was learnt, and a loss that the data no longer show (it
    /// was carried out before a restart), is solved for as it is.
    pub fn update(
        &mut self,
        matrix: &InteractionMatrix,
        touched: &update::Touched,
        budget: Duration,
        hold: bool,
    ) -> Result<UpdateReport, Divergence> {
        let mut rows = Touched {
            users: touched.users.clone(),
            items: touched.items.clone(),
        };
        let only_lost = hold && self.only_lost(matrix, &rows);
        let trained = only_lost.then(|| self.trained(&rows));
        let own = rows.clone();
        self.follow(matrix, &mut rows);
        // Whoever drew other negatives is not held: their rows are solved for as they are.
        let trained = trained.filter(|_| rows == own);
        let pull = trained
            .as_ref()
            .map(|trained| trained.pull(&self.objective(), &self.parameters));
        let held = trained.as_ref().zip(pull.as_ref());
        let objective = Objective {
            hold: held.map(|(trained, pull)| trained.hold(pull)),
            ..self.objective()
        };
        let mut at = self.parameters.clone();
        let (reach, rounds_max) = match held {
            Some(_) => (Reach::Touched, HELD_ROUNDS),
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
            &|| false,
            &mut |_, _| true,
        )?;
        self.parameters = at;
        Ok(UpdateReport {
            changed_users: report.moved.users,
            changed_items: report.moved.items,
            blocks_solved: report.blocks,
        })
    }

    /// Whether every row of `rows` has fewer neighbours in `matrix` than in the graph, and no new one.
    fn only_lost(&self, matrix: &InteractionMatrix, rows: &Touched) -> bool {
        let lost = |before: &[u32], after: &[Entry]| {
            after.len() < before.len()
                && after
                    .iter()
                    .all(|entry| before.binary_search(&entry.index).is_ok())
        };
        let (users, items) = (&self.graph.users, &self.graph.items);
        let mut of_users = rows.users.iter();
        let mut of_items = rows.items.iter();
        of_users.all(|row| lost(users.neighbours(*row), matrix.user(*row)))
            && of_items.all(|row| lost(items.neighbours(*row), matrix.item(*row)))
    }

    /// What training has made of some rows.
    fn trained(&self, rows: &Touched) -> Trained {
        let strength = match self.model().is_propagated() {
            true => HOLD_PROPAGATED,
            false => HOLD_SEPARATE,
        };
        Trained::of_rows(&self.objective(), &self.parameters, strength, rows)
    }

    /// Brings graph, examples and the number of rows up to date with `matrix`, and adds to `rows`
    /// the users whose negatives changed.
    fn follow(&mut self, matrix: &InteractionMatrix, rows: &mut Touched) {
        self.graph = Arc::new(Graph::new(matrix));
        let (users, items) = (self.graph.user_rows(), self.graph.item_rows());
        self.parameters = self.parameters.grown(users, items);
        rows.users
            .extend(Arc::make_mut(&mut self.examples).update(&self.graph, &rows.users));
        rows.settle();
        let is_new = self.parameters.values().iter().all(|value| *value == 0.0);
        if is_new {
            let model = model_of(&self.specification);
            self.parameters = initial(model, &self.graph, self.seed);
        }
        let model = model_of(&self.specification);
        settle_rows(model, &self.graph, self.seed, &mut self.parameters);
    }

    /// Stage 2: rounds over everything until the residual is at most the tolerance or stops falling.
    /// Returns the parameters as they would be; `None` when `should_stop` said so.
    pub fn polished(
        &self,
        options: &PolishOptions,
        should_stop: &(dyn Fn() -> bool + Sync),
        observe: &mut dyn FnMut(&PolishReport),
    ) -> Result<Option<(Parameters, PolishReport)>, Divergence> {
        let mut at = self.parameters.clone();
        let report = polish(&self.objective(), &mut at, options, should_stop, observe)?;
        Ok(report.map(|report| (at, report)))
    }

    /// Value and residual of the parameters as they are; `None` when `should_stop` said so.
    pub fn measure(
        &self,
        options: &PolishOptions,
        should_stop: &(dyn Fn() -> bool + Sync),
    ) -> Option<PolishReport> {
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
