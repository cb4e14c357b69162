//! Merges gathered rows into the histories of the next generation, on several threads.
//!
//! Rows are sorted by person and pair, and each thread takes a run of persons. What is stored does not
//! depend on how many threads there are: nobody's rows are divided among them.

use std::collections::HashSet;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use super::gathered::{Gathered, ImportedTypes, WITHDRAWN_HELD, is_withdrawn};
use super::histories::Histories;
use crate::error::StoreError;
use crate::records::StoredInteraction;

/// Most threads that merge: more wait for one another in the database.
const THREADS_MAX: usize = 8;

/// Rows that are worth a thread.
const ROWS_PER_THREAD: usize = 32_768;

/// What merging some rows changed in the totals of an import.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) added: i64,
    pub(super) duplicates: i64,
    pub(super) withdrawn: i64,
    pub(super) interactions: i64,
    /// By item row, how many interactions more it has.
    pub(super) item_counts: Vec<i64>,
    /// Rows of users who have pairs that were taken back.
    pub(super) withdrawing: Vec<u32>,
}

/// Merges `gathered`, in any order, into the histories: one result for every thread. Of `unwritten` rows
/// nothing is in the next generation yet.
pub(super) fn merge(
    gathered: &mut [Gathered],
    into: Histories<'_>,
    feedback: &ImportedTypes<'_>,
    unwritten: &HashSet<u32>,
) -> Result<Vec<Merged>, StoreError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads
        .min(THREADS_MAX)
        .min(gathered.len() / ROWS_PER_THREAD);
    sort(gathered, threads);
    let merge_part = |part: &[Gathered]| {
        let mut merger = Merger {
            into,
            feedback,
            unwritten,
            merged: Merged::default(),
        };
        for run in part.chunk_by(|a, b| a.user == b.user) {
            merger.merge_user(run)?;
        }
        Ok(merger.merged)
    };
    on_threads(parts(gathered, threads), merge_part).collect()
}

/// Sorts by person and pair; of equal pairs the last one given comes last.
fn sort(gathered: &mut [Gathered], threads: usize) {
    let by = |row: &Gathered| (row.user, row.held.key());
    if threads > 1 {
        let length = gathered.len().div_ceil(threads).max(1);
        let parts = gathered.chunks_mut(length).collect();
        on_threads(parts, |part: &mut [Gathered]| part.sort_by_key(by)).for_each(drop);
    }
    // Runs that are sorted already are only merged.
    gathered.sort_by_key(by);
}

/// About `count` parts of sorted rows; nobody is in two of them.
fn parts(mut gathered: &[Gathered], count: usize) -> Vec<&[Gathered]> {
    let length = gathered.len().div_ceil(count.max(1));
    let mut parts = Vec::new();
    while !gathered.is_empty() {
        let last = gathered[length.min(gathered.len()) - 1];
        let end = gathered.partition_point(|row| row.user <= last.user);
        let (part, rest) = gathered.split_at(end);
        parts.push(part);
        gathered = rest;
    }
    parts
}

/// What `work` makes of each part, every part on a thread of its own.
fn on_threads<Part: Send, Made: Send>(
    parts: Vec<Part>,
    work: impl Fn(Part) -> Made + Sync,
) -> impl Iterator<Item = Made> {
    let work = &work;
    let made = thread::scope(|scope| {
        let mut parts = parts.into_iter();
        let first = parts.next();
        let others = parts.map(|part| scope.spawn(move || work(part)));
        let others: Vec<_> = others.collect();
        let mut made: Vec<Made> = first.map(work).into_iter().collect();
        for other in others {
            made.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        made
    });
    made.into_iter()
}

/// Merges the rows of some persons.
struct Merger<'a> {
    into: Histories<'a>,
    feedback: &'a ImportedTypes<'a>,
    unwritten: &'a HashSet<u32>,
    merged: Merged,
}

