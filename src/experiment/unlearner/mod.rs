//! Models under test: how they are trained, and methods at work on them.

mod ials;

use super::cell::Approach;
use super::deletion::Pair;
use super::recipe::ModelSpec;
use super::watch::Watch;
use crate::eval::scorer::Scorer;
use crate::model::interactions::InteractionMatrix;
use crate::unlearn::update::Touched;
use ials::IalsSubject;

/// Why a model has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MethodError {
    /// A value became infinite or undefined.
    #[error("{what} diverged: {reason}")]
    Diverged {
        /// Training or a method.
        what: &'static str,
        /// As it was told.
        reason: String,
    },
    /// The method cannot be used on this model.
    #[error("{method} cannot be used on this model")]
    DoesNotFit {
        /// Which.
        method: String,
    },
}

/// A part of a deletion, as a method is told of it.
pub(super) struct Change<'a> {
    /// What is left.
    pub(super) retained: &'a InteractionMatrix,
    /// Rows whose interactions changed.
    pub(super) touched: Touched,
    /// The pairs taken away by this change.
    #[allow(dead_code)]
    pub(super) pairs: &'a [Pair],
}

/// A method at work on one model.
pub(super) trait Unlearner {
    /// Takes back what `change` took from the data, showing `watch` how far it is.
    fn erase(&mut self, change: &Change<'_>, watch: &mut Watch<'_>) -> Result<(), MethodError>;

    /// The model as it is now.
    fn model(&self) -> &dyn Scorer;

    /// Whether steps of a sequence are to be given one by one. A method that begins from scratch
    /// gets those between two checkpoints at once.
    fn is_incremental(&self) -> bool {
        true
    }
}

/// How well a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// As a service would.
    Usual,
    /// As far as it can be: what others are compared with.
    Reference,
}

/// A kind of model, ready to be trained.
pub(super) enum Subject {
    /// Implicit alternating least squares.
    Ials(IalsSubject),
}

/// A trained model.
#[derive(Clone)]
pub(super) enum Trained {
    /// Implicit alternating least squares.
    Ials(Box<crate::model::ials::Ials>),
}

impl Trained {
    /// Its scores.
    pub(super) fn scorer(&self) -> &dyn Scorer {
        match self {
            Self::Ials(model) => model.as_ref(),
        }
    }
}

impl Subject {
    /// The model that a recipe asks for.
    pub(super) fn new(spec: &ModelSpec) -> Self {
        match spec {
            ModelSpec::Ials { .. } => Self::Ials(IalsSubject::new(spec)),
        }
    }

    /// Trains from scratch.
    pub(super) fn train(
        &self,
        matrix: &InteractionMatrix,
        seed: u64,
        precision: Precision,
        watch: &mut Watch<'_>,
    ) -> Result<Trained, MethodError> {
        match self {
            Self::Ials(subject) => {
                let model = subject.train(matrix, seed, precision, watch)?;
                Ok(Trained::Ials(Box::new(model)))
            }
        }
    }

    /// Seed of the reference's training, where the original's is `seed`.
    pub(super) fn reference_seed(&self, seed: u64) -> u64 {
        match self {
            // There is one minimiser: the seed must not matter, and another shows that.
            Self::Ials(_) => seed.wrapping_add(1),
        }
    }

    /// `approach` at work on `original`, which was trained on `matrix` by `seed`.
    pub(super) fn unlearner<'a>(
        &'a self,
        approach: &Approach,
        original: &Trained,
        matrix: &InteractionMatrix,
        seed: u64,
    ) -> Result<Box<dyn Unlearner + 'a>, MethodError> {
        let retrain = |seed, precision| {
            Ok(Box::new(Retrain {
                subject: self,
                model: original.clone(),
                seed,
                precision,
            }) as Box<dyn Unlearner + 'a>)
        };
        match (approach, self, original) {
            (Approach::Nothing, ..) => Ok(Box::new(Nothing(original.clone()))),
            (Approach::Reference, ..) => retrain(self.reference_seed(seed), Precision::Reference),
            (Approach::Retrain, ..) => retrain(seed.wrapping_add(2), Precision::Usual),
            (Approach::Method(method), Self::Ials(_), Trained::Ials(model)) => {
                ials::unlearner(method, model, matrix, seed)
            }
        }
    }
}

/// Leaves the model as it was.
struct Nothing(Trained);

impl Unlearner for Nothing {
    fn erase(&mut self, _change: &Change<'_>, _watch: &mut Watch<'_>) -> Result<(), MethodError> {
        Ok(())
    }

    fn model(&self) -> &dyn Scorer {
        self.0.scorer()
    }

    fn is_incremental(&self) -> bool {
        false
    }
}

/// Trains from scratch on what is left.
struct Retrain<'a> {
    subject: &'a Subject,
    model: Trained,
    seed: u64,
    precision: Precision,
}

impl Unlearner for Retrain<'_> {
    fn erase(&mut self, change: &Change<'_>, watch: &mut Watch<'_>) -> Result<(), MethodError> {
        self.model = (self.subject).train(change.retained, self.seed, self.precision, watch)?;
        Ok(())
    }

    fn model(&self) -> &dyn Scorer {
        self.model.scorer()
    }

    fn is_incremental(&self) -> bool {
        false
    }
}
