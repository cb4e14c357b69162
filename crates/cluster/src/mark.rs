//! Where a node stands in the log, and which entry counts as the next one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{
    Address, Body, BootId, Change, EntryHash, Envelope, Incarnation, NodeId, Place,
};
use super::ratchet::{ENTRIES_PER_EPOCH, FreshKey, FreshKeyName, Ratchet};
use super::version::Version;

/// What a node keeps with its store about the log: where it stands, and what the entries up to there said of
/// nodes. Written in the commit of the entry that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which log.
    pub incarnation: Incarnation,
    /// Those in whose place it was made, the latest first: its entries go on counting from theirs.
    pub before: Vec<Incarnation>,
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
    /// How the series of keys began that the next entry is sealed under; nothing for the first one.
    pub series: Option<Series>,
    /// The last entry by which somebody was left with the keys of this series who is to read no more: a node was
    /// removed, or came back with another disk. 0 when there is none.
    pub wants_key: u64,
    /// Which key of the series the next entry is sealed under.
    pub epoch: u64,
    /// Entries of this epoch so far.
    pub of_epoch: u64,
    /// The last entry that erases; 0 before the first.
    pub erased: u64,
    /// The newest version that an entry says to be everywhere. It never goes back.
    pub everywhere: Version,
    /// The nodes that were ever heard of.
    pub members: BTreeMap<NodeId, Member>,
    /// Every public key that a node ever said it signs with, each once: what it signed stays, though the node
    /// may have lost its disk since, and have another.
    pub signed_with: Vec<Vec<u8>>,
}

/// How a series of keys began that is not the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Its number: 1 for the one that took the place of the first, and so on.
    pub number: u64,
    /// The epoch that its first key is of.
    pub from: u64,
    /// What that key goes by.
    pub first: FreshKeyName,
}

/// What the log says of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which life of it.
    pub boot: BootId,
    /// Where it is reached.
    pub address: Address,
    /// The public key that it signs with, as others are shown it: opaque here.
    pub signing: Vec<u8>,
    /// Whether it may lead.
    pub is_candidate: bool,
    /// The entry by which it joined: it gets no lease before it has applied this one.
    pub joined: u64,
    /// The last entry that it is known to have applied, as far as the log says.
    pub applied: u64,
    /// Whether it is waited for.
    pub standing: Standing,
    /// What it was away for, until that is settled.
    pub debt: Option<Debt>,
}

/// That a node was away, or is: what is erased meanwhile it has still to carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// The last entry that it is known to have applied, or to have settled.
    pub after: u64,
    /// The public key that it signed with when it left: whether it came back with the same disk is told by that.
    pub signing: Vec<u8>,
}

/// Whether a node is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It may hold a lease, and is waited for.
    Current,
    /// It holds no lease, and is not waited for. It may join again.
    Out,
    /// An operator took it out for good.
    Removed {
        /// Whether the operator says that its disk is destroyed.
        attested: bool,
    },
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
    /// It is about a node that was removed, as if it were not.
    Removed,
}

