//! Who sees everything, and says what was broken.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::engine::Engine;
use super::store::{Store, request_of};
use super::versions::Made;
use crate::entry::{Body, EntryHash, NodeId, envelope, open_entry};
use crate::mark::{Mark, Standing, Verdict};
use crate::node::{MemberState, MemberStatus};
use crate::ratchet::{FreshKey, FreshKeyName, Ratchet};
use crate::version::Version;

type Held = BTreeMap<u8, BTreeSet<u64>>;

/// Follows the log with every key, and remembers what was promised.
#[derive(Debug)]
pub(super) struct Onlooker {
    mark: Mark,
    key: Ratchet,
    sequence: u64,
    /// Where a node stands after each entry that counts, from number 1.
    marks: Vec<Mark>,
    /// The entry that each request is in.
    requests: HashMap<u64, u64>,
    /// Keys that were made for a series, and who was ever handed each.
    fresh: HashMap<FreshKeyName, (FreshKey, HashSet<NodeId>)>,
    /// What the first store held that had applied so many entries.
    held: BTreeMap<u64, Held>,
    /// The last entry with an erasure that was acknowledged.
    erased_up_to: u64,
    /// Every version that was made.
    made: HashMap<Version, Made>,
    /// The newest that some node has read to be everywhere.
    everywhere: Made,
}

impl Onlooker {
    pub(super) fn new(mark: Mark, key: Ratchet) -> Self {
        Self {
            mark,
            key,
            sequence: 0,
            marks: Vec::new(),
            requests: HashMap::new(),
            fresh: HashMap::new(),
            held: BTreeMap::new(),
            erased_up_to: 0,
            made: HashMap::from([(Version::default(), Made::default())]),
            everywhere: Made::default(),
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
            if mark.everywhere < self.mark.everywhere {
                return Err(String::from("I6: what was everywhere is no longer"));
            }
            self.mark = *mark;
            let fresh = match &opened.1 {
                Body::Rekey(first) => Some(self.begins_with(*first)?),
                _ => None,
            };
            let key = self.mark.key(&self.key, fresh.as_ref());
            self.key = key.ok_or("the ratchet went back")?;
            self.marks.push(self.mark.clone());
            if let Body::Group(group) = opened.1 {
                let requests = group.decided.iter().filter_map(|it| request_of(it));
                let number = self.mark.number;
                self.requests
                    .extend(requests.map(|request| (request, number)));
            }
        }
        Ok(())
    }

    /// I13: what begins a series nobody was ever handed who was removed.
    fn begins_with(&self, first: FreshKeyName) -> Result<FreshKey, String> {
        let (key, handed) = self.fresh.get(&first).ok_or("I13: nobody made that key")?;
        let removed = handed.iter().find(|node| self.mark.is_removed(node));
        match removed {
            Some(node) => Err(format!("I13: {node} was removed and has the next key")),
            None => Ok(key.clone()),
        }
    }

    /// A node is handed a key for the next series, or makes one.
    pub(super) fn handed(&mut self, node: NodeId, key: &FreshKey) {
        let known = self.fresh.entry(key.name());
        let (_, handed) = known.or_insert_with(|| (key.clone(), HashSet::new()));
        handed.insert(node);
    }

    /// Whether somebody who is to read no more has the keys in use.
    pub(super) fn wants_key(&self) -> bool {
        self.mark.wants_key > 0
    }

    /// How many entries count.
    pub(super) fn number(&self) -> u64 {
        self.mark.number
    }

    /// I1 and I8: a store has applied an entry.
    pub(super) fn applied(&mut self, store: &Store) -> Result<(), String> {
        let number = store.mark.number;
        if self.marks.get(number as usize - 1) != Some(&store.mark) {
            return Err(format!("I1: entry {number} is not the one that counts"));
        }
        let held = self
            .held
            .entry(number)
            .or_insert_with(|| store.held().clone());
        if held != store.held() {
            return Err(format!("I8: after entry {number} two stores differ"));
        }
        self.read_everywhere(store.mark.everywhere)
    }

