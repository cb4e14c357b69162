//! Models under test: how they are trained, and methods at work on them.

mod ials;
mod method;
mod neural;

pub(super) use method::MethodError;
pub(super) use method::{Change, Precision, Seeds, Unlearner};

use super::recipe::ModelSpec;
use super::run_record::Arm;
use super::watch::Watch;
use ials::IalsSubject;
use neural::{NeuralModelState, NeuralSubject};
use recant_core::model::{Ials, InteractionMatrix};
use recant_eval::Scorer;

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

    /// `arm` at work on `original`, which was trained on `matrix` by `seed`.
    pub(super) fn unlearner<'a>(
        &'a self,
        arm: &Arm,
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
        match (arm, self, original) {
            (Arm::Nothing, ..) => Ok(Box::new(Nothing(original.clone()))),
            (Arm::Reference, ..) => retrain(self.reference_seeds(seed), Precision::Reference),
            (Arm::Retrain, ..) => retrain(Seeds::all(other), Precision::Usual),
            (Arm::RetrainSameStart, ..) => retrain(
                Seeds {
                    initial: seed,
                    order: other,
                },
                Precision::Usual,
            ),
            (Arm::RetrainSameExamples, ..) => retrain(
                Seeds {
                    initial: other,
                    order: seed,
                },
                Precision::Usual,
            ),
            (Arm::Method(method), Self::Ials(_), Trained::Ials(model)) => {
                ials::unlearner(method, model, matrix, seed)
            }
            (Arm::Method(method), Self::Neural(subject), Trained::Neural(model)) => {
                subject.unlearner(method, model, matrix, Seeds::all(seed))
            }
            (Arm::Method(method), ..) => Err(MethodError::DoesNotFit(method.label())),
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
