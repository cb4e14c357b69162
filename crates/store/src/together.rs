//! What events of one person come to together.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;

use recant_types::{FeedbackNumber, FeedbackTypes, HeldEvent, takes_the_place};

/// What events come to by item, however items are named, and type of feedback: as the rule of the type puts
/// them together.
pub(super) struct Together<'a, I> {
    types: &'a FeedbackTypes,
    pairs: BTreeMap<(I, FeedbackNumber), HeldEvent>,
}

impl<'a, I: Ord> Together<'a, I> {
    /// No event yet.
    pub(super) fn new(types: &'a FeedbackTypes) -> Self {
        let pairs = BTreeMap::new();
        Self { types, pairs }
    }

    /// Takes one more event.
    pub(super) fn take(&mut self, item: I, feedback: FeedbackNumber, new: HeldEvent) {
        let types = self.types;
        self.pairs
            .entry((item, feedback))
            .and_modify(|held| {
                let is_newer = takes_the_place(new.1, held.1);
                *held = types.combine(feedback, *held, new, is_newer);
            })
            .or_insert(new);
    }

    /// How many pairs of item and type there are.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }
}

impl<I> IntoIterator for Together<'_, I> {
    type Item = ((I, FeedbackNumber), HeldEvent);
    type IntoIter = IntoIter<(I, FeedbackNumber), HeldEvent>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}