    fn read_everywhere(&mut self, version: Version) -> Result<(), String> {
        let made = self.made.get(&version).copied();
        let made = made.ok_or(format!("I4: nobody made version {version}"))?;
        if version > self.everywhere.version {
            self.everywhere = made;
        }
        Ok(())
    }

    /// I9: a leader has made a version.
    pub(super) fn made(&mut self, made: Made) -> Result<(), String> {
        let before = self.made.insert(made.version, made);
        if before.is_some_and(|before| before != made) {
            return Err(format!("I9: version {} was made twice", made.version));
        }
        Ok(())
    }

    /// Whether the log says that a node was removed.
    pub(super) fn is_removed(&self, node: &NodeId) -> bool {
        self.mark.is_removed(node)
    }

    /// Whether a node was no stranger when entry `number` was the last, and is to come back.
    pub(super) fn is_member_since(&self, node: &NodeId, number: u64) -> bool {
        let then = self.marks.get((number as usize).wrapping_sub(1));
        let was_there = then.is_some_and(|then| then.members.contains_key(node));
        was_there && !self.is_removed(node)
    }

    /// What the leader says of all nodes is what the log says.
    pub(super) fn knows_members(&self, members: &[MemberStatus]) -> Result<(), String> {
        for status in members {
            let member = self.mark.members.get(&status.node);
            let standing = member.map(|member| member.standing);
            let attested = standing == Some(Standing::Removed { attested: true });
            let owes = self.mark.owes_after(&status.node);
            let expected = match standing {
                Some(Standing::Current) => MemberState::Current,
                Some(_) if owes.is_some() && !attested => MemberState::Owing,
                _ => MemberState::Out,
            };
            let is_right = status.state == expected
                && status.owes_after == owes
                && status.is_removed == self.is_removed(&status.node)
                && (status.is_removed || status.state == MemberState::Current);
            if !is_right {
                return Err(format!("the leader says {status:?}, the log {member:?}"));
            }
        }
        if members.len() != self.mark.members.len() {
            return Err(String::from("the leader knows other members than the log"));
        }
        Ok(())
    }

    /// I7: whoever has not destroyed what was acknowledged to be erased, the log says to owe that. `destroyed` is the
    /// entry up to which the node has.
    pub(super) fn owes(&self, node: &NodeId, destroyed: u64) -> Result<(), String> {
        let Some(member) = self.mark.members.get(node) else {
            return Ok(());
        };
        if member.standing == (Standing::Removed { attested: true }) {
            return Ok(());
        }
        let after = self.mark.owes_after(node);
        if after.unwrap_or(self.erased_up_to) > destroyed {
            return Err(format!(
                "I7: {node} has destroyed up to entry {destroyed}, erasures up to {} were acknowledged, and the \
                 log says that it owes those after {after:?}",
                self.erased_up_to
            ));
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

    /// I3, I4 and I12: a node may answer readers who see this version, and its ratchet has moved on up to this
    /// entry.
    pub(super) fn may_answer(
        &self,
        node: usize,
        destroyed: u64,
        shown: &Made,
    ) -> Result<(), String> {
        if destroyed < self.erased_up_to {
            return Err(format!(
                "I3: node {node} answers from entry {destroyed}, an erasure of entry {} was \
                 acknowledged",
                self.erased_up_to
            ));
        }
        let everywhere = &self.everywhere;
        let is_older =
            shown.version < everywhere.version || shown.version.number < everywhere.version.number;
        if is_older || shown.learnt < everywhere.learnt {
            return Err(format!(
                "I4: node {node} answers from version {} up to entry {}, {} up to entry {} was everywhere",
                shown.version, shown.learnt, everywhere.version, everywhere.learnt
            ));
        }
        Ok(())
    }
}
