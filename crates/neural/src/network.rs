//! What a neural model is: a differentiable score of a user and an item.

use crate::graph::Graph;
use crate::parameters::{Layout, Parameters};
use recant_types::Loss;

/// A score of user and item that can be differentiated by the user's row, the item's row and the
/// shared layers.
///
/// This is all that a model has to say. Training, the curvature of the objective, unlearning,
/// scores for a whole catalogue and everything that the service does are made out of it, so a new
/// model is one implementation and one entry in [`ModelSpecification`].
///
/// Rows are **propagated** first: mixed along the graph of retained interactions by a linear map,
/// the identity for most models. Then pairs are scored in batches of propagated rows.
///
/// [`ModelSpecification`]: recant_types::ModelSpecification
pub trait NeuralModel: Send + Sync + std::fmt::Debug {
    /// How many parameters a user, an item and the shared layers have.
    fn layout(&self, users: usize, items: usize) -> Layout;

    /// Writes the initial shared layers, a function of the seed. (Rows begin as normal numbers of
    /// deviation [`NeuralModel::row_deviation`].)
    fn initialise_shared(&self, shared: &mut [f32], seed: u64);

    /// Standard deviation of a row's initial values.
    fn row_deviation(&self) -> f32;

    /// What its scores are judged by.
    fn loss(&self) -> Loss;

    /// Strength λ of the quadratic penalty; see
    /// [`Objective`](crate::Objective).
    fn lambda(&self) -> f32;

    /// Negatives of each pair.
    fn negatives(&self) -> usize;

    /// Whether [`NeuralModel::propagate`] does something: then a row's scores depend on its
    /// neighbours' rows.
    fn is_propagated(&self) -> bool {
        false
    }

    /// Whether a score is the inner product of the propagated rows, and so can be searched in an
    /// index of inner products.
    fn is_inner_product(&self) -> bool;

    /// Mixes rows along the graph, in place. A linear map that is its own adjoint.
    fn propagate(&self, _graph: &Graph, _rows: &mut Parameters) {}

    /// Scores of a batch, from its rows.
    fn forward(&self, shared: &[f32], batch: &mut Batch);

    /// After [`NeuralModel::forward`]: derivatives of the scores along the batch's tangents and,
    /// when given, a direction of the shared layers.
    fn tangent(&self, shared: &[f32], direction: Option<&[f32]>, batch: &mut Batch);

    /// After [`NeuralModel::forward`]: for each pair its coefficient times the gradient of its
    /// score by both rows; the sum of these by the shared layers is added to `shared_gradient`.
    fn backward(&self, shared: &[f32], batch: &mut Batch, shared_gradient: Option<&mut [f32]>);
}

/// Pairs in one batch: few enough that what a layer makes of them stays in the second-level cache.
pub const BATCH_PAIRS: usize = 512;

/// Pairs of propagated rows, and what a model computes about them. All matrices hold one pair after
/// another.
#[derive(Debug, Default)]
pub struct Batch {
    /// Number of pairs.
    pub pairs: usize,
    /// Rows of the users, pairs × user width.
    pub users: Vec<f32>,
    /// Rows of the items, pairs × item width.
    pub items: Vec<f32>,
    /// Directions of the users' rows; empty when rows are frozen.
    pub user_tangents: Vec<f32>,
    /// Directions of the items' rows; empty when rows are frozen.
    pub item_tangents: Vec<f32>,
    /// Scores.
    pub scores: Vec<f32>,
    /// Derivatives of the scores along the directions.
    pub tangents: Vec<f32>,
    /// Weights of the scores' gradients.
    pub coefficients: Vec<f32>,
    /// Whether nobody wants the gradients by rows, so that they need not be computed.
    pub layers_only: bool,
    /// Weighted gradients by the users' rows.
    pub user_gradients: Vec<f32>,
    /// Weighted gradients by the items' rows.
    pub item_gradients: Vec<f32>,
    /// Room for what the model keeps between its calls.
    pub layers: Vec<Vec<f32>>,
}

impl Batch {
    /// Takes the rows of some pairs out of `at`.
    pub fn gather(&mut self, at: &Parameters, pairs: impl Iterator<Item = (u32, u32)>) {
        self.users.clear();
        self.items.clear();
        self.pairs = 0;
        for (user, item) in pairs {
            self.users.extend_from_slice(at.user(user));
            self.items.extend_from_slice(at.item(item));
            self.pairs += 1;
        }
        self.fit();
    }

    /// Takes the directions of the same pairs' rows.
    pub fn gather_tangents(
        &mut self,
        direction: &Parameters,
        pairs: impl Iterator<Item = (u32, u32)>,
    ) {
        self.user_tangents.clear();
        self.item_tangents.clear();
        for (user, item) in pairs {
            self.user_tangents.extend_from_slice(direction.user(user));
            self.item_tangents.extend_from_slice(direction.item(item));
        }
    }

    /// Notes that rows are frozen.
    pub fn clear_tangents(&mut self) {
        self.user_tangents.clear();
        self.item_tangents.clear();
    }

    /// Makes room for results of the pairs there are.
    pub fn fit(&mut self) {
        for values in [&mut self.scores, &mut self.tangents, &mut self.coefficients] {
            values.resize(self.pairs, 0.0);
        }
        self.user_gradients.resize(self.users.len(), 0.0);
        self.item_gradients.resize(self.items.len(), 0.0);
    }
}

/// Cuts a buffer to `length`, whatever it held.
pub(crate) fn sized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    buffer.resize(length, 0.0);
    &mut buffer[..]
}
