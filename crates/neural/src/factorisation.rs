//! Matrix factorisation by gradients: the plainest model, with logistic loss or BPR.

use crate::inner_product;
use crate::network::{Batch, NeuralModel};
use crate::parameters::Layout;
use recant_types::{Factorisation, Loss};

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
