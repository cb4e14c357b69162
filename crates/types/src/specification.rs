//! Which model, with which hyper-parameters: the one list of kinds, as plain data. What each does is
//! in `recant-neural`.

use serde::{Deserialize, Serialize};

/// The loss of a group: a positive and its negatives, as their scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Binary cross-entropy of σ(score), label 1 for the positive and 0 for a negative (He et al.
    /// 2017, equation 7). Each example counts by itself.
    Logistic,
    /// `−ln σ(positive − negative)` for each negative (Rendle et al. 2009; He et al. 2020,
    /// equation 15).
    Bpr,
}

impl Loss {
    /// Whether the loss is a sum over single examples, so that an item's own problem needs no score
    /// of another item.
    pub fn is_pointwise(self) -> bool {
        self == Self::Logistic
    }
}

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
            lambda: 3e-5,
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
}

/// Hyper-parameters of LightGCN; a model by themselves. The defaults are the authors', but for λ,
/// which here weighs every example of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LightGcn {
    /// Dimensions d of an embedding.
    pub dim: usize,
    /// Rounds of propagation K.
    pub layers: usize,
    /// Strength of the quadratic penalty on embeddings.
    pub lambda: f64,
}

impl Default for LightGcn {
    fn default() -> Self {
        Self {
            dim: 64,
            layers: 3,
            lambda: 1e-4,
        }
    }
}

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

/// Largest width of a row or a layer: a row must fit into one record of the store.
pub const WIDTH_MAX: usize = 1024;

/// A kind of model and its hyper-parameters. Another kind is another variant here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ModelSpecification {
    /// Neural matrix factorisation.
    NeuMf(NeuMf),
    /// Light graph convolution.
    LightGcn(LightGcn),
    /// Matrix factorisation by gradients.
    Factorisation(Factorisation),
}

/// A hyper-parameter out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} is {value}: it must be {range}")]
pub struct OutOfRange {
    /// The name of the hyper-parameter.
    pub name: &'static str,
    /// The value that was given.
    pub value: String,
    /// The values that it may have.
    pub range: &'static str,
}

impl ModelSpecification {
    /// Its name in configuration, commands and answers.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NeuMf(_) => "neumf",
            Self::LightGcn(_) => "lightgcn",
            Self::Factorisation(_) => "factorisation",
        }
    }

    /// The same if every hyper-parameter is in range.
    pub fn checked(self) -> Result<Self, OutOfRange> {
        let (lambda, negatives) = match &self {
            Self::NeuMf(model) => (model.lambda, model.negatives),
            Self::LightGcn(model) => (model.lambda, 1),
            Self::Factorisation(model) => (model.lambda, model.negatives),
        };
        if !(lambda >= 0.0 && lambda.is_finite()) {
            return Err(out_of_range("lambda", lambda, "a finite number from 0 on"));
        }
        if !(1..=100).contains(&negatives) {
            return Err(out_of_range("negatives", negatives, "1 to 100"));
        }
        match &self {
            Self::NeuMf(model) => check_widths(model)?,
            Self::LightGcn(model) => {
                check_width("dim", model.dim)?;
                if model.layers > 8 {
                    return Err(out_of_range("layers", model.layers, "0 to 8"));
                }
            }
            Self::Factorisation(model) => check_width("dim", model.dim)?,
        }
        Ok(self)
    }
}

fn check_widths(model: &NeuMf) -> Result<(), OutOfRange> {
    check_width("factors", model.factors)?;
    model
        .layers
        .iter()
        .try_for_each(|width| check_width("layers", *width))?;
    let is_tower = (2..=LAYERS_MAX + 1).contains(&model.layers.len());
    if !is_tower || model.layers[0] % 2 == 1 {
        let value = format!("{:?}", model.layers);
        let range = "2 to 9 widths, the first even";
        return Err(out_of_range("layers", value, range));
    }
    Ok(())
}

fn check_width(name: &'static str, width: usize) -> Result<(), OutOfRange> {
    match width {
        1..=WIDTH_MAX => Ok(()),
        _ => Err(out_of_range(name, width, "1 to 1024")),
    }
}

fn out_of_range(name: &'static str, value: impl ToString, range: &'static str) -> OutOfRange {
    OutOfRange {
        name,
        value: value.to_string(),
        range,
    }
}
