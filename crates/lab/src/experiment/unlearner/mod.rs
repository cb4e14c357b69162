//! Models under test: how they are trained, and methods at work on them.

mod ials;
mod neural;

use super::cell::Approach;
use super::deletion::Pair;
use super::recipe::ModelSpec;
use super::watch::Watch;
use ials::IalsSubject;
use neural::{NeuralModelState, NeuralSubject};
use recant_core::model::RowSets;
use recant_core::model::ials::Ials;
use recant_core::model::interactions::InteractionMatrix;
use recant_eval::scorer::Scorer;

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
    /// The method is for another kind of model.
    #[error("{0} is for another kind of model")]
    DoesNotFit(String),
}

/// A part of a deletion, as a method is told of it.
pub(super) struct Change<'a> {
    /// What is left.
    pub(super) retained: &'a InteractionMatrix,
    /// Rows whose interactions changed.
    pub(super) touched: RowSets,
    /// The pairs taken away by this change.
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

/// Where a training begins, and what it meets on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seeds {
    /// Seed of the initial parameters.
    pub(super) initial: u64,
    /// Seed of the order of examples and of the negatives, where a model has them.
    pub(super) order: u64,
}

impl Seeds {
    /// Everything by one seed.
    pub(super) fn all(seed: u64) -> Self {
        Self {
            initial: seed,
            order: seed,
        }
    }
}

/// A kind of model, ready to be trained.
pub(super) enum Subject {
    /// Implicit alternating least squares.
    Ials(IalsSubject),
    /// A model trained by gradients.
    Neural(NeuralSubject),
}

/// A trained model.
#[derive(Clone)]
pub(super) enum Trained {
    /// Implicit alternating least squares.
    Ials(Box<Ials>),
    /// A model trained by gradients.
    Neural(Box<NeuralModelState>),
}

impl Trained {
    /// Its scores.
    pub(super) fn scorer(&self) -> &dyn Scorer {
        match self {
            Self::Ials(model) => model.as_ref(),
            Self::Neural(model) => model.scorer(),
        }
    }
}

impl Subject {
    /// The model that a recipe asks for.
    pub(super) fn new(spec: &ModelSpec) -> Self {
        match (spec, NeuralSubject::new(spec)) {
            (_, Some(subject)) => Self::Neural(subject),
            (ModelSpec::Ials(spec), None) => Self::Ials(IalsSubject::new(spec)),
            (_, None) => unreachable!("every model but iALS is neural"),
        }
    }

    /// Trains from scratch.
    pub(super) fn train(
        &self,
        matrix: &InteractionMatrix,
        seeds: Seeds,
        precision: Precision,
        watch: &mut Watch<'_>,
    ) -> Result<Trained, MethodError> {
        match self {
            Self::Ials(subject) => {
                let model = subject.train(matrix, seeds.initial, precision, watch)?;
                Ok(Trained::Ials(Box::new(model)))
            }
            Self::Neural(subject) => {
                let model = subject.train(matrix, seeds, watch)?;
                Ok(Trained::Neural(Box::new(model)))
            }
        }
    }

    /// Seeds of the reference's training, where the original's is `seed`.
    pub(super) fn reference_seeds(&self, seed: u64) -> Seeds {
        match self {
            // There is one minimiser: the seed must not matter, and another shows that.
            Self::Ials(_) => Seeds::all(seed.wrapping_add(1)),
            // There are many: the one that the same training finds without the deleted data.
            Self::Neural(_) => Seeds::all(seed),
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
        let other = seed.wrapping_add(2);
        let retrain = |seeds, precision| {
            Ok(Box::new(Retrain {
                subject: self,
                model: original.clone(),
                seeds,
                precision,
            }) as Box<dyn Unlearner + 'a>)
        };
        match (approach, self, original) {
            (Approach::Nothing, ..) => Ok(Box::new(Nothing(original.clone()))),
            (Approach::Reference, ..) => retrain(self.reference_seeds(seed), Precision::Reference),
            (Approach::Retrain, ..) => retrain(Seeds::all(other), Precision::Usual),
            (Approach::RetrainSameStart, ..) => retrain(
                Seeds {
                    initial: seed,
                    order: other,
                },
                Precision::Usual,
            ),
            (Approach::RetrainSameExamples, ..) => retrain(
                Seeds {
                    initial: other,
                    order: seed,
                },
                Precision::Usual,
            ),
            (Approach::Method(method), Self::Ials(_), Trained::Ials(model)) => {
                ials::unlearner(method, model, matrix, seed)
            }
            (Approach::Method(method), Self::Neural(subject), Trained::Neural(model)) => {
                subject.unlearner(method, model, matrix, Seeds::all(seed))
            }
            (Approach::Method(method), ..) => Err(MethodError::DoesNotFit(method.label())),
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
    seeds: Seeds,
    precision: Precision,
}

impl Unlearner for Retrain<'_> {
    fn erase(&mut self, change: &Change<'_>, watch: &mut Watch<'_>) -> Result<(), MethodError> {
        self.model = (self.subject).train(change.retained, self.seeds, self.precision, watch)?;
        Ok(())
    }

    fn model(&self) -> &dyn Scorer {
        self.model.scorer()
    }

    fn is_incremental(&self) -> bool {
        false
    }
}
