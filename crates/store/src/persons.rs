//! What is held of people, read for whoever asks about one of them or lists them.

use crate::codec;
use crate::error::StoreError;
use crate::files::Generation;
use crate::index::{Index, Person};
use crate::kept;
use crate::keys;
use crate::position::LogPosition;
use crate::records::{PropertiesRecord, QueuedRow};
use crate::shared::Shared;
use recant_types::{Interaction, PersonProperties, PersonSummary, UserId};

/// What is held of a person; `None` when nothing is, not even a restriction. What an accepted erasure
/// names does not count.
pub(super) fn person(shared: &Shared, id: &UserId) -> Result<Option<PersonSummary>, StoreError> {
    let hash = shared.files.hasher.user(id);
    shared.read(|open| {
        // Nothing of the person changes while it is read.
        let index = shared.index();
        let restricted = index.restricted.contains(&hash);
        let Some(person) = index.persons.get(&hash) else {
            return Ok(restricted.then(|| PersonSummary {
                user: id.clone(),
                properties: PersonProperties::default(),
                interactions: 0,
                restricted,
            }));
        };
        let kept = kept(shared, open, &index, person)?.len();
        let summary = PersonSummary {
            user: id.clone(),
            properties: properties(open, person)?,
            interactions: kept + interactions(open, &index, person)?,
            restricted,
        };
        let is_held = restricted
            || !summary.properties.is_empty()
            || summary.interactions > 0
            || has_waiting(shared, open, &index, person)?;
        Ok(is_held.then_some(summary))
    })
}

/// Up to `limit` of those of whom something is held, after `after` in the order of the bytes of
/// their ids. Commits go on between two people.
pub(super) fn persons(
    shared: &Shared,
    after: Option<&UserId>,
    limit: usize,
) -> Result<Vec<PersonSummary>, StoreError> {
    let mut page = Vec::new();
    let mut after = after.cloned();
    while page.len() < limit {
        let ids = shared.index().ids_after(after.as_ref(), limit - page.len());
        let Some(last) = ids.last().cloned() else {
            break;
        };
        for id in &ids {
            page.extend(person(shared, id)?);
        }
        after = Some(last);
    }
    Ok(page)
}

/// What is said about the person with this id.
pub(super) fn properties_of(shared: &Shared, id: &UserId) -> Result<PersonProperties, StoreError> {
    let hash = shared.files.hasher.user(id);
    shared.read(|open| {
        let index = shared.index();
        let person = index.persons.get(&hash);
        person.map_or_else(
            || Ok(PersonProperties::default()),
            |it| properties(open, it),
        )
    })
}

/// What is kept of the person with this id and not processed.
pub(super) fn kept_of(shared: &Shared, id: &UserId) -> Result<Vec<Interaction>, StoreError> {
    let hash = shared.files.hasher.user(id);
    shared.read(|open| {
        let index = shared.index();
        let Some(person) = index.persons.get(&hash) else {
            return Ok(Vec::new());
        };
        let types = shared.feedback(&index)?;
        let kept = kept(shared, open, &index, person)?.into_iter();
        Ok(kept
            .map(|row| Interaction {
                user: id.clone(),
                item: row.item,
                feedback: types.name(row.feedback),
                weight: row.weight,
                timestamp: row.timestamp,
            })
            .collect())
    })
}

/// What is kept of a person, a row for each item and type of feedback.
fn kept(
    shared: &Shared,
    open: &Generation,
    index: &Index,
    person: &Person,
) -> Result<Vec<QueuedRow>, StoreError> {
    if person.kept == 0 {
        return Ok(Vec::new());
    }
    let types = shared.feedback(index)?;
    Ok(kept::together(kept::rows(open, person)?, &types))
}

/// What is said about a person.
pub(super) fn properties(
    open: &Generation,
    person: &Person,
) -> Result<PersonProperties, StoreError> {
    if !person.has_properties {
        return Ok(PersonProperties::default());
    }
    let payload = open.held(&keys::properties(person.pseudonym))?;
    codec::from_json::<PropertiesRecord>(&payload).map(|record| record.properties)
}

/// How many interactions are held, those left out that are erased with an item and not taken from the
/// history yet.
fn interactions(open: &Generation, index: &Index, person: &Person) -> Result<usize, StoreError> {
    let held = open.history(person.pseudonym)?;
    let erased = |row| {
        let hash = index.item_hash(row);
        hash.is_some_and(|hash| index.unapplied.item_erased_after(hash, LogPosition(0)))
    };
    Ok(held.iter().filter(|held| !erased(held.item)).count())
}

/// Whether something of a person waits in the log that was not erased since.
fn has_waiting(
    shared: &Shared,
    open: &Generation,
    index: &Index,
    person: &Person,
) -> Result<bool, StoreError> {
    for (position, part) in &person.queued {
        let rows = open.queued(*position, *part)?;
        let is_kept = rows.iter().any(|row| {
            let hash = shared.files.hasher.item(&row.item);
            !index.unapplied.item_erased_after(hash, *position)
        });
        if is_kept {
            return Ok(true);
        }
    }
    Ok(false)
}
