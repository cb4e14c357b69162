//! What learns: one kind of model with its parameters.

use std::borrow::Cow;
use std::sync::Arc;

use crate::dirty::DirtyRows;
use crate::neural_learner::NeuralLearner;
use crate::snapshot::ServedModel;
use crate::versions::VersionError;
use recant_core::model::ials::Ials;
use recant_core::model::interactions::InteractionMatrix;
use recant_core::unlearn::converge::Warm;
use recant_types::{IalsHyperparameters, ModelConfiguration};

/// The model under training, owned by the trainer.
#[derive(Debug)]
pub enum Learner {
    /// Implicit alternating least squares.
    Ials(IalsLearner),
    /// A neural model.
    Neural(NeuralLearner),
}

/// Implicit ALS under training.
#[derive(Debug)]
pub struct IalsLearner {
    /// Factors and Gramians.
    pub model: Ials,
    /// What one refinement leaves for the next.
    pub warm: Warm,
}

impl IalsLearner {
    /// A learner with these factors, of which nothing else is known yet; block factors may take
    /// `cache_bytes_max` bytes.
    pub fn new(model: Ials, cache_bytes_max: usize) -> Self {
        let warm = Warm::new(cache_bytes_max);
        Self { model, warm }
    }
}

impl From<Ials> for Learner {
    /// A learner that keeps nothing between updates but the factors.
    fn from(model: Ials) -> Self {
        Self::Ials(IalsLearner::new(model, 0))
    }
}

impl From<NeuralLearner> for Learner {
    fn from(learner: NeuralLearner) -> Self {
        Self::Neural(learner)
    }
}

impl Learner {
    /// An implicit ALS model without rows.
    pub fn empty(hyperparameters: IalsHyperparameters) -> Self {
        Ials::zeros(hyperparameters, 0, 0).into()
    }

    /// Kind and hyper-parameters.
    pub fn configuration(&self) -> ModelConfiguration {
        match self {
            Self::Ials(learner) => ModelConfiguration::Ials(learner.model.hyper),
            Self::Neural(learner) => ModelConfiguration::Neural(learner.specification.clone()),
        }
    }

    /// The factors of implicit ALS, to change, if that is what it is.
    pub fn ials_mut(&mut self) -> Option<&mut Ials> {
        match self {
            Self::Ials(learner) => Some(&mut learner.model),
            Self::Neural(_) => None,
        }
    }

    /// The factors of implicit ALS, if that is what it is.
    pub fn into_ials(self) -> Option<Ials> {
        match self {
            Self::Ials(learner) => Some(learner.model),
            Self::Neural(_) => None,
        }
    }

    /// The neural model, if that is what it is.
    pub fn neural(&self) -> Option<&NeuralLearner> {
        match self {
            Self::Ials(_) => None,
            Self::Neural(learner) => Some(learner),
        }
    }

    /// What readers need of it besides the rows.
    pub fn served(&self) -> ServedModel {
        match self {
            Self::Ials(learner) => ServedModel::Ials {
                hyperparameters: learner.model.hyper,
                item_gramian: Arc::new(learner.model.item_gramian.clone()),
            },
            Self::Neural(learner) => ServedModel::Neural(Arc::new(learner.network())),
        }
    }

    /// Whether some row with interactions in `matrix` has no parameters: data that arrived while no
    /// model looked.
    pub fn has_unlearnt_rows(&self, matrix: &InteractionMatrix) -> bool {
        match self {
            Self::Ials(learner) => (0..matrix.item_rows()).any(|row| {
                !matrix.item(row as u32).is_empty()
                    && learner.model.items.row(row).iter().all(|v| *v == 0.0)
            }),
            Self::Neural(learner) => learner.has_unlearnt_rows(),
        }
    }

    /// The parameters of an item as they are stored.
    pub fn item_row(&self, row: u32) -> Cow<'_, [f64]> {
        match self {
            Self::Ials(learner) => Cow::Borrowed(learner.model.items.row(row as usize)),
            Self::Neural(learner) => learner
                .parameters
                .item(row)
                .iter()
                .map(|value| f64::from(*value))
                .collect(),
        }
    }

    /// Refuses parameters that are no finite numbers, before they are stored or shown.
    pub fn check_finite(&self, dirty: &DirtyRows) -> Result<(), VersionError> {
        let model = match self {
            Self::Ials(learner) => &learner.model,
            Self::Neural(learner) => {
                let finite = learner.parameters.is_finite();
                let whose = "the network";
                return finite.then_some(()).ok_or(VersionError::NotFinite(whose));
            }
        };
        let finite = |row: &[f64]| row.iter().all(|value| (*value as f32).is_finite());
        let (users, items) = (&model.users, &model.items);
        if !dirty.user_rows().all(|row| finite(users.row(row as usize))) {
            return Err(VersionError::NotFinite("a user"));
        }
        if !dirty.item_rows().all(|row| finite(items.row(row as usize))) {
            return Err(VersionError::NotFinite("an item"));
        }
        Ok(())
    }
}
