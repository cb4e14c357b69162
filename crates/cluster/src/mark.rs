//! Where a node stands in the log, and which entry counts as the next one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{Body, BootId, Change, EntryHash, Envelope, Incarnation, NodeId, Place};
use super::ratchet::ENTRIES_PER_EPOCH;

/// What a node keeps with its store about the log: where it stands, and what the entries up to there said of
/// nodes. Written in the commit of the entry that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which log.
    pub incarnation: Incarnation,
    /// The last valid entry; 0 before the first.
    pub number: u64,
    /// Its hash.
    pub hash: EntryHash,
    /// How far the engine's sequence was read, void entries included.
    pub sequence: u64,
    /// The term of the last valid entry; 0 before the first.
    pub term: u64,
    /// Who leads it.
    pub leader: Option<NodeId>,
    /// Which key the next entry is sealed under.
    pub epoch: u64,
    /// Entries of this epoch so far.
    pub of_epoch: u64,
    /// The nodes that were ever heard of.
    pub members: BTreeMap<NodeId, Member>,
}

/// What the log says of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which life of it.
    pub boot: BootId,
    /// The entry by which it joined: it gets no lease before it has applied this one.
    pub joined: u64,
    /// Whether it is not waited for, and holds no lease.
    pub is_out: bool,
}

/// Whether an entry counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does, and this is where a node stands after it.
    Valid(Box<Mark>),
    /// It does not: every node skips it alike.
    Void(Void),
}

/// Why an entry does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// It is of another log.
    Incarnation,
    /// It does not follow the last valid one, by number or by hash.
    Order,
    /// Its term is over, or nobody leads it.
    Term,
}

impl Mark {
    /// Before the first entry of a log.
    pub fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            number: 0,
            hash: EntryHash::NONE,
            sequence: 0,
            term: 0,
            leader: None,
            epoch: 0,
            of_epoch: 0,
            members: BTreeMap::new(),
        }
    }

    /// Where the next entry stands, in `term`.
    pub fn next(&self, term: u64) -> Place {
        Place {
            incarnation: self.incarnation,
            term,
            number: self.number + 1,
            previous: self.hash,
        }
    }

    /// Whether an entry counts, from what anybody may read of it.
    ///
    /// It is of this log, follows the last valid one by number and hash, and is of the same term, or of a
    /// later one and says who leads that. An old leader's entry that reached the log late is void, and so is
    /// the second of two that an engine took behind one tail: no lock and no promise of the engine is needed
    /// for that, but that all read one order.
    pub fn follows(&self, envelope: &Envelope) -> Result<(), Void> {
        if envelope.incarnation != self.incarnation {
            return Err(Void::Incarnation);
        }
        if envelope.number != self.number + 1 || envelope.previous != self.hash {
            return Err(Void::Order);
        }
        if envelope.term < self.term {
            return Err(Void::Term);
        }
        Ok(())
    }

    /// The mark after an entry that [follows](Mark::follows), has this hash and lies at this sequence.
    pub fn after(
        &self,
        envelope: &Envelope,
        body: &Body,
        hash: EntryHash,
        sequence: u64,
    ) -> Verdict {
        if (envelope.term > self.term) != matches!(body, Body::Lead { .. }) {
            return Verdict::Void(Void::Term);
        }
        let mut mark = self.clone();
        mark.number = envelope.number;
        mark.hash = hash;
        mark.sequence = sequence;
        mark.term = envelope.term;
        mark.of_epoch += 1;
        match body {
            Body::Lead { node, boot } => {
                mark.leader = Some(node.clone());
                mark.join(node, *boot);
            }
            Body::Member { node, change } => match change {
                Change::Joined { boot } => mark.join(node, *boot),
                Change::Out => {
                    if let Some(member) = mark.members.get_mut(node) {
                        member.is_out = true;
                    }
                }
            },
            Body::Beat | Body::Group(_) => {}
        }
        let erases = matches!(body, Body::Group(group) if group.erases);
        if erases || mark.of_epoch >= ENTRIES_PER_EPOCH {
            mark.epoch += 1;
            mark.of_epoch = 0;
        }
        Verdict::Valid(Box::new(mark))
    }

    /// What the log says of a node that is waited for.
    pub fn current(&self, node: &NodeId) -> Option<&Member> {
        self.members.get(node).filter(|member| !member.is_out)
    }

    fn join(&mut self, node: &NodeId, boot: BootId) {
        let member = Member {
            boot,
            joined: self.number,
            is_out: false,
        };
        self.members.insert(node.clone(), member);
    }
}
