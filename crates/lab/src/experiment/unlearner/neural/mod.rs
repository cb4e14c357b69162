//! Neural models under test, and methods at work on them.

mod methods;
mod shards;
mod subject;

pub(in crate::experiment) use subject::{NeuralModelState, NeuralSubject};

use crate::experiment::recipe::MethodSpec;
use crate::experiment::unlearner::method::{MethodError, Seeds, Unlearner};
use recant_core::model::InteractionMatrix;

impl NeuralSubject {
    /// A method for neural models at work on `original`, which was trained on `matrix`.
    pub(super) fn unlearner<'a>(
        &'a self,
        method: &MethodSpec,
        original: &NeuralModelState,
        matrix: &InteractionMatrix,
        seeds: Seeds,
    ) -> Result<Box<dyn Unlearner + 'a>, MethodError> {
        match method {
            MethodSpec::Shards { count, dealing } => {
                let shards = shards::ShardsUnlearner::new(self, matrix, *count, *dealing, seeds)?;
                Ok(Box::new(shards))
            }
            _ => Ok(Box::new(methods::NeuralUnlearner::new(
                self, method, original, seeds,
            ))),
        }
    }
}
