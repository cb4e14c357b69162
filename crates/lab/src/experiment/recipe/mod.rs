//! What an experiment is to do, read from TOML and checked before anything runs.

mod deletion;
mod document;
mod error;
mod method;
mod model;
mod neural;
mod source;

pub use deletion::{DeletionSpec, UserChoice};
pub(super) use document::slug;
pub use document::{MeasureOptions, Recipe};
pub use error::RecipeError;
pub use method::{DealingSpec, MethodSpec, ReachSpec, SolverSpec};
pub use model::{IalsSpec, ModelSpec};
pub use neural::{NeuralSpec, TrainingSpec};
pub use source::{SourceSpec, SplitSpec, SyntheticSpec};
