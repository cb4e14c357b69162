//! Methods that move the parameters of one neural model.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use super::subject::{
    FIXED_EPOCH, NeuralModelState, NeuralScores, NeuralSubject, diverged, fixed_examples,
};
use crate::experiment::recipe::{MethodSpec, ReachSpec, SolverSpec};
use crate::experiment::unlearner::method::{Change, MethodError, Seeds, Unlearner};
use crate::experiment::watch::Watch;
use recant_core::model::RowSets;
use recant_core::never;
use recant_eval::Scorer;
use recant_neural::forget::{
    AltEraserControl, AltEraserOptions, AltEraserReport, Anchor, BlockSolver, InfluenceOptions,
    Reach, alt_eraser, influence_step, retrain_warm,
};
use recant_neural::optimise::{
    AdamWOptions, Divergence, LbfgsOptions, NewtonOptions, Selection, lbfgs, newton_cg,
};
use recant_neural::{Block, Examples, Graph, Objective, Parameters, reconcile_rows};

/// Solvers end where the recipe says, not where a gradient is small.
const TOLERANCE: f64 = 1e-9;

/// A method at work on one neural model.
pub(super) struct NeuralUnlearner<'a> {
    subject: &'a NeuralSubject,
    method: MethodSpec,
    graph: Graph,
    parameters: Parameters,
    /// Kept up to date, as a service would; AdamW draws its own.
    examples: Option<Examples>,
    /// The parameters that training left, for methods that are anchored to them.
    anchor: Option<Anchor>,
    seeds: Seeds,
    /// Epochs trained so far: the next ones draw other negatives.
    epochs: u64,
    /// Made when somebody asks.
    scores: OnceCell<NeuralScores>,
}

impl<'a> NeuralUnlearner<'a> {
    pub(super) fn new(
        subject: &'a NeuralSubject,
        method: &MethodSpec,
        original: &NeuralModelState,
        seeds: Seeds,
    ) -> Self {
        let is_second_order = !matches!(method, MethodSpec::AdamW { .. });
        let model = subject.model();
        let examples = is_second_order.then(|| fixed_examples(model, &original.graph, seeds.order));
        let training = subject.training.adamw(model, seeds.order);
        let mut unlearner = Self {
            subject,
            method: method.clone(),
            graph: original.graph.clone(),
            parameters: original.parameters.clone(),
            examples,
            anchor: None,
            seeds,
            epochs: training.first_epoch + training.epochs as u64,
            scores: OnceCell::new(),
        };
        unlearner.anchor_to_present();
        unlearner
    }

    fn adamw(
        &mut self,
        graph: &Graph,
        epochs: usize,
        learning_rate: Option<f32>,
        negatives_of: Option<u64>,
        watch: &mut Watch<'_>,
    ) -> Result<(), Divergence> {
        let model = self.subject.model();
        let usual = self.subject.training.adamw(model, self.seeds.order);
        let options = AdamWOptions {
            epochs,
            learning_rate: learning_rate.unwrap_or(usual.learning_rate),
            first_epoch: self.epochs,
            negatives_of,
            ..usual
        };
        self.epochs += epochs as u64;
        retrain_warm(
            model,
            graph,
            &mut self.parameters,
            &options,
            &mut |_, at| {
                look(self.subject, graph, at, watch);
                ControlFlow::Continue(())
            },
        )
    }

    /// Brings the examples up to date, and takes the step or steps of a second-order method.
    fn second_order(
        &mut self,
        graph: &Graph,
        mut touched: RowSets,
        watch: &mut Watch<'_>,
    ) -> Result<(), Divergence> {
        let model = self.subject.model();
        let Some(examples) = &mut self.examples else {
            return Ok(());
        };
        let before = matches!(self.method, MethodSpec::Influence { .. }).then(|| examples.clone());
        touched.users.extend(examples.update(graph, &touched.users));
        touched.sort_and_dedup();
        let plain = Objective {
            model,
            graph,
            examples,
            proximal: None,
        };
        let anchor = self.anchor.as_ref();
        let linear = anchor.map(|anchor| anchor.linear_part(&plain, &self.parameters));
        let both = anchor.zip(linear.as_ref());
        let objective = Objective {
            proximal: both.map(|(anchor, linear)| anchor.proximal_term(linear)),
            ..plain
        };
        let before = before.as_ref().map(|examples| Objective {
            model,
            graph: &self.graph,
            examples,
            proximal: None,
        });
        let at = &mut self.parameters;
        let subject = self.subject;
        match (&self.method, before) {
            (MethodSpec::Influence { .. }, Some(before)) => {
                influence(&self.method, &before, &objective, at, &touched);
                Ok(())
            }
            (method, _) => solve(method, subject, &objective, at, &touched, watch),
        }
    }
}

