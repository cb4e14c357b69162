//! What learns: one kind of model with its parameters.

use std::borrow::Cow;
use std::sync::Arc;

use crate::dirty::DirtyRows;
use crate::neural_learner::NeuralLearner;
use crate::snapshot::ServedModel;
use crate::snapshot::VersionError;
use recant_core::model::{Ials, InteractionMatrix};
use recant_core::unlearn::Warm;
use recant_types::{IalsHyperparameters, ModelConfiguration};

/// The model under training, owned by the trainer.
#[derive(Debug)]
pub enum Learner {
    /// Implicit alternating least squares.
    Ials(Box<IalsLearner>),
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
        Self::Ials(Box::new(IalsLearner::new(model, 0)))
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

    /// A copy for a refinement: parameters copied, block factors shared, and what the last refinement
    /// left for the next, which goes with it.
    pub fn fork(&mut self) -> Self {
        match self {
            Self::Ials(learner) => Self::Ials(Box::new(IalsLearner {
                model: learner.model.clone(),
                warm: learner.warm.fork(),
            })),
            Self::Neural(learner) => Self::Neural(learner.clone()),
        }
    }

    /// Takes back from a refined fork, whose parameters are no others, what it leaves for the next.
    pub(crate) fn reclaim(&mut self, refined: Self) {
        if let (Self::Ials(own), Self::Ials(refined)) = (self, refined) {
            own.warm.ritz_vectors = refined.warm.ritz_vectors;
        }
    }

    /// Forgets what was learnt for rows that `emptied` and have interactions in `matrix` again:
    /// another owner's, who must not start from it. Cost: nothing in the usual case that there is
    /// no such row, and the Gram matrices otherwise.
    pub fn disown(&mut self, emptied: &DirtyRows, matrix: &InteractionMatrix) {
        let users = emptied
            .user_rows()
            .filter(|row| !matrix.user(*row).is_empty());
        let items = emptied
            .item_rows()
            .filter(|row| !matrix.item(*row).is_empty());
        let (users, items): (Vec<u32>, Vec<u32>) = (users.collect(), items.collect());
        if users.is_empty() && items.is_empty() {
            return;
        }
        match self {
            Self::Ials(learner) => {
                let model = &mut learner.model;
                model.grow(matrix);
                users
                    .iter()
                    .for_each(|row| model.users.row_mut(*row as usize).fill(0.0));
                items
                    .iter()
                    .for_each(|row| model.items.row_mut(*row as usize).fill(0.0));
                model.rebuild_gramians();
            }
            Self::Neural(learner) => {
                let at = &mut learner.parameters;
                *at = at.grown(matrix.user_rows(), matrix.item_rows());
                users.iter().for_each(|row| at.user_mut(*row).fill(0.0));
                items.iter().for_each(|row| at.item_mut(*row).fill(0.0));
            }
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
