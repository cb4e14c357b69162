//! What a method under test is told, and what it has to offer.

use crate::experiment::deletion::Pair;
use crate::experiment::watch::Watch;
use recant_core::model::{InteractionMatrix, RowSets};
use recant_eval::Scorer;

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
pub(in crate::experiment) struct Change<'a> {
    /// What is left.
    pub(in crate::experiment) retained: &'a InteractionMatrix,
    /// Rows whose interactions changed.
    pub(in crate::experiment) touched: RowSets,
    /// The pairs taken away by this change.
    pub(in crate::experiment) pairs: &'a [Pair],
}

/// A method at work on one model.
pub(in crate::experiment) trait Unlearner {
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
pub(in crate::experiment) enum Precision {
    /// As a service would.
    Usual,
    /// As far as it can be: what others are compared with.
    Reference,
}

/// Where a training begins, and what it meets on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::experiment) struct Seeds {
    /// Seed of the initial parameters.
    pub(in crate::experiment) initial: u64,
    /// Seed of the order of examples and of the negatives, where a model has them.
    pub(in crate::experiment) order: u64,
}

impl Seeds {
    /// Everything by one seed.
    pub(in crate::experiment) fn all(seed: u64) -> Self {
        Self {
            initial: seed,
            order: seed,
        }
    }
}
