//! NeuMF: generalised matrix factorisation and a multi-layer perceptron, side by side.
//!
//! He, Liao, Zhang, Nie, Hu & Chua, "Neural Collaborative Filtering" (WWW 2017), section 3.4. A row
//! of a user or item is a GMF part and an MLP part. The score is
//! `h_G·(p_G ∘ q_G) + h_M·φ([p_M; q_M]) + b`, where φ is a tower of layers `ReLU(W x + b)`; its
//! sigmoid is the probability of an interaction (equations 12 and 7). Trained by the logistic loss
//! with four negatives a pair, from scratch, without pre-training.

mod perceptron;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_types::{Loss, NeuMf};

use crate::network::{Batch, NeuralModel};
use crate::neumf::perceptron::{Head, Tower};
use crate::parameters::Layout;

fn tower_of(model: &NeuMf) -> Tower<'_> {
    Tower {
        widths: &model.layers,
    }
}

fn head_of(model: &NeuMf) -> Head {
    Head {
        factors: model.factors,
        embedding: model.layers[0] / 2,
        output: *model.layers.last().expect("a tower has layers"),
    }
}

impl NeuralModel for NeuMf {
    fn layout(&self, users: usize, items: usize) -> Layout {
        let width = self.factors + self.layers[0] / 2;
        Layout {
            users,
            items,
            user_width: width,
            item_width: width,
            shared: tower_of(self).parameters() + head_of(self).parameters(),
        }
    }

    /// Layers by Glorot & Bengio (2010), uniform; the last one by LeCun et al. (1998), uniform, as
    /// the authors' code has it. Biases are zero.
    fn initialise_shared(&self, shared: &mut [f32], seed: u64) {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut uniform = |values: &mut [f32], bound: f32| {
            let fresh = values.iter_mut();
            fresh.for_each(|value| *value = bound * (2.0 * random.random::<f32>() - 1.0));
        };
        for layer in tower_of(self).layers() {
            let bound = (6.0 / (layer.inputs + layer.outputs) as f32).sqrt();
            uniform(&mut shared[layer.weights()], bound);
        }
        let head = head_of(self);
        let inputs = head.factors + head.output;
        let start = tower_of(self).parameters();
        uniform(
            &mut shared[start..start + inputs],
            (3.0 / inputs as f32).sqrt(),
        );
    }

    fn row_deviation(&self) -> f32 {
        0.01
    }

    fn loss(&self) -> Loss {
        Loss::Logistic
    }

    fn lambda(&self) -> f32 {
        self.lambda as f32
    }

    fn negatives(&self) -> usize {
        self.negatives
    }

    fn is_inner_product(&self) -> bool {
        false
    }

    fn forward(&self, shared: &[f32], batch: &mut Batch) {
        let (tower, head) = shared.split_at(tower_of(self).parameters());
        tower_of(self).forward(tower, self.factors, batch);
        head_of(self).forward(head, batch);
    }

    fn tangent(&self, shared: &[f32], direction: Option<&[f32]>, batch: &mut Batch) {
        let cut = tower_of(self).parameters();
        let (tower, head) = shared.split_at(cut);
        let (tower_direction, head_direction) =
            direction.map(|direction| direction.split_at(cut)).unzip();
        tower_of(self).tangent(tower, tower_direction, self.factors, batch);
        head_of(self).tangent(head, head_direction, batch);
    }

    fn backward(&self, shared: &[f32], batch: &mut Batch, shared_gradient: Option<&mut [f32]>) {
        let cut = tower_of(self).parameters();
        let (tower, head) = shared.split_at(cut);
        let (tower_gradient, head_gradient) = match shared_gradient {
            Some(gradient) => {
                let (tower, head) = gradient.split_at_mut(cut);
                (Some(tower), Some(head))
            }
            None => (None, None),
        };
        head_of(self).backward(head, batch, head_gradient);
        tower_of(self).backward(tower, self.factors, batch, tower_gradient);
    }
}