impl Mark {
    /// Before the first entry of a log.
    pub fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            before: Vec::new(),
            number: 0,
            hash: EntryHash::NONE,
            sequence: 0,
            term: 0,
            leader: None,
            series: None,
            wants_key: 0,
            epoch: 0,
            of_epoch: 0,
            erased: 0,
            everywhere: Version::default(),
            members: BTreeMap::new(),
            signed_with: Vec::new(),
        }
    }

    /// The same place before the first entry of a log that was made anew, and goes on from here.
    pub fn begin_again(mut self, incarnation: Incarnation) -> Self {
        self.before.insert(0, self.incarnation);
        self.incarnation = incarnation;
        self.sequence = 0;
        self
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a mark is plain data")
    }

    /// What was kept; nothing when it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
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
        if self.is_of_removed(body) {
            return Verdict::Void(Void::Removed);
        }
        let mut mark = self.clone();
        mark.number = envelope.number;
        mark.hash = hash;
        mark.sequence = sequence;
        mark.term = envelope.term;
        mark.of_epoch += 1;
        if let Some(leader) = mark.leader.clone()
            && let Some(member) = mark.members.get_mut(&leader)
            && envelope.term == self.term
        {
            // Whoever leads writes nothing before it has applied all that comes before.
            member.applied = member.applied.max(self.number);
        }
        match body {
            Body::Lead {
                node,
                boot,
                address,
                signing,
                is_candidate,
            } => {
                mark.leader = Some(node.clone());
                mark.note_disk(node, signing);
                let member = Member {
                    boot: *boot,
                    address: address.clone(),
                    signing: signing.clone(),
                    is_candidate: *is_candidate,
                    joined: mark.number,
                    // Whoever leads has applied all that comes before.
                    applied: self.number,
                    standing: Standing::Current,
                    debt: mark.debt_of_joining(node, self.number, signing),
                };
                mark.members.insert(node.clone(), member);
                mark.remember(signing);
            }
            Body::Member { node, change } => mark.changed(node, change),
            Body::Beat | Body::Check(_) => {}
            Body::Rekey(first) => {
                mark.series = Some(Series {
                    number: self.series() + 1,
                    from: self.epoch + 1,
                    first: *first,
                });
                mark.wants_key = 0;
            }
            Body::Group(group) => {
                mark.everywhere = mark.everywhere.max(group.everywhere.unwrap_or_default());
                if group.erases {
                    mark.erased = mark.number;
                }
                mark.confirmed(group.confirmed);
                for (node, upto) in &group.settled {
                    mark.settled(node, *upto);
                }
            }
        }
        let is_over = mark.erased == mark.number || mark.series != self.series;
        if is_over || mark.of_epoch >= ENTRIES_PER_EPOCH {
            mark.epoch += 1;
            mark.of_epoch = 0;
        }
        Verdict::Valid(Box::new(mark))
    }

    fn remember(&mut self, signing: &[u8]) {
        if !self.signed_with.iter().any(|known| known == signing) {
            self.signed_with.push(signing.to_owned());
        }
    }

    fn changed(&mut self, node: &NodeId, change: &Change) {
        if let Change::Joined {
            boot,
            address,
            signing,
            is_candidate,
            applied,
        } = change
        {
            self.note_disk(node, signing);
            let member = Member {
                boot: *boot,
                address: address.clone(),
                signing: signing.clone(),
                is_candidate: *is_candidate,
                joined: self.number,
                applied: *applied,
                standing: Standing::Current,
                debt: self.debt_of_joining(node, *applied, signing),
            };
            self.members.insert(node.clone(), member);
            self.remember(signing);
        }
        let Some(member) = self.members.get_mut(node) else {
            return;
        };
        match change {
            Change::Joined { .. } => {}
            Change::Out { applied } => {
                member.leaves(*applied);
                member.standing = Standing::Out;
            }
            Change::Removed { attested, applied } => {
                if !matches!(member.standing, Standing::Removed { .. }) {
                    member.leaves(*applied);
                    self.wants_key = self.number;
                }
                let before = member.standing == Standing::Removed { attested: true };
                member.standing = Standing::Removed {
                    attested: *attested || before,
                };
                if *attested || before {
                    // What is erased from now on is nothing to a disk that is destroyed.
                    member.debt.take_if(|debt| debt.after >= self.erased);
                }
            }
        }
    }

    /// A node comes back that signs with another key: it may have another disk, and the one before is somewhere.
    fn note_disk(&mut self, node: &NodeId, signing: &[u8]) {
        let before = self.members.get(node);
        if before.is_some_and(|before| before.signing != signing) {
            self.wants_key = self.number;
        }
    }

    /// What a node owes that comes, or comes back, and says that it has applied so much.
    fn debt_of_joining(&self, node: &NodeId, applied: u64, signing: &[u8]) -> Option<Debt> {
        let before = self.members.get(node).and_then(|it| it.debt.clone());
        let debt = before.unwrap_or_else(|| Debt {
            after: applied,
            signing: signing.to_owned(),
        });
        // With another key it may have another disk, and then the one before is somewhere.
        let is_open = debt.after < self.erased || debt.signing != signing;
        is_open.then_some(debt)
    }

    /// Every node that is waited for has applied entry `number`.
    fn confirmed(&mut self, number: u64) {
        let members = self.members.values_mut();
        for member in members.filter(|it| it.standing == Standing::Current) {
            member.applied = member.applied.max(number);
        }
    }

    /// A node owes nothing up to entry `upto`.
    fn settled(&mut self, node: &NodeId, upto: u64) {
        let Some(member) = self.members.get_mut(node) else {
            return;
        };
        let is_over = match member.standing {
            Standing::Current => member.joined <= upto,
            Standing::Out => false,
            Standing::Removed { attested } => attested,
        };
        match &mut member.debt {
            // It may have gone away again since.
            Some(debt) if !is_over => debt.after = debt.after.max(upto),
            debt => *debt = None,
        }
    }

    /// The entry behind which a node has still to carry out what was erased, as far as the log says; nothing when
    /// it owes nothing.
    pub fn owes_after(&self, node: &NodeId) -> Option<u64> {
        let debt = self.members.get(node)?.debt.as_ref()?;
        (debt.after < self.erased).then_some(debt.after)
    }

    /// The last entry that a node owes; nothing while it is away. With another key it may have another disk, and the
    /// one before owes what comes, too.
    pub fn owes_upto(&self, node: &NodeId) -> Option<u64> {
        let member = self.current(node)?;
        let debt = member.debt.as_ref()?;
        (debt.signing == member.signing).then_some(member.joined)
    }

    /// What the log says of a node that is waited for.
    pub fn current(&self, node: &NodeId) -> Option<&Member> {
        let member = self.members.get(node)?;
        (member.standing == Standing::Current).then_some(member)
    }

    /// Whether an operator took a node out for good.
    pub fn is_removed(&self, node: &NodeId) -> bool {
        let member = self.members.get(node);
        member.is_some_and(|member| matches!(member.standing, Standing::Removed { .. }))
    }

    /// Whether somebody leads, joins or goes who was removed.
    fn is_of_removed(&self, body: &Body) -> bool {
        match body {
            Body::Member {
                change: Change::Removed { .. },
                ..
            }
            | Body::Beat
            | Body::Check(_)
            | Body::Rekey(_)
            | Body::Group(_) => false,
            Body::Lead { node, .. } | Body::Member { node, .. } => self.is_removed(node),
        }
    }

    /// The key of the next entry, from the one that a store holds, which a crash may have left behind, and the one
    /// that it keeps for the next series; `None` when it cannot be had of these.
    pub fn key(&self, held: &Ratchet, kept: Option<&FreshKey>) -> Option<Ratchet> {
        let Some(series) = self.series.filter(|series| series.number > held.series()) else {
            return held.at(self.epoch);
        };
        let kept = kept.filter(|key| key.name() == series.first)?;
        kept.begin(series.number, series.from).at(self.epoch)
    }

    /// Which series of keys the next entry is sealed under.
    pub fn series(&self) -> u64 {
        self.series.map_or(0, |series| series.number)
    }

    /// Where the leader is reached.
    pub fn leader_address(&self) -> Option<&Address> {
        let member = self.members.get(self.leader.as_ref()?);
        member.map(|member| &member.address)
    }
}

