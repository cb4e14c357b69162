//! What is kept of somebody whose processing is restricted.
//!
//! It lies by itself, under the person's own key, where nothing that learns, counts or compares looks:
//! with the ids of items, because items of which nobody else has anything have no rows.

use std::collections::BTreeMap;

use crate::error::StoreError;
use crate::files::Generation;
use crate::index::Person;
use crate::keys;
use crate::records::{QueuedRecord, QueuedRow};
use recant_types::{FeedbackNumber, FeedbackTypes, ItemId, takes_the_place};

/// The weight of what an event of a pair and type came with, and when it happened.
type Event = (f32, Option<i64>);

/// The events that are kept of a person, in the order in which they came.
pub(super) fn rows(open: &Generation, person: &Person) -> Result<Vec<QueuedRow>, StoreError> {
    let mut rows = Vec::new();
    for number in 0..person.kept {
        let payload = open.held(&keys::kept(person.pseudonym, number))?;
        rows.extend(QueuedRecord::unpack(&payload)?.rows);
    }
    Ok(rows)
}

/// What the events say together, a row for each item and type of feedback, as a history would hold it.
pub(super) fn together(rows: Vec<QueuedRow>, types: &FeedbackTypes) -> Vec<QueuedRow> {
    let mut together: BTreeMap<(ItemId, FeedbackNumber), Event> = BTreeMap::new();
    for row in rows {
        let new = (row.weight, row.timestamp);
        let held = together.entry((row.item, row.feedback));
        held.and_modify(|held| {
            let is_newer = takes_the_place(new.1, held.1);
            *held = types.combine(row.feedback, *held, new, is_newer);
        })
        .or_insert(new);
    }
    let rows = together.into_iter();
    rows.map(|((item, feedback), (weight, timestamp))| QueuedRow {
        index: 0,
        item,
        weight,
        timestamp,
        feedback,
    })
    .collect()
}
