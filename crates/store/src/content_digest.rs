//! A number that is equal in stores that hold the same.
//!
//! It is a sum, modulo 2^128, of a keyed hash for everything that is held, so it does not depend on order,
//! rows, slots or pseudonyms, nor on what the worker has taken from the log into the histories so far: of a
//! pair and a type what the events say together is added, wherever they lie.
//!
//! It is computed from what is there, not kept along with commits. A kept one would need, for each event
//! that is accepted, what its pair came to before, that is the person's whole history, and for an erased
//! item what everybody has of it; and it would be a function of what was said to be done, as the hashes that
//! link the entries of the log are already. That a history lacks what the log led to is found by reading
//! the history alone. So that this takes long of nobody, it can be had of one part after another.

use crate::codec;
use crate::error::StoreError;
use crate::files::Generation;
use crate::hash::{IdHasher, KeyedHash};
use crate::index::{Index, Person};
use crate::kept;
use crate::keys;
use crate::persons;
use crate::position::LogPosition;
use crate::records::{ItemRecord, QueuedRow};
use crate::shared::Shared;
use crate::together::Together;
use crate::writer::WriterHandle;
use recant_types::{FeedbackTypes, ItemDescription};

/// What a store holds, as a number to compare with that of another store which has the same hash key, as
/// all nodes of a cluster do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDigest {
    /// The mark of the entry of the shared log that it is of; `None` in a store that follows none.
    pub mark: Option<Vec<u8>>,
    /// The sum.
    pub sum: u128,
    /// How many pairs of user and item, by type of feedback, are held, kept ones among them.
    pub rows: u64,
    /// How many terms the sum has: pairs, descriptions and the like.
    pub terms: u64,
}

/// A part of what a store holds: what has the same first bits in its keyed hash, that of the person or of the
/// item described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentSlice {
    bits: u8,
    number: u32,
}

impl ContentSlice {
    /// Everything.
    pub const WHOLE: Self = Self { bits: 0, number: 0 };

    /// What has these first bits, 16 of them at most; `None` when there are no such bits.
    pub fn new(bits: u8, number: u32) -> Option<Self> {
        (bits <= 16 && number < 1 << bits).then_some(Self { bits, number })
    }

    fn holds(self, hash: KeyedHash) -> bool {
        let first = u32::from(u16::from_be_bytes([hash.0[0], hash.0[1]]));
        (first << self.bits) >> 16 == self.number
    }

    /// How the keys of such hashes begin, in whole bytes.
    fn prefix(self) -> Vec<u8> {
        let first = self.number << (16 - self.bits);
        let first = [(first >> 8) as u8, first as u8];
        first[..usize::from(self.bits / 8)].to_vec()
    }
}

/// Reads what is held of a part, while nothing is committed.
pub(crate) fn content_digest(
    shared: &Shared,
    writer: &WriterHandle,
    slice: ContentSlice,
) -> Result<ContentDigest, StoreError> {
    let _paused = writer.pause()?;
    let persons = shared.index();
    let hashes = persons.persons.keys().copied();
    let hashes: Vec<KeyedHash> = hashes.filter(|hash| slice.holds(*hash)).collect();
    drop(persons);
    let (applied, next, mark) = shared.read(|open| {
        let next = open.counter(&keys::NEXT_POSITION)?;
        Ok((open.applied()?, next, open.payload(&keys::MARK)?))
    })?;
    let hasher = &shared.files.hasher;
    let mut sum = Sum {
        hasher,
        sum: hasher.content(&[b"n", &next.to_le_bytes()]),
        rows: 0,
        terms: 0,
    };
    for hash in hashes {
        shared.read(|open| {
            let index = shared.index();
            let types = shared.feedback(&index)?;
            let Some(person) = index.persons.get(&hash) else {
                return Ok(());
            };
            let of = OfPerson {
                open,
                index: &index,
                types: &types,
                applied,
            };
            sum.add_person(&of, hash, person)
        })?;
    }
    let index = shared.index();
    for hash in index.restricted.iter().filter(|hash| slice.holds(**hash)) {
        sum.add(&[b"b", &hash.0]);
    }
    drop(index);
    shared.read(|open| sum.add_descriptions(open, &shared.index(), slice))?;
    Ok(ContentDigest {
        mark,
        sum: sum.sum,
        rows: sum.rows,
        terms: sum.terms,
    })
}

