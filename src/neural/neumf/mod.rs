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
use serde::{Deserialize, Serialize};

use crate::neural::loss::Loss;
use crate::neural::network::{Batch, NeuralModel};
use crate::neural::neumf::perceptron::{Head, Tower};
use crate::neural::parameters::Layout;

/// Most layers of the tower.
pub const LAYERS_MAX: usize = 8;

/// Hyper-parameters of NeuMF; a model by themselves. The defaults are the authors' with 8
/// predictive factors, and a penalty that they leave at 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeuMf {
    /// Dimensions of the GMF part of a row.
    pub factors: usize,
    /// Widths of the tower: first its input, half of which is the MLP part of a row, then each
    /// layer's output.
    pub layers: Vec<usize>,
    /// Negatives of each pair.
    pub negatives: usize,
    /// Strength of the quadratic penalty.
    pub lambda: f64,
}

impl Default for NeuMf {
    fn default() -> Self {
        Self {
            factors: 8,
            layers: vec![64, 32, 16, 8],
            negatives: 4,
            lambda: 1e-5,
        }
    }
}

impl NeuMf {
    /// The authors' shape for so many predictive factors f: GMF of f, tower 8f, 4f, 2f, f.
    pub fn with_factors(factors: usize) -> Self {
        Self {
            factors,
            layers: [8, 4, 2, 1].map(|times| times * factors).to_vec(),
            ..Self::default()
        }
    }

    fn tower(&self) -> Tower<'_> {
        Tower {
            widths: &self.layers,
        }
    }

    fn head(&self) -> Head {
        Head {
            factors: self.factors,
            embedding: self.layers[0] / 2,
            output: *self.layers.last().expect("a tower has layers"),
        }
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
            shared: self.tower().parameters() + self.head().parameters(),
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
        for layer in self.tower().layers() {
            let bound = (6.0 / (layer.inputs + layer.outputs) as f32).sqrt();
            uniform(&mut shared[layer.weights()], bound);
        }
        let head = self.head();
        let inputs = head.factors + head.output;
        let start = self.tower().parameters();
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
        let (tower, head) = shared.split_at(self.tower().parameters());
        self.tower().forward(tower, self.factors, batch);
        self.head().forward(head, batch);
    }

    fn tangent(&self, shared: &[f32], direction: Option<&[f32]>, batch: &mut Batch) {
        let cut = self.tower().parameters();
        let (tower, head) = shared.split_at(cut);
        let (tower_way, head_way) = direction.map(|way| way.split_at(cut)).unzip();
        self.tower().tangent(tower, tower_way, self.factors, batch);
        self.head().tangent(head, head_way, batch);
    }

    fn backward(&self, shared: &[f32], batch: &mut Batch, shared_gradient: Option<&mut [f32]>) {
        let cut = self.tower().parameters();
        let (tower, head) = shared.split_at(cut);
        let (tower_gradient, head_gradient) = match shared_gradient {
            Some(gradient) => {
                let (tower, head) = gradient.split_at_mut(cut);
                (Some(tower), Some(head))
            }
            None => (None, None),
        };
        self.head().backward(head, batch, head_gradient);
        self.tower()
            .backward(tower, self.factors, batch, tower_gradient);
    }
}
