//! A node's store: what is on its disk, and what a crash leaves of it.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::Mistake;
use crate::entry::PlacedGroup;
use crate::mark::Mark;
use crate::ratchet::{FreshKey, Ratchet};

/// A request as callers ask and stores decide: what, of whom, and which request it is.
pub(super) const ADD: u8 = 0;
pub(super) const ERASE: u8 = 1;
const HELD_BACK: u8 = 2;
pub(super) const SETTLE: u8 = 3;

/// What is asked, in bytes.
pub(super) fn ask(what: u8, whom: u8, request: u64) -> Vec<u8> {
    let mut bytes = vec![what, whom];
    bytes.extend(request.to_le_bytes());
    bytes
}

/// Which request something that was decided is of.
pub(super) fn request_of(decided: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*decided.get(2..)?.first_chunk()?))
}

/// A disk.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) mark: Mark,
    pub(super) key: Ratchet,
    /// What is kept for the next series of keys.
    pub(super) fresh: Option<FreshKey>,
    /// What is held of whom, by request.
    held: BTreeMap<u8, BTreeSet<u64>>,
    /// Who was erased, as far as this store remembers: each forgets in its own time.
    tombstones: BTreeSet<u8>,
}

impl Store {
    pub(super) fn new(mark: Mark, key: Ratchet) -> Self {
        Self {
            mark,
            key,
            fresh: None,
            held: BTreeMap::new(),
            tombstones: BTreeSet::new(),
        }
    }

    /// What a request comes to here and now.
    pub(super) fn decide(&self, asked: &[u8]) -> Vec<u8> {
        let mut decided = asked.to_vec();
        if asked[0] == ADD && self.tombstones.contains(&asked[1]) {
            decided[0] = HELD_BACK;
        }
        decided
    }

    /// The first sync: the entries and what follows from them.
    pub(super) fn commit(&mut self, mark: &Mark, groups: &[PlacedGroup], mistake: Option<Mistake>) {
        self.mark = mark.clone();
        for decided in groups.iter().flat_map(|placed| &placed.group.decided) {
            let mut decided = decided.clone();
            if mistake == Some(Mistake::DecideEverywhere) && decided[0] != ERASE {
                decided[0] = ADD;
                decided = self.decide(&decided);
            }
            let (whom, request) = (decided[1], request_of(&decided));
            match decided[0] {
                ADD => self.held.entry(whom).or_default().extend(request),
                ERASE => {
                    self.held.remove(&whom);
                    self.tombstones.insert(whom);
                }
                _ => {}
            }
        }
    }

    /// The second sync: keys are destroyed, and the ratchet has moved on.
    pub(super) fn move_on(&mut self, key: Ratchet) {
        if key.series() > self.key.series() {
            self.fresh = None;
        }
        self.key = key;
    }

    /// What opening does after a crash: a ratchet that is behind the entry is moved on.
    pub(super) fn open(&mut self) {
        // With none it can be moved on no further: a ratchet that was moved on before its entry was synced.
        if let Some(key) = self.mark.key(&self.key, self.fresh.as_ref()) {
            self.move_on(key);
        }
    }

    /// Forgets that somebody was erased, as a compaction does in its own time.
    pub(super) fn forget_tombstone(&mut self, whom: u8) {
        self.tombstones.remove(&whom);
    }

    /// What it holds, as a number.
    pub(super) fn sum(&self) -> [u8; 16] {
        let mut hasher = Sha256::new();
        for (whom, requests) in &self.held {
            hasher.update([*whom]);
            requests
                .iter()
                .for_each(|it| hasher.update(it.to_le_bytes()));
        }
        *hasher.finalize().first_chunk().expect("it is longer")
    }

    /// All that stores must agree about.
    pub(super) fn held(&self) -> &BTreeMap<u8, BTreeSet<u64>> {
        &self.held
    }
}
