//! Which model is trained and unlearns.

use serde::{Deserialize, Serialize};

use super::error::RecipeError;
use super::neural::{NeuralSpec, TrainingSpec};
use recant_types::{Factorisation, IalsHyperparameters, LightGcn, ModelSpecification, NeuMf};

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ModelSpec {
    /// Implicit alternating least squares.
    Ials(IalsSpec),
    /// Neural matrix factorisation.
    NeuMf(NeuralSpec<NeuMf>),
    /// Light graph convolution.
    LightGcn(NeuralSpec<LightGcn>),
    /// Matrix factorisation by gradients.
    Factorisation(NeuralSpec<Factorisation>),
}

/// Implicit alternating least squares; see [`IalsHyperparameters`] for the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IalsSpec {
    /// Its name, when a recipe has several.
    pub name: Option<String>,
    /// Number of latent dimensions.
    pub dim: usize,
    /// Weight of every pair.
    pub alpha0: f64,
    /// Regularisation strength.
    pub lambda: f64,
    /// Exponent of the frequency scaling.
    pub nu: f64,
    /// Temperature of the softmax that divergences are taken of. Scores are about 0 to 1.
    pub temperature: f64,
}

impl Default for IalsSpec {
    fn default() -> Self {
        let hyper = IalsHyperparameters::default();
        Self {
            name: None,
            dim: hyper.dim,
            alpha0: hyper.alpha0,
            lambda: hyper.lambda,
            nu: hyper.nu,
            temperature: 0.1,
        }
    }
}

impl IalsSpec {
    pub(crate) fn hyperparameters(&self) -> IalsHyperparameters {
        IalsHyperparameters {
            dim: self.dim,
            alpha0: self.alpha0,
            lambda: self.lambda,
            nu: self.nu,
        }
    }
}

impl ModelSpec {
    /// What tables call it.
    pub fn label(&self) -> String {
        let (name, usual) = match self {
            Self::Ials(spec) => (&spec.name, format!("iALS, d = {}", spec.dim)),
            Self::NeuMf(spec) => (&spec.name, format!("NeuMF-{}", spec.parameters.factors)),
            Self::LightGcn(spec) => (&spec.name, format!("LightGCN-{}", spec.parameters.layers)),
            Self::Factorisation(spec) => (&spec.name, format!("MF, d = {}", spec.parameters.dim)),
        };
        name.clone().unwrap_or(usual)
    }

    /// Temperature of the softmax that divergences are taken of.
    pub fn temperature(&self) -> f64 {
        match self {
            Self::Ials(spec) => spec.temperature,
            Self::NeuMf(spec) => spec.temperature,
            Self::LightGcn(spec) => spec.temperature,
            Self::Factorisation(spec) => spec.temperature,
        }
    }

    /// Whether it is trained by gradients, and so ends elsewhere from another seed.
    pub fn is_neural(&self) -> bool {
        !matches!(self, Self::Ials(_))
    }

    /// The model and its training, if it is neural.
    pub(crate) fn neural(&self) -> Option<(ModelSpecification, TrainingSpec)> {
        match self {
            Self::Ials(_) => None,
            Self::NeuMf(spec) => Some((
                ModelSpecification::NeuMf(spec.parameters.clone()),
                spec.training,
            )),
            Self::LightGcn(spec) => {
                Some((ModelSpecification::LightGcn(spec.parameters), spec.training))
            }
            Self::Factorisation(spec) => Some((
                ModelSpecification::Factorisation(spec.parameters),
                spec.training,
            )),
        }
    }

    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let invalid = |reason: String| {
            let place = format!("model {}", self.label());
            Err(RecipeError::Invalid { place, reason })
        };
        if !(self.temperature() > 0.0 && self.temperature().is_finite()) {
            return invalid("temperature must be positive".to_owned());
        }
        if let Self::Ials(spec) = self
            && let Err(error) = spec.hyperparameters().checked()
        {
            return invalid(error.to_string());
        }
        match self.neural() {
            Some((specification, training)) => {
                match (specification.checked(), training.problem()) {
                    (Err(error), _) => invalid(error.to_string()),
                    (_, Some(problem)) => invalid(problem.to_owned()),
                    _ => Ok(()),
                }
            }
            None => Ok(()),
        }
    }
}
