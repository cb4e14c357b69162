//! Rows of people whose processing is restricted, put together with what is kept of them already.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::gathered::{ImportedTypes, is_withdrawn};
use crate::hash::KeyedHash;
use crate::records::{QueuedRow, StoredInteraction};
use recant_types::{FeedbackNumber, ItemId, UserId};

/// What is kept of one person, by item and type of feedback. Items have no rows here: that of the
/// interactions says nothing.
type OfPerson = BTreeMap<(ItemId, FeedbackNumber), StoredInteraction>;

/// Who is restricted, and what is kept of those of them who are named.
#[derive(Debug, Default)]
pub(super) struct KeptRows {
    /// Whose processing is restricted.
    pub(super) restricted: HashSet<KeyedHash>,
    persons: HashMap<UserId, OfPerson>,
}

impl KeptRows {
    /// Whether something was held of a person already.
    pub(super) fn knows(&self, user: &UserId) -> bool {
        self.persons.contains_key(user)
    }

    /// Puts rows of a person, in their order, to those before them, as the rules of their types say.
    pub(super) fn hold(&mut self, user: &UserId, rows: Vec<QueuedRow>, types: &ImportedTypes<'_>) {
        let kept = self.persons.entry(user.clone()).or_default();
        for row in rows {
            let new = StoredInteraction {
                item: 0,
                feedback: row.feedback,
                weight: row.weight,
                timestamp: row.timestamp,
            };
            let key = (row.item, row.feedback);
            let held = types.together(kept.get(&key).copied(), [new]);
            kept.insert(key, held);
        }
    }

    /// Everybody of whom something was held, with what is to be kept of them: not what was taken back.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = (UserId, Vec<QueuedRow>)> + use<> {
        let persons = std::mem::take(&mut self.persons).into_iter();
        persons.map(|(user, kept)| {
            let kept = kept.into_iter().filter(|(_, held)| !is_withdrawn(held));
            let rows = kept.map(|((item, feedback), held)| QueuedRow {
                index: 0,
                item,
                weight: held.weight,
                timestamp: held.timestamp,
                feedback,
            });
            (user, rows.collect())
        })
    }
}
