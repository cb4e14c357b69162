//! The objective that unlearning works on: a penalised loss over a fixed set of examples.
//!
//! `L(θ) = Σ_groups ℓ(scores) + λ/2 (Σ_rows n_row ‖row‖² + N ‖shared‖²)`, where a group is a pair
//! with its negatives ([`Examples`]), n_row is how many examples name a row, and N how many there
//! are. The penalty thus goes with each example, as in He et al. (2020), equation 15, so that a
//! row's problem has the same condition whether its owner is busy or not. Sums, not means: erasing
//! a pair takes its terms away and leaves the others.
//!
//! A model whose training ended elsewhere than at a minimum of L can be made one ([`ProximalTerm`]). Then what
//! moves it is what changes in the data, and not what training would still have done.
//!
//! The Hessian is approximated by the Gauss–Newton matrix: `Jᵀ H J + λ n`, J the derivatives of the scores, H the
//! Hessian of ℓ by the scores. It is positive semi-definite everywhere (Schraudolph 2002).

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;
use recant_core::{ShouldStop, never};

use crate::examples::Examples;
use crate::graph::{Graph, partition};
use crate::loss;
use crate::network::{BATCH_PAIRS, Batch, NeuralModel};
use crate::parameters::{Block, Parameters};
use crate::vectors::{dot, norm, squared_norm};

/// Parts that a sum over all examples is cut into. Fixed, so that the result does not depend on the
/// number of threads.
const PARTS: usize = 8;

/// The retained data with a model to judge by them.
#[derive(Debug, Clone, Copy)]
pub struct Objective<'a> {
    /// The model.
    pub model: &'a dyn NeuralModel,
    /// The retained pairs.
    pub graph: &'a Graph,
    /// The examples made of them.
    pub examples: &'a Examples,
    /// What anchors the minimum to a trained model; nothing for L itself.
    pub proximal: Option<ProximalTerm<'a>>,
}

/// What is added to the objective so that a model that training left elsewhere than at a minimum
/// becomes one: `μ/2 Σ n ‖θ‖² − ⟨r, θ⟩`, n how many examples name a parameter
/// ([`Anchor`](crate::forget::Anchor)).
#[derive(Debug, Clone, Copy)]
pub struct ProximalTerm<'a> {
    /// μ, per example.
    pub strength: f32,
    /// r, of the shape of the parameters.
    pub linear: &'a Parameters,
}

/// The objective at one place, with the rows propagated once for whatever is asked there.
#[derive(Debug)]
pub struct Point<'a> {
    objective: &'a Objective<'a>,
    at: &'a Parameters,
    propagated: Cow<'a, Parameters>,
}

/// Sets the coefficients of a group's scores, given its items, scores and tangents, and returns its
/// loss.
type Weigh<'a> = dyn Fn(&[u32], &[f32], &[f32], &mut [f32]) -> f64 + Sync + 'a;

/// What to do with the examples.
#[derive(Clone, Copy)]
struct Pass<'a> {
    /// Propagated directions of the rows, and directions of the shared layers.
    direction: Option<&'a Parameters>,
    block: Block,
    weigh: &'a Weigh<'a>,
    /// Asked before every batch; the sum is left unfinished when it says so.
    should_stop: ShouldStop<'a>,
}

/// What is measured of a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// The objective.
    pub value: f64,
    /// [`Point::residual`].
    pub residual: f64,
}

/// Where the gradients of some users' examples go.
struct Sums<'a> {
    /// Rows of these users only.
    users: &'a mut [f32],
    items: &'a mut [f32],
    shared: &'a mut [f32],
}

/// One part's share of a sum over examples, but for its users' rows.
struct Share {
    loss: f64,
    items: Vec<f32>,
    shared: Vec<f32>,
}

impl<'a> Objective<'a> {
    /// Prepares to evaluate the objective at `at`. Costs one propagation.
    pub fn prepare<'b>(&'b self, at: &'b Parameters) -> Point<'b>
    where
        'a: 'b,
    {
        let propagated = if self.model.is_propagated() {
            let mut rows = at.clone();
            self.model.propagate(self.graph, &mut rows);
            Cow::Owned(rows)
        } else {
            Cow::Borrowed(at)
        };
        Point {
            objective: self,
            at,
            propagated,
        }
    }

