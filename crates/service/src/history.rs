//! What a stored history says: what is to be learnt of it, and which of it does not count as seen.

use std::sync::Arc;

use recant_core::model::Entry;
use recant_store::StoredInteraction;
use recant_types::FeedbackTypes;

/// Rows of items, ascending, by the rows of users.
pub(crate) type Unseen = imbl::HashMap<u32, Arc<Vec<u32>>>;

/// How many of an item's or a user's pairs are of something wanted.
pub(crate) fn wanted(entries: &[Entry]) -> u32 {
    entries.iter().filter(|entry| entry.is_wanted()).count() as u32
}

/// The rows of items in a history, ascending, with what is learnt of each. Of a row all events stand
/// next to each other.
pub(crate) fn learnt<'a>(
    feedback: &'a FeedbackTypes,
    history: &'a [StoredInteraction],
) -> impl Iterator<Item = Entry> + 'a {
    history
        .chunk_by(|a, b| a.item == b.item)
        .filter_map(|events| entry(feedback, events.iter()))
}

/// What is learnt of a pair that has these events.
pub(crate) fn entry<'a>(
    feedback: &FeedbackTypes,
    events: impl Iterator<Item = &'a StoredInteraction> + Clone,
) -> Option<Entry> {
    let item = events.clone().next()?.item;
    let learnt = feedback.learnt(events.map(|event| (event.feedback, event.weight)))?;
    Some(Entry {
        index: item,
        weight: learnt.weight,
        target: learnt.target,
    })
}

/// The rows of items in a history that do not count as seen, ascending.
pub(crate) fn unseen(feedback: &FeedbackTypes, history: &[StoredInteraction]) -> Vec<u32> {
    let items = history.chunk_by(|a, b| a.item == b.item);
    let unseen = items.filter(|events| !feedback.are_seen(events.iter().map(|e| e.feedback)));
    unseen.map(|events| events[0].item).collect()
}
