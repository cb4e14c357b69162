//! From the plain data of a specification to the model that it names.

use recant_types::ModelSpecification;

use crate::network::NeuralModel;

/// The model that `specification` names. Another kind of model is another line here.
pub fn model_of(specification: &ModelSpecification) -> &dyn NeuralModel {
    match specification {
        ModelSpecification::NeuMf(model) => model,
        ModelSpecification::LightGcn(model) => model,
        ModelSpecification::Factorisation(model) => model,
    }
}