    /// Strength of the quadratic terms, per example: λ, and μ where the model is anchored.
    pub fn penalty(&self) -> f32 {
        self.model.lambda() + self.proximal.map_or(0.0, |term| term.strength)
    }

    /// How many examples name the row of a user.
    pub fn user_weight(&self, row: usize) -> f32 {
        self.examples.user_weight(row as u32) as f32
    }

    /// How many examples name the row of an item.
    pub fn item_weight(&self, row: usize) -> f32 {
        self.examples.item(row as u32).len() as f32
    }

    /// Calls `visit(range, weight)` for each row of a block and for the shared layers: where their
    /// parameters lie and how many examples name them.
    pub fn visit_weights(
        &self,
        at: &Parameters,
        block: Block,
        mut visit: impl FnMut(Range<usize>, f32),
    ) {
        let layout = at.layout();
        if block.has_users() {
            (0..layout.users).for_each(|row| visit(layout.user(row), self.user_weight(row)));
        }
        if block.has_items() {
            (0..layout.items).for_each(|row| visit(layout.item(row), self.item_weight(row)));
        }
        if block.has_shared() && layout.shared > 0 {
            visit(layout.range(Block::Shared), self.examples.len() as f32);
        }
    }
}

impl Point<'_> {
    /// The objective's value. Cost: a score of every example.
    pub fn value(&self) -> f64 {
        let loss = self.objective.model.loss();
        let pass = Pass {
            direction: None,
            block: Block::All,
            weigh: &move |group, scores, _, into| loss::gradient(loss, group, scores, into),
            should_stop: &never,
        };
        let parts = self.parts().into_par_iter();
        let losses: Vec<f64> = parts.map(|users| self.part(users, pass, None)).collect();
        losses.iter().sum::<f64>() + self.penalty() - self.linear_term()
    }

    /// Value and gradient; the gradient goes `into`, and is zero outside `block`. Cost: three times
    /// a score of every example, and a propagation.
    pub fn gradient(&self, block: Block, into: &mut Parameters) -> f64 {
        self.gradient_until(&never, block, into)
    }

    fn gradient_until(
        &self,
        should_stop: ShouldStop<'_>,
        block: Block,
        into: &mut Parameters,
    ) -> f64 {
        let loss = self.objective.model.loss();
        let value = self.vector_jacobian_product(
            Pass {
                direction: None,
                block,
                weigh: &move |group, scores, _, into| loss::gradient(loss, group, scores, into),
                should_stop,
            },
            into,
        );
        self.add_penalty(block, self.at, into);
        if let Some(term) = self.objective.proximal {
            let pairs = into
                .block_mut(block)
                .iter_mut()
                .zip(term.linear.block(block));
            pairs.for_each(|(sum, value)| *sum -= value);
        }
        value + self.penalty() - self.linear_term()
    }

    /// The data gradient: the part of the gradient that comes from the retained pairs alone, without
    /// negatives and penalty. What the gradient is measured against.
    pub fn data_gradient(&self, block: Block, into: &mut Parameters) {
        self.data_gradient_until(&never, block, into);
    }

    fn data_gradient_until(
        &self,
        should_stop: ShouldStop<'_>,
        block: Block,
        into: &mut Parameters,
    ) {
        let loss = self.objective.model.loss();
        let pass = Pass {
            direction: None,
            block,
            weigh: &move |group, scores, _, into| {
                let value = loss::gradient(loss, group, scores, into);
                into[1..].fill(0.0);
                value
            },
            should_stop,
        };
        self.vector_jacobian_product(pass, into);
    }

    /// `‖∇L‖ / ‖g‖`, g the data gradient: how much of it negatives and penalty leave unbalanced; 0 at a
    /// stationary point. The counterpart of ‖∇L‖/‖b‖ for implicit ALS.
    pub fn residual(&self) -> f64 {
        let measured = self.measure(&never);
        measured.map_or(f64::NAN, |measured| measured.residual)
    }

    /// Value and residual. `None` when `should_stop`, asked before every batch of examples, said so.
    /// Cost: two gradients.
    pub fn measure(&self, should_stop: ShouldStop<'_>) -> Option<Measurement> {
        let mut gradient = Parameters::zeros(*self.at.layout());
        let value = self.gradient_until(should_stop, Block::All, &mut gradient);
        let whole = norm(gradient.values());
        self.data_gradient_until(should_stop, Block::All, &mut gradient);
        let data = norm(gradient.values());
        let residual = if data == 0.0 { 0.0 } else { whole / data };
        (!should_stop()).then_some(Measurement { value, residual })
    }

    /// The Gauss–Newton matrix times `direction`, both restricted to `block`; `direction` is zero
    /// outside it. Cost: five times a score of every example, and two propagations.
    pub fn gauss_newton_product(
        &self,
        block: Block,
        direction: &Parameters,
        into: &mut Parameters,
    ) {
        let Objective { model, graph, .. } = *self.objective;
        let loss = model.loss();
        let moved = if model.is_propagated() {
            let mut moved = direction.clone();
            model.propagate(graph, &mut moved);
            Cow::Owned(moved)
        } else {
            Cow::Borrowed(direction)
        };
        let pass = Pass {
            direction: Some(&moved),
            block,
            weigh: &move |group, scores, tangents, into| {
                loss::hessian_vector_product(loss, group, scores, tangents, into);
                0.0
            },
            should_stop: &never,
        };
        self.vector_jacobian_product(pass, into);
        self.add_penalty(block, direction, into);
    }

    fn penalty(&self) -> f64 {
        let mut sum = 0.0;
        self.objective
            .visit_weights(self.at, Block::All, |range, weight| {
                sum += f64::from(weight) * squared_norm(&self.at.values()[range]);
            });
        0.5 * f64::from(self.objective.penalty()) * sum
    }

    /// ⟨r, θ⟩.
    fn linear_term(&self) -> f64 {
        let term = self.objective.proximal;
        term.map_or(0.0, |term| dot(term.linear.values(), self.at.values()))
    }

    /// Adds the penalty's gradient at `at`, which is also its curvature times `at`.
    fn add_penalty(&self, block: Block, at: &Parameters, into: &mut Parameters) {
        let lambda = self.objective.penalty();
        self.objective.visit_weights(at, block, |range, weight| {
            let values = &at.values()[range.clone()];
            let sums = into.values_mut()[range].iter_mut().zip(values);
            sums.for_each(|(sum, value)| *sum += lambda * weight * value);
        });
    }

    /// The vector–Jacobian product `Jᵀ c` for the coefficients that the pass gives, restricted to its
    /// block. Returns the loss.
    fn vector_jacobian_product(&self, pass: Pass<'_>, into: &mut Parameters) -> f64 {
        into.values_mut().fill(0.0);
        let Objective { model, graph, .. } = *self.objective;
        if !model.is_propagated() {
            return self.sum(pass, into);
        }
        // A row's gradient comes through its neighbours, so all are needed for any.
        let everything = Pass {
            block: Block::All,
            ..pass
        };
        let loss = self.sum(everything, into);
        model.propagate(graph, into);
        for other in [Block::Users, Block::Items, Block::Shared] {
            if pass.block != Block::All && pass.block != other {
                into.block_mut(other).fill(0.0);
            }
        }
        loss
    }

    /// The users in parts of about the same number of examples.
    fn parts(&self) -> Vec<Range<usize>> {
        let examples = self.objective.examples;
        let rows = 0..examples.user_rows();
        partition(rows.map(|row| examples.user(row as u32).len()), PARTS)
    }

    /// The sum over all examples, in parts that are added up in order.
    fn sum(&self, pass: Pass<'_>, into: &mut Parameters) -> f64 {
        let layout = *into.layout();
        let (mut users, items, shared) = into.parts_mut();
        let mut tasks = Vec::new();
        for range in self.parts() {
            let (own, rest) = users.split_at_mut(range.len() * layout.user_width);
            users = rest;
            tasks.push((range, own));
        }
        let sized = |wanted: bool, length| vec![0.0; if wanted { length } else { 0 }];
        let share = |(range, users)| {
            let mut share = Share {
                loss: 0.0,
                items: sized(pass.block.has_items(), items.len()),
                shared: sized(pass.block.has_shared(), shared.len()),
            };
            let sums = Sums {
                users,
                items: &mut share.items,
                shared: &mut share.shared,
            };
            share.loss = self.part(range, pass, Some(sums));
            share
        };
        let shares: Vec<Share> = tasks.into_par_iter().map(share).collect();
        for share in &shares {
            add(items, &share.items);
            add(shared, &share.shared);
        }
        shares.iter().map(|share| share.loss).sum()
    }

    /// The loss of some users' examples, in batches of whole groups; their gradients go `into`.
    fn part(&self, users: Range<usize>, pass: Pass<'_>, mut into: Option<Sums<'_>>) -> f64 {
        let examples = self.objective.examples;
        let (mut batch, mut loss) = (Batch::default(), 0.0);
        let (mut owners, mut items) = (Vec::new(), Vec::new());
        let first = users.start;
        for user in users {
            for group in examples.user(user as u32).chunks_exact(examples.stride()) {
                if !items.is_empty() && items.len() + group.len() > BATCH_PAIRS {
                    if (pass.should_stop)() {
                        return loss;
                    }
                    loss += self.run(&owners, &items, first, pass, &mut batch, into.as_mut());
                    owners.clear();
                    items.clear();
                }
                items.extend_from_slice(group);
                owners.resize(items.len(), user as u32);
            }
        }
        if !items.is_empty() && !(pass.should_stop)() {
            loss += self.run(&owners, &items, first, pass, &mut batch, into.as_mut());
        }
        loss
    }

    /// One batch: scores, loss, and gradients when somebody takes them. `first` is the user whose
    /// row comes first in `into`.
    fn run(
        &self,
        owners: &[u32],
        items: &[u32],
        first: usize,
        pass: Pass<'_>,
        batch: &mut Batch,
        into: Option<&mut Sums<'_>>,
    ) -> f64 {
        let Objective {
            model, examples, ..
        } = *self.objective;
        let pairs = || owners.iter().copied().zip(items.iter().copied());
        let shared = self.at.shared();
        batch.gather(&self.propagated, pairs());
        model.forward(shared, batch);
        if let Some(direction) = pass.direction {
            match pass.block {
                Block::Shared => batch.clear_tangents(),
                _ => batch.gather_tangents(direction, pairs()),
            }
            let direction = pass.block.has_shared().then(|| direction.shared());
            model.tangent(shared, direction, batch);
        }
        let loss = weigh(examples.stride(), items, pass.weigh, batch);
        let Some(into) = into else {
            return loss;
        };
        batch.layers_only = pass.block == Block::Shared;
        let by_shared = pass.block.has_shared().then_some(&mut *into.shared);
        model.backward(shared, batch, by_shared);
        let layout = self.at.layout();
        if pass.block.has_users() {
            let rows = owners.iter().map(|user| *user as usize - first);
            scatter(into.users, layout.user_width, rows, &batch.user_gradients);
        }
        if pass.block.has_items() {
            let rows = items.iter().map(|item| *item as usize);
            scatter(into.items, layout.item_width, rows, &batch.item_gradients);
        }
        loss
    }
}

/// Lets `weigh` set the coefficients of every group of a batch.
fn weigh(stride: usize, items: &[u32], weigh: &Weigh<'_>, batch: &mut Batch) -> f64 {
    let groups = items.chunks_exact(stride);
    let scores = batch.scores.chunks_exact(stride);
    let tangents = batch.tangents.chunks_exact(stride);
    let coefficients = batch.coefficients.chunks_exact_mut(stride);
    groups
        .zip(scores)
        .zip(tangents.zip(coefficients))
        .map(|((group, scores), (tangents, into))| weigh(group, scores, tangents, into))
        .sum()
}

/// Adds each gradient to its row.
pub(super) fn scatter(
    into: &mut [f32],
    width: usize,
    rows: impl Iterator<Item = usize>,
    gradients: &[f32],
) {
    for (row, gradient) in rows.zip(gradients.chunks_exact(width)) {
        let sums = into[row * width..(row + 1) * width].iter_mut();
        sums.zip(gradient).for_each(|(sum, value)| *sum += value);
    }
}

fn add(into: &mut [f32], what: &[f32]) {
    let sums = into.par_iter_mut().zip(what);
    sums.for_each(|(sum, value)| *sum += value);
}
