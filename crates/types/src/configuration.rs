//! Which model there is, of all kinds.

use serde::{Deserialize, Serialize};

use crate::hyper::IalsHyperparameters;
use crate::specification::ModelSpecification;

/// One kind of model with its hyper-parameters: what is configured, stored, trained and served.
///
/// Stored as a field of its kind beside others, `hyperparameters` or `neural`. Earlier versions wrote
/// numbers of implicit ALS beside a neural model too, which meant nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub enum ModelConfiguration {
    /// Implicit alternating least squares.
    Ials(IalsHyperparameters),
    /// A neural model.
    Neural(ModelSpecification),
}

impl ModelConfiguration {
    /// Its name in configuration, commands and answers.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ials(_) => "ials",
            Self::Neural(specification) => specification.kind(),
        }
    }

    /// The hyper-parameters of implicit ALS, if that is what it is.
    pub fn ials(&self) -> Option<IalsHyperparameters> {
        match self {
            Self::Ials(hyperparameters) => Some(*hyperparameters),
            Self::Neural(_) => None,
        }
    }

    /// The neural model, if that is what it is.
    pub fn neural(&self) -> Option<&ModelSpecification> {
        match self {
            Self::Ials(_) => None,
            Self::Neural(specification) => Some(specification),
        }
    }
}

impl Default for ModelConfiguration {
    fn default() -> Self {
        Self::Ials(IalsHyperparameters::default())
    }
}

impl From<IalsHyperparameters> for ModelConfiguration {
    fn from(hyperparameters: IalsHyperparameters) -> Self {
        Self::Ials(hyperparameters)
    }
}

/// The form on the disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hyperparameters: Option<IalsHyperparameters>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    neural: Option<ModelSpecification>,
}

/// Neither kind of model is there.
#[derive(Debug, thiserror::Error)]
#[error("there are hyper-parameters of no kind of model")]
struct NoModel;

impl TryFrom<Stored> for ModelConfiguration {
    type Error = NoModel;
    fn try_from(stored: Stored) -> Result<Self, NoModel> {
        match (stored.neural, stored.hyperparameters) {
            (Some(specification), _) => Ok(Self::Neural(specification)),
            (None, Some(hyperparameters)) => Ok(Self::Ials(hyperparameters)),
            (None, None) => Err(NoModel),
        }
    }
}

impl From<ModelConfiguration> for Stored {
    fn from(model: ModelConfiguration) -> Self {
        match model {
            ModelConfiguration::Ials(hyperparameters) => Self {
                hyperparameters: Some(hyperparameters),
                neural: None,
            },
            ModelConfiguration::Neural(specification) => Self {
                hyperparameters: None,
                neural: Some(specification),
            },
        }
    }
}
