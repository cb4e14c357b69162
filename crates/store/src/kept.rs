//! What is kept of somebody whose processing is restricted.
//!
//! It lies by itself, under the person's own key, where nothing that learns, counts or compares looks:
//! with the ids of items, because items of which nobody else has anything have no rows.

use crate::error::StoreError;
use crate::files::Generation;
use crate::index::Person;
use crate::keys;
use crate::records::{QueuedRecord, QueuedRow};
use crate::together::Together;
use recant_types::FeedbackTypes;

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
    let mut together = Together::new(types);
    for row in rows {
        together.take(row.item, row.feedback, (row.weight, row.timestamp));
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