impl Member {
    /// It is not waited for any more, and had applied so much.
    fn leaves(&mut self, applied: u64) {
        self.applied = self.applied.max(applied);
        let (after, signing) = (self.applied, &self.signing);
        self.debt.get_or_insert_with(|| Debt {
            after,
            signing: signing.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Group, seal_entry};
    use uuid::Uuid;
    use zeroize::Zeroizing;

    fn node(name: &str) -> NodeId {
        NodeId(name.to_owned())
    }

    fn after(mark: &Mark, term: u64, body: &Body) -> Verdict {
        let key = Ratchet::new(0, 0, Zeroizing::new([1; 32])).at(mark.epoch);
        let entry = seal_entry(mark.next(term), body, &key.expect("ahead"));
        let (head, _) = crate::entry::envelope(&entry).expect("whole");
        mark.after(&head, body, EntryHash::of(&entry), mark.sequence + 1)
    }

    fn valid(mark: &Mark, term: u64, body: &Body) -> Mark {
        match after(mark, term, body) {
            Verdict::Valid(mark) => *mark,
            Verdict::Void(void) => panic!("{void:?}"),
        }
    }

    fn lead(name: &str) -> Body {
        let boot = BootId {
            life: 1,
            process: Uuid::nil(),
        };
        Body::Lead {
            node: node(name),
            boot,
            address: Address(String::new()),
            signing: vec![7],
            is_candidate: true,
        }
    }

    fn change(name: &str, change: Change) -> Body {
        let node = node(name);
        Body::Member { node, change }
    }

    fn joined(applied: u64) -> Change {
        Change::Joined {
            boot: BootId {
                life: 1,
                process: Uuid::nil(),
            },
            address: Address(String::new()),
            signing: vec![8],
            is_candidate: true,
            applied,
        }
    }

    /// A group by which nodes that are waited for have applied so much.
    fn of(erases: bool, confirmed: u64) -> Group {
        Group {
            decided: vec![vec![1]],
            erases,
            everywhere: None,
            settled: Vec::new(),
            confirmed,
        }
    }

    fn settled(name: &str, upto: u64) -> Body {
        Body::Group(Group {
            settled: vec![(node(name), upto)],
            ..of(false, 0)
        })
    }

    #[test]
    fn what_is_erased_while_a_node_is_away_it_owes_until_that_is_settled() {
        let owes = |mark: &Mark| mark.owes_after(&node("b"));
        // Entry 3 is carried out by both before b goes, entry 5 while it is away.
        let mark = valid(&two(), 1, &Body::Group(of(true, 0)));
        let mark = valid(&mark, 1, &change("b", Change::Out { applied: 3 }));
        assert_eq!(owes(&mark), None);
        let mark = valid(&mark, 1, &Body::Group(of(true, 3)));
        assert_eq!((mark.number, owes(&mark)), (5, Some(3)));
        // That it is back is not enough, and a leader who comes in between changes nothing.
        let mark = valid(&mark, 1, &change("b", joined(5)));
        let mark = valid(&mark, 2, &lead("a"));
        assert_eq!(
            (owes(&mark), mark.owes_upto(&node("b"))),
            (Some(3), Some(6))
        );
        let again = valid(&mark, 2, &settled("b", 6));
        assert_eq!(owes(&again), None);
        assert_eq!(again.members[&node("b")].debt, None);
        // Gone again before it was said: what comes after is owed.
        let mark = valid(&mark, 2, &change("b", Change::Out { applied: 7 }));
        let mark = valid(&mark, 2, &settled("b", 6));
        assert_eq!(owes(&mark), None);
        let mark = valid(&mark, 2, &Body::Group(of(true, 0)));
        assert_eq!(owes(&mark), Some(6));
        // It leads: it has applied all, and it is still to be said.
        let mark = valid(&mark, 3, &lead("b"));
        assert_eq!(owes(&mark), Some(6));
        let mark = valid(&mark, 3, &settled("b", mark.number));
        assert_eq!(owes(&mark), None);
    }

    #[test]
    fn what_a_removed_node_owes_an_operator_can_attest_alone() {
        let owes = |mark: &Mark| mark.owes_after(&node("b"));
        let removed = |attested| {
            let applied = 2;
            change("b", Change::Removed { attested, applied })
        };
        let mark = valid(&two(), 1, &removed(false));
        let mark = valid(&mark, 1, &Body::Group(of(true, 0)));
        assert_eq!(owes(&mark), Some(2));
        let mark = valid(&mark, 1, &settled("b", 3));
        let mark = valid(&mark, 1, &Body::Group(of(true, 0)));
        assert_eq!(owes(&mark), Some(3));
        let mark = valid(&mark, 1, &removed(true));
        assert_eq!(owes(&mark), Some(3));
        let mark = valid(&mark, 1, &settled("b", 6));
        let mark = valid(&mark, 1, &Body::Group(of(true, 0)));
        assert_eq!(owes(&mark), None);
        // Said once more, it owes no more for that; nor does one that owed nothing when it was destroyed.
        let mark = valid(&mark, 1, &removed(true));
        assert_eq!(owes(&mark), None);
        let mark = valid(&two(), 1, &removed(true));
        let mark = valid(&mark, 1, &Body::Group(of(true, 0)));
        assert_eq!(owes(&mark), None);
    }

    #[test]
    fn a_disk_that_is_somewhere_is_not_forgotten_when_another_comes_under_its_name() {
        let mark = valid(&two(), 1, &change("b", Change::Out { applied: 2 }));
        let Change::Joined {
            boot,
            address,
            is_candidate,
            applied,
            ..
        } = joined(3)
        else {
            unreachable!("it is one");
        };
        let another = Change::Joined {
            boot,
            address,
            signing: vec![9],
            is_candidate,
            applied,
        };
        let mark = valid(&mark, 1, &change("b", another));
        assert_eq!(mark.owes_after(&node("b")), None);
        let mark = valid(&mark, 1, &Body::Group(of(true, 0)));
        assert_eq!(mark.owes_after(&node("b")), Some(2));
        let debt = mark.members[&node("b")].debt.clone();
        assert_eq!(debt.map(|it| it.signing), Some(vec![8]));
    }

    #[test]
    fn what_nodes_have_confirmed_they_do_not_owe_though_nobody_heard_them_since() {
        let mark = valid(&two(), 1, &Body::Group(of(true, 0)));
        // A fact about it follows once all have it.
        let mark = valid(&mark, 1, &Body::Group(of(false, 3)));
        let mark = valid(&mark, 2, &lead("b"));
        // Who led until then has heard itself, up to the entry before its last.
        let mark = valid(&mark, 2, &change("a", Change::Out { applied: 0 }));
        assert_eq!(mark.members[&node("a")].applied, 3);
        assert_eq!(mark.owes_after(&node("a")), None);
        let mark = valid(&mark, 2, &Body::Group(of(true, 0)));
        assert_eq!(mark.owes_after(&node("a")), Some(3));
    }

    /// Two nodes: a leads, b follows.
    fn two() -> Mark {
        let mark = valid(&Mark::new(Incarnation(Uuid::nil())), 1, &lead("a"));
        valid(&mark, 1, &change("b", joined(1)))
    }

    #[test]
    fn what_a_node_signed_with_before_it_lost_its_disk_is_known_for_ever() {
        let mark = two();
        assert_eq!(mark.signed_with, [[7], [8]]);
        let Change::Joined {
            boot,
            address,
            is_candidate,
            applied,
            ..
        } = joined(2)
        else {
            unreachable!("it is one");
        };
        let with_another = Change::Joined {
            boot,
            address,
            signing: vec![9],
            is_candidate,
            applied,
        };
        let mark = valid(&mark, 1, &change("b", with_another));
        assert_eq!(mark.members[&node("b")].signing, [9]);
        assert_eq!(mark.signed_with, [[7], [8], [9]]);
        let mark = valid(&mark, 1, &change("b", joined(3)));
        assert_eq!(mark.signed_with, [[7], [8], [9]]);
    }

    #[test]
    fn other_keys_are_wanted_when_somebody_has_these_who_is_to_read_no_more() {
        let held = Ratchet::new(0, 0, Zeroizing::new([1; 32]));
        let fresh = FreshKey::random();
        let removed = change(
            "b",
            Change::Removed {
                attested: false,
                applied: 2,
            },
        );
        let mark = valid(&two(), 1, &removed);
        assert_eq!((mark.wants_key, mark.series()), (3, 0));
        // Said once more it is no other removal.
        let mark = valid(&mark, 1, &removed);
        assert_eq!(mark.wants_key, 3);
        let mark = valid(&mark, 1, &Body::Group(of(true, 0)));
        assert_eq!((mark.wants_key, mark.epoch), (3, 1));
        let mark = valid(&mark, 1, &Body::Rekey(fresh.name()));
        assert_eq!((mark.wants_key, mark.series(), mark.epoch), (0, 1, 2));
        let mark = valid_under(&mark, &fresh, &Body::Group(of(true, 0)));
        assert_eq!((mark.series(), mark.epoch), (1, 3));

        // A store that a crash left anywhere before gets there by what it kept, and by nothing else.
        let first = fresh.begin(1, 2);
        let key = mark.key(&held, Some(&fresh)).expect("kept");
        assert_eq!((key.series(), key.epoch()), (1, 3));
        assert_eq!(key.expose(), first.next().expose());
        assert_eq!(
            mark.key(&first, None).map(|it| *it.expose()),
            Some(*key.expose())
        );
        assert!(mark.key(&held, None).is_none());
        assert!(mark.key(&held, Some(&FreshKey::random())).is_none());

        // Another disk under the same name: the one before is somewhere, with its keys.
        let mark = valid(&two(), 1, &change("b", Change::Out { applied: 2 }));
        let mark = valid(&mark, 1, &change("b", joined(3)));
        assert_eq!(mark.wants_key, 0);
        let mark = valid(&mark, 2, &lead("b"));
        assert_eq!(mark.wants_key, mark.number);
    }

    /// The mark after an entry of a series that begins with this key.
    fn valid_under(mark: &Mark, fresh: &FreshKey, body: &Body) -> Mark {
        let held = Ratchet::new(0, 0, Zeroizing::new([1; 32]));
        let key = mark.key(&held, Some(fresh)).expect("kept");
        let entry = seal_entry(mark.next(mark.term), body, &key);
        let (head, body) = crate::entry::open_entry(&entry, &key).expect("whole");
        match mark.after(&head, &body, EntryHash::of(&entry), mark.sequence + 1) {
            Verdict::Valid(mark) => *mark,
            Verdict::Void(void) => panic!("{void:?}"),
        }
    }

    #[test]
    fn nobody_joins_or_leads_under_a_name_that_was_removed() {
        let removed = |attested| {
            let applied = 2;
            change("b", Change::Removed { attested, applied })
        };
        let mark = valid(&two(), 1, &removed(true));
        assert!(mark.is_removed(&node("b")) && mark.current(&node("b")).is_none());
        for (term, body) in [
            (1, change("b", joined(2))),
            (1, change("b", Change::Out { applied: 2 })),
            (2, lead("b")),
        ] {
            assert_eq!(after(&mark, term, &body), Verdict::Void(Void::Removed));
        }
        // What an operator attested once stays so.
        let mark = valid(&mark, 1, &removed(false));
        let standing = Standing::Removed { attested: true };
        assert_eq!(mark.members[&node("b")].standing, standing);
        assert_eq!(mark.members[&node("b")].signing, [8]);
    }

    #[test]
    fn what_is_everywhere_and_what_was_applied_never_go_back() {
        let group = |erases, number| {
            Body::Group(Group {
                everywhere: Some(Version { term: 1, number }),
                ..of(erases, 0)
            })
        };
        let mark = valid(&two(), 1, &group(true, 5));
        assert_eq!((mark.erased, mark.everywhere.number), (3, 5));
        let mark = valid(&mark, 1, &group(false, 4));
        assert_eq!((mark.erased, mark.everywhere.number), (3, 5));
        let mark = valid(&mark, 1, &change("b", Change::Out { applied: 3 }));
        assert_eq!(mark.members[&node("b")].applied, 3);
        let mark = valid(&mark, 1, &change("b", Change::Out { applied: 0 }));
        assert_eq!(mark.members[&node("b")].applied, 3);
        assert_eq!(Mark::from_bytes(&mark.to_bytes()), Some(mark));
    }
}
