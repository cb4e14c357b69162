//! Which model is trained and unlearns.

use serde::{Deserialize, Serialize};

use super::RecipeError;
use crate::model::hyper::IalsHyperparameters;

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSpec {
    /// Implicit alternating least squares.
    Ials {
        /// Its name, when a recipe has several.
        #[serde(default)]
        name: Option<String>,
        /// See [`IalsHyperparameters`].
        #[serde(default = "ials_dim")]
        dim: usize,
        /// See [`IalsHyperparameters`].
        #[serde(default = "ials_alpha0")]
        alpha0: f64,
        /// See [`IalsHyperparameters`].
        #[serde(default = "ials_lambda")]
        lambda: f64,
        /// See [`IalsHyperparameters`].
        #[serde(default = "ials_nu")]
        nu: f64,
        /// Temperature of the softmax that divergences are taken of. Scores are about 0 to 1.
        #[serde(default = "ials_temperature")]
        temperature: f64,
    },
}

fn ials_dim() -> usize {
    IalsHyperparameters::default().dim
}

fn ials_alpha0() -> f64 {
    IalsHyperparameters::default().alpha0
}

fn ials_lambda() -> f64 {
    IalsHyperparameters::default().lambda
}

fn ials_nu() -> f64 {
    IalsHyperparameters::default().nu
}

fn ials_temperature() -> f64 {
    0.1
}

impl ModelSpec {
    /// What tables call it.
    pub fn label(&self) -> String {
        match self {
            Self::Ials { name, dim, .. } => {
                name.clone().unwrap_or_else(|| format!("iALS, d = {dim}"))
            }
        }
    }

    /// Temperature of the softmax that divergences are taken of.
    pub fn temperature(&self) -> f64 {
        match self {
            Self::Ials { temperature, .. } => *temperature,
        }
    }

    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let place = || format!("model {}", self.label());
        if !(self.temperature() > 0.0 && self.temperature().is_finite()) {
            return Err(RecipeError::invalid(
                place(),
                "temperature must be positive",
            ));
        }
        match self {
            Self::Ials { .. } => match self.ials().map(IalsHyperparameters::checked) {
                Some(Err(error)) => Err(RecipeError::invalid(place(), error.to_string())),
                _ => Ok(()),
            },
        }
    }

    /// The hyper-parameters, if it is iALS.
    pub(crate) fn ials(&self) -> Option<IalsHyperparameters> {
        match *self {
            Self::Ials {
                dim,
                alpha0,
                lambda,
                nu,
                ..
            } => Some(IalsHyperparameters {
                dim,
                alpha0,
                lambda,
                nu,
            }),
        }
    }
}
