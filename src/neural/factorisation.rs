//! Matrix factorisation by gradients: the plainest model, with logistic loss or BPR.

use serde::{Deserialize, Serialize};

use crate::neural::inner_product;
use crate::neural::loss::Loss;
use crate::neural::network::{Batch, NeuralModel};
use crate::neural::parameters::Layout;

/// Hyper-parameters of matrix factorisation; a model by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Factorisation {
    /// Latent dimensions d.
    pub dim: usize,
    /// What scores are judged by.
    pub loss: Loss,
    /// Negatives of each pair.
    pub negatives: usize,
    /// Strength of the quadratic penalty.
    pub lambda: f64,
}

impl Default for Factorisation {
    fn default() -> Self {
        Self {
            dim: 64,
            loss: Loss::Bpr,
            negatives: 1,
            lambda: 1e-3,
        }
    }
}

impl NeuralModel for Factorisation {
    fn layout(&self, users: usize, items: usize) -> Layout {
        inner_product::layout(self.dim, users, items)
    }

    fn initialise_shared(&self, _shared: &mut [f32], _seed: u64) {}

    fn row_deviation(&self) -> f32 {
        0.1 / (self.dim as f32).sqrt()
    }

    fn loss(&self) -> Loss {
        self.loss
    }

    fn lambda(&self) -> f32 {
        self.lambda as f32
    }

    fn negatives(&self) -> usize {
        self.negatives
    }

    fn is_inner_product(&self) -> bool {
        true
    }

    fn forward(&self, _shared: &[f32], batch: &mut Batch) {
        inner_product::forward(self.dim, batch);
    }

    fn tangent(&self, _shared: &[f32], _direction: Option<&[f32]>, batch: &mut Batch) {
        inner_product::tangent(self.dim, batch);
    }

    fn backward(&self, _shared: &[f32], batch: &mut Batch, _gradient: Option<&mut [f32]>) {
        inner_product::backward(self.dim, batch);
    }
}