impl Unlearner for NeuralUnlearner<'_> {
    fn erase(&mut self, change: &Change<'_>, watch: &mut Watch<'_>) -> Result<(), MethodError> {
        let done = watch.time(|watch| {
            let graph = Graph::new(change.retained);
            let touched = RowSets::from_pairs(change.pairs);
            let done = match self.method {
                MethodSpec::AdamW {
                    epochs,
                    learning_rate,
                    fixed_negatives,
                } => {
                    let negatives_of = fixed_negatives.then_some(FIXED_EPOCH);
                    self.adamw(&graph, epochs, learning_rate, negatives_of, watch)
                }
                MethodSpec::Influence { .. } => {
                    let done = self.second_order(&graph, touched, watch);
                    self.reconcile_rows(&graph);
                    done
                }
                _ => {
                    self.reconcile_rows(&graph);
                    self.second_order(&graph, touched, watch)
                }
            };
            self.graph = graph;
            done
        });
        self.anchor_to_present();
        self.scores = OnceCell::new();
        done.map_err(diverged)
    }

    fn model(&self) -> &dyn Scorer {
        self.scores.get_or_init(|| {
            NeuralScores::new(&self.subject.specification, &self.graph, &self.parameters)
        })
    }
}

impl NeuralUnlearner<'_> {
    /// From now on the parameters as they are count as the trained ones, for methods with a proximal
    /// term. As a service does, where one erasure follows another.
    fn anchor_to_present(&mut self) {
        if let (Some(strength), Some(examples)) = (self.method.proximal(), &self.examples) {
            let objective = Objective {
                model: self.subject.model(),
                graph: &self.graph,
                examples,
                proximal: None,
            };
            self.anchor = Some(Anchor::new(&objective, &self.parameters, strength));
        }
    }

    /// Rows that lost everything become zero.
    fn reconcile_rows(&mut self, graph: &Graph) {
        let model = self.subject.model();
        reconcile_rows(model, graph, self.seeds.initial, &mut self.parameters);
    }
}

fn look(subject: &NeuralSubject, graph: &Graph, at: &Parameters, watch: &mut Watch<'_>) {
    watch.look_at(|| NeuralScores::new(&subject.specification, graph, at));
}

fn solve(
    method: &MethodSpec,
    subject: &NeuralSubject,
    objective: &Objective<'_>,
    at: &mut Parameters,
    touched: &RowSets,
    watch: &mut Watch<'_>,
) -> Result<(), Divergence> {
    let everything = Selection::from(Block::All);
    let mut look = |at: &Parameters| {
        look(subject, objective.graph, at, watch);
        ControlFlow::Continue(())
    };
    match method {
        MethodSpec::NewtonCg {
            steps,
            products,
            damping,
            ..
        } => {
            let options = NewtonOptions {
                steps_max: *steps,
                products_max: *products,
                damping: *damping,
                tolerance: TOLERANCE,
            };
            newton_cg(objective, at, &everything, &options, &mut |_, at| look(at))?;
        }
        MethodSpec::Lbfgs { steps, .. } => {
            let options = LbfgsOptions {
                steps_max: *steps,
                tolerance: TOLERANCE,
                ..LbfgsOptions::default()
            };
            lbfgs(objective, at, &everything, &options, &mut |_, at| look(at))?;
        }
        MethodSpec::AltEraser { .. } => {
            let options = alt_eraser_options(method);
            let control = AltEraserControl {
                cancelled: &never,
                observe: &mut |_: &AltEraserReport, at: &Parameters| look(at),
            };
            alt_eraser(objective, at, touched, &options, control)?;
        }
        _ => {}
    }
    Ok(())
}

fn alt_eraser_options(method: &MethodSpec) -> AltEraserOptions {
    let usual = AltEraserOptions::default();
    match *method {
        MethodSpec::AltEraser {
            solver,
            rounds,
            steps,
            products,
            damping,
            reach,
            memory,
            ..
        } => AltEraserOptions {
            solver: match solver {
                SolverSpec::NewtonCg => BlockSolver::NewtonCg,
                SolverSpec::Lbfgs => BlockSolver::Lbfgs,
            },
            reach: match reach {
                ReachSpec::Growing => Reach::Growing,
                ReachSpec::Touched => Reach::Touched,
                ReachSpec::Everything => Reach::Everything,
            },
            rounds_max: rounds,
            steps,
            products,
            damping,
            memory,
            budget: None,
        },
        _ => usual,
    }
}

/// The step for everything; or for touched rows, each side as if the other were frozen.
fn influence(
    method: &MethodSpec,
    before: &Objective<'_>,
    retained: &Objective<'_>,
    at: &mut Parameters,
    touched: &RowSets,
) {
    let MethodSpec::Influence {
        products,
        damping,
        touched_only,
    } = *method
    else {
        return;
    };
    let options = InfluenceOptions {
        products_max: products,
        damping,
        ..InfluenceOptions::default()
    };
    if !touched_only {
        influence_step(before, retained, at, &Selection::from(Block::All), &options);
        return;
    }
    let mut moved = at.clone();
    let users = Selection::rows(Block::Users, touched.users.clone());
    influence_step(before, retained, &mut moved, &users, &options);
    let items = Selection::rows(Block::Items, touched.items.clone());
    influence_step(before, retained, at, &items, &options);
    let of_users = moved.block(Block::Users);
    at.block_mut(Block::Users).copy_from_slice(of_users);
}
