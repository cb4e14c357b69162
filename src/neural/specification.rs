//! Which model, with which hyper-parameters: the one list of kinds.

use serde::{Deserialize, Serialize};

use crate::neural::factorisation::Factorisation;
use crate::neural::lightgcn::LightGcn;
use crate::neural::network::NeuralModel;
use crate::neural::neumf::{LAYERS_MAX, NeuMf};

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
    /// Which.
    pub name: &'static str,
    /// What it is.
    pub value: String,
    /// What it may be.
    pub range: &'static str,
}

impl ModelSpecification {
    /// The model itself.
    pub fn model(&self) -> &dyn NeuralModel {
        match self {
            Self::NeuMf(model) => model,
            Self::LightGcn(model) => model,
            Self::Factorisation(model) => model,
        }
    }

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
        let model = self.model();
        let lambda = model.lambda();
        if !(lambda >= 0.0 && lambda.is_finite()) {
            return Err(out_of_range("lambda", lambda, "a finite number from 0 on"));
        }
        if !(1..=100).contains(&model.negatives()) {
            return Err(out_of_range("negatives", model.negatives(), "1 to 100"));
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