/// Where a person's interactions are read.
struct OfPerson<'a> {
    open: &'a Generation,
    index: &'a Index,
    types: &'a FeedbackTypes,
    /// The position that the histories stand for.
    applied: LogPosition,
}

struct Sum<'a> {
    hasher: &'a IdHasher,
    sum: u128,
    rows: u64,
    terms: u64,
}

impl Sum<'_> {
    fn add(&mut self, parts: &[&[u8]]) {
        self.terms += 1;
        self.sum = self.sum.wrapping_add(self.hasher.content(parts));
    }

    fn add_person(
        &mut self,
        of: &OfPerson<'_>,
        hash: KeyedHash,
        person: &Person,
    ) -> Result<(), StoreError> {
        let processed = self.processed(of, person)?;
        self.add_pairs(of, hash, processed, false);
        let mut kept = Together::new(of.types);
        for row in kept::rows(of.open, person)? {
            self.take_row(&mut kept, &row);
        }
        self.add_pairs(of, hash, kept, true);
        let properties = persons::properties(of.open, person)?;
        if !properties.is_empty() {
            self.add(&[b"p", &hash.0, &codec::to_json(&properties)]);
        }
        Ok(())
    }

    /// What is in the history, and after it what waits in the log, less what is erased with an item.
    fn processed<'t>(
        &self,
        of: &OfPerson<'t>,
        person: &Person,
    ) -> Result<Together<'t, KeyedHash>, StoreError> {
        let mut together = Together::new(of.types);
        let unapplied = &of.index.unapplied;
        if person.row.is_some() {
            for held in of.open.history(person.pseudonym)? {
                let item = of.index.item_hash(held.item);
                let item = item.ok_or_else(|| StoreError::damaged("an item is missing"))?;
                if !unapplied.item_erased_after(item, LogPosition::default()) {
                    together.take(item, held.feedback, (held.weight, held.timestamp));
                }
            }
        }
        let waiting = person.queued.range((of.applied.next(), 0)..);
        for (position, part) in waiting {
            for row in of.open.queued(*position, *part)? {
                let item = self.hasher.item(&row.item);
                if !unapplied.item_erased_after(item, *position) {
                    self.take_row(&mut together, &row);
                }
            }
        }
        Ok(together)
    }

    fn take_row(&self, together: &mut Together<'_, KeyedHash>, row: &QueuedRow) {
        let event = (row.weight, row.timestamp);
        together.take(self.hasher.item(&row.item), row.feedback, event);
    }

    fn add_pairs(
        &mut self,
        of: &OfPerson<'_>,
        user: KeyedHash,
        together: Together<'_, KeyedHash>,
        is_kept: bool,
    ) {
        self.rows += together.len() as u64;
        for ((item, feedback), (weight, timestamp)) in together {
            let feedback = self.hasher.feedback(&of.types.name(feedback));
            let time = timestamp.unwrap_or_default().to_le_bytes();
            self.add(&[
                b"h",
                &user.0,
                &item.0,
                &feedback.0,
                &weight.to_bits().to_le_bytes(),
                &[u8::from(timestamp.is_some()), u8::from(is_kept)],
                &time,
            ]);
        }
    }

    /// What is said about items, by themselves or, as earlier versions wrote it, in the record of a row.
    fn add_descriptions(
        &mut self,
        open: &Generation,
        index: &Index,
        slice: ContentSlice,
    ) -> Result<(), StoreError> {
        let prefix = [&[keys::DESCRIPTION], &*slice.prefix()].concat();
        for record in open.database.scan(&prefix) {
            let (key, value) = record?;
            let hash = keys::hash_of(&key).ok_or_else(StoreError::cut_key)?;
            if !slice.holds(hash) {
                continue;
            }
            // As this version writes it, whichever wrote it.
            let said: ItemDescription = codec::from_json(&open.codec.open(&key, &value)?)?;
            self.add(&[b"d", &hash.0, &codec::to_json(&said)]);
        }
        for row in &index.describing_rows {
            let Some(hash) = index.item_hash(*row).filter(|hash| slice.holds(*hash)) else {
                continue;
            };
            let Some(payload) = open.payload(&keys::item(*row))? else {
                continue;
            };
            let item: ItemRecord = codec::from_json(&payload)?;
            if let Some(description) = item.description()
                && open.database.get(&keys::description(hash))?.is_none()
            {
                self.add(&[b"d", &hash.0, &codec::to_json(&description)]);
            }
        }
        Ok(())
    }
}
