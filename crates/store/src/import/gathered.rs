//! Rows as an import gathers them, and what several of one pair come to.

use crate::error::StoreError;
use crate::records::StoredInteraction;
use recant_types::{
    FEEDBACK_TYPES_MAX, FeedbackNumber, FeedbackRules, FeedbackType, FeedbackTypes, takes_the_place,
};

/// The weight of a pair whose newest row took it back, while an import runs: no weight is negative,
/// and none of these is left when it is finished. The second was held before the import.
pub(super) const WITHDRAWN: f32 = -1.0;
pub(super) const WITHDRAWN_HELD: f32 = -2.0;

/// One gathered row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathered {
    pub(super) user: u32,
    pub(super) held: StoredInteraction,
}

/// The types of feedback of the store that is imported into.
#[derive(Debug)]
pub(super) struct ImportedTypes<'a> {
    pub(super) rules: &'a FeedbackRules,
    pub(super) types: FeedbackTypes,
}

impl<'a> ImportedTypes<'a> {
    /// Those with these `names`, in the order of their numbers.
    pub(super) fn new(
        names: Vec<FeedbackType>,
        rules: &'a FeedbackRules,
    ) -> Result<Self, StoreError> {
        let types = FeedbackTypes::new(&names, rules)?;
        Ok(Self { rules, types })
    }

    /// The number of a type, which it gets now if it has none yet.
    pub(super) fn number(&mut self, feedback: &FeedbackType) -> Result<FeedbackNumber, StoreError> {
        if let Some(number) = self.types.number(feedback) {
            return Ok(number);
        }
        let names = self.types.names().chain([feedback]).cloned();
        let names: Vec<FeedbackType> = names.collect();
        if names.len() > FEEDBACK_TYPES_MAX {
            return Err(StoreError::TooManyFeedbackTypes);
        }
        self.types = FeedbackTypes::new(&names, self.rules)?;
        Ok(FeedbackNumber((names.len() - 1) as u8))
    }

    /// What counts for a pair and a type: `old` and `rows`, which come in order, put together. A row
    /// that takes its pair back stands for all before it, and the next newer one for it.
    pub(super) fn together(
        &self,
        old: Option<StoredInteraction>,
        rows: impl IntoIterator<Item = StoredInteraction>,
    ) -> StoredInteraction {
        let mut rows = rows.into_iter();
        let Some(first) = old.or_else(|| rows.next()) else {
            unreachable!("a chunk has a row")
        };
        rows.fold(first, |so_far, row| {
            if !is_withdrawn(&so_far) && !is_withdrawn(&row) {
                return so_far.together_with(row, &self.types);
            }
            if takes_the_place(row.timestamp, so_far.timestamp) {
                row
            } else {
                so_far
            }
        })
    }
}

/// Whether the newest row of a pair took it back.
pub(super) fn is_withdrawn(held: &StoredInteraction) -> bool {
    held.weight < 0.0
}
