//! Who sees everything, and says what was broken.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::engine::Engine;
use super::store::{Store, request_of};
use crate::entry::{Body, EntryHash, envelope, open_entry};
use crate::mark::{Mark, Verdict};
use crate::ratchet::Ratchet;

type Held = BTreeMap<u8, BTreeSet<u64>>;

/// Follows the log with every key, and remembers what was promised.
#[derive(Debug)]
pub(super) struct Onlooker {
    mark: Mark,
    key: Ratchet,
    sequence: u64,
    /// The hash of each entry that counts, from number 1.
    hashes: Vec<EntryHash>,
    /// The entry that each request is in.
    requests: HashMap<u64, u64>,
    /// What the first store held that had applied so many entries.
    held: BTreeMap<u64, Held>,
    /// The last entry with an erasure that was acknowledged.
    erased_up_to: u64,
}

impl Onlooker {
    pub(super) fn new(mark: Mark, key: Ratchet) -> Self {
        Self {
            mark,
            key,
            sequence: 0,
            hashes: Vec::new(),
            requests: HashMap::new(),
            held: BTreeMap::new(),
            erased_up_to: 0,
        }
    }

    /// Reads what is new in the log.
    pub(super) fn read(&mut self, engine: &Engine) -> Result<(), String> {
        while let Some(payload) = engine.at(self.sequence + 1) {
            self.sequence += 1;
            let (head, _) = envelope(payload).map_err(|error| error.to_string())?;
            if self.mark.follows(&head).is_err() {
                continue;
            }
            let opened = open_entry(payload, &self.key).map_err(|error| error.to_string())?;
            let hash = EntryHash::of(payload);
            let Verdict::Valid(mark) = self.mark.after(&head, &opened.1, hash, self.sequence)
            else {
                continue;
            };
            self.mark = *mark;
            self.key = self
                .key
                .at(self.mark.epoch)
                .ok_or("the ratchet went back")?;
            self.hashes.push(hash);
            if let Body::Group(group) = opened.1 {
                let requests = group.decided.iter().filter_map(|it| request_of(it));
                let number = self.mark.number;
                self.requests
                    .extend(requests.map(|request| (request, number)));
            }
        }
        Ok(())
    }

    /// How many entries count.
    pub(super) fn number(&self) -> u64 {
        self.mark.number
    }

    /// I1 and I8: a store has applied an entry.
    pub(super) fn applied(&mut self, store: &Store) -> Result<(), String> {
        let number = store.mark.number;
        if self.hashes.get(number as usize - 1) != Some(&store.mark.hash) {
            return Err(format!("I1: entry {number} is not the one that counts"));
        }
        let held = self
            .held
            .entry(number)
            .or_insert_with(|| store.held().clone());
        if held != store.held() {
            return Err(format!("I8: after entry {number} two stores differ"));
        }
        Ok(())
    }

    /// I2 and I5: a request was acknowledged by a node whose disk holds this.
    pub(super) fn acknowledged(
        &mut self,
        request: u64,
        erases: bool,
        store: &Store,
    ) -> Result<(), String> {
        let Some(number) = self.requests.get(&request).copied() else {
            return Err(format!("I5: request {request} is in no entry that counts"));
        };
        if store.mark.number < number {
            return Err(format!(
                "I2: entry {number} is not on the disk of who acknowledged it"
            ));
        }
        if erases {
            self.erased_up_to = self.erased_up_to.max(number);
        }
        Ok(())
    }

    /// Whether a request is in an entry that counts.
    pub(super) fn knows(&self, request: u64) -> bool {
        self.requests.contains_key(&request)
    }

    /// The first node to apply an entry told the caller so.
    pub(super) fn believes_acknowledged(&mut self, number: u64) {
        self.erased_up_to = self.erased_up_to.max(number);
    }

    /// I3 and I12: a node may answer readers, and its ratchet has moved on up to this entry.
    pub(super) fn may_answer(&self, node: usize, destroyed: u64) -> Result<(), String> {
        if destroyed < self.erased_up_to {
            return Err(format!(
                "I3: node {node} answers from entry {destroyed}, an erasure of entry {} was \
                 acknowledged",
                self.erased_up_to
            ));
        }
        Ok(())
    }
}