impl Merger<'_> {
    /// Merges the rows of one person.
    fn merge_user(&mut self, run: &[Gathered]) -> Result<(), StoreError> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let person = self.into.person_at(first.user)?;
        let secret = self.into.secret_of(person)?;
        let mut held = Vec::new();
        if self.unwritten.contains(&first.user) {
            self.into.put_user(person, &secret, first.user)?;
        } else {
            held = self.into.history(person)?;
        }
        let mut history = Vec::with_capacity(held.len() + run.len());
        let mut held = held.into_iter().peekable();
        let mut held_before = None;
        for rows in run.chunk_by(|a, b| a.held.key() == b.held.key()) {
            let key = rows[0].held.key();
            while let Some(other) = held.next_if(|held| held.key() < key) {
                history.push(other);
            }
            let old = held.next_if(|held| held.key() == key);
            let mut newest = self.feedback.together(old, rows.iter().map(|row| row.held));
            if is_withdrawn(&newest) {
                self.merged.withdrawing.push(first.user);
                if held_before.is_none() {
                    held_before = Some(self.into.held_before(person)?);
                }
                if held_before
                    .as_ref()
                    .is_some_and(|before| before.contains(&key))
                {
                    newest.weight = WITHDRAWN_HELD;
                }
            }
            self.merged.account(old, newest, rows.len() as i64);
            history.push(newest);
        }
        history.extend(held);
        // A history never shrinks here, so every chunk it had is written anew.
        self.into.put_history(person, &secret, &history)
    }
}

impl Merged {
    /// Counts what became of `rows` of one pair, for which `old` stood before and `new` does now.
    fn account(&mut self, old: Option<StoredInteraction>, new: StoredInteraction, rows: i64) {
        let was_kept = old.is_some_and(|old| !is_withdrawn(&old));
        let is_kept = !is_withdrawn(&new);
        let was_held = old.is_some_and(|old| old.weight == WITHDRAWN_HELD);
        self.duplicates += rows;
        match (old, is_kept) {
            (None, true) => {
                self.added += 1;
                self.duplicates -= 1;
            }
            (None, false) => {
                self.withdrawn += 1;
                self.duplicates -= 1;
            }
            (Some(_), false) if was_kept => {
                self.withdrawn += 1;
                // Of a pair that came with this import its row is now a duplicate.
                if new.weight == WITHDRAWN_HELD {
                    self.duplicates -= 1;
                } else {
                    self.added -= 1;
                }
            }
            (Some(_), true) if !was_kept => {
                self.withdrawn -= 1;
                if was_held {
                    self.duplicates += 1;
                } else {
                    self.added += 1;
                }
            }
            (Some(_), _) => {}
        }
        let more = i64::from(is_kept) - i64::from(was_kept);
        self.interactions += more;
        let item = new.item as usize;
        if self.item_counts.len() <= item {
            self.item_counts.resize(item + 1, 0);
        }
        self.item_counts[item] += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gathered(rows: &[(u32, u32)]) -> Vec<Gathered> {
        let rows = rows.iter().enumerate();
        rows.map(|(place, (user, item))| Gathered {
            user: *user,
            held: StoredInteraction {
                item: *item,
                feedback: Default::default(),
                weight: 1.0,
                timestamp: Some(place as i64),
            },
        })
        .collect()
    }

    proptest! {
        /// Sorted as on one thread, and divided without dividing anybody.
        #[test]
        fn rows_are_sorted_and_divided_alike_on_any_number_of_threads(
            rows in prop::collection::vec((0u32..6, 0u32..4), 0..60),
            threads in 0usize..7,
        ) {
            let (mut one, mut many) = (gathered(&rows), gathered(&rows));
            sort(&mut one, 1);
            sort(&mut many, threads);
            let key = |row: &Gathered| (row.user, row.held.item, row.held.timestamp);
            prop_assert!(one.iter().map(key).is_sorted());
            prop_assert!(one.iter().map(key).eq(many.iter().map(key)));
            let parts = parts(&many, threads);
            prop_assert!(parts.len() <= threads.max(1));
            prop_assert!(parts.concat().iter().map(key).eq(many.iter().map(key)));
            for pair in parts.windows(2) {
                let (before, after) = (pair[0].last(), pair[1].first());
                prop_assert!(before.map(|row| row.user) < after.map(|row| row.user));
            }
        }
    }
}
