//! The chain that the receipts of a service form.

use std::collections::BTreeMap;

use serde::Serialize;

use super::head::ChainHead;
use super::jws::{ChainEntry, Receipt};
use super::settlement::SignedSettlement;
use super::text;

/// Numbers of receipts that are missing between two others, or before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The first that is missing.
    pub first: u64,
    /// The last that is missing.
    pub last: u64,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum ChainFault {
    /// Two different receipts have this number: the chain was continued twice from one place.
    Fork {
        /// The number that both have.
        sequence: u64,
    },
    /// This receipt does not follow the one before it, which is here.
    Broken {
        /// Its place in the chain.
        sequence: u64,
    },
}

/// How some receipts hang together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// What is wrong; empty when all that can be checked holds.
    pub faults: Vec<ChainFault>,
    /// Receipts that are not here, so that what lies beside them could not be checked.
    pub gaps: Vec<Gap>,
    /// Links between two receipts that were checked and hold.
    pub links: u64,
}

impl ChainReport {
    /// Whether the receipts are all there are up to the last of them.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Whether all that can be checked holds.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What one receipt or settlement says of its place in a chain.
#[derive(Debug, Clone, Copy)]
pub struct ChainLink<'a> {
    head: ChainHead,
    previous: Option<&'a str>,
}

impl<'a> From<&'a Receipt> for ChainLink<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        Self {
            head: receipt.head,
            previous: receipt.claims.previous.as_deref(),
        }
    }
}

impl<'a> From<&'a SignedSettlement> for ChainLink<'a> {
    fn from(settlement: &'a SignedSettlement) -> Self {
        Self {
            head: settlement.head,
            previous: settlement.claims.previous.as_deref(),
        }
    }
}

impl<'a> From<&'a ChainEntry> for ChainLink<'a> {
    fn from(entry: &'a ChainEntry) -> Self {
        match entry {
            ChainEntry::Receipt(receipt) => Self::from(&**receipt),
            ChainEntry::Settlement(settlement) => Self::from(settlement),
        }
    }
}

/// Checks the links between verified receipts and settlements of one chain, given in any order. One that is given
/// twice counts once.
pub fn check_chain<'a>(
    receipts: impl IntoIterator<Item = impl Into<ChainLink<'a>>>,
) -> ChainReport {
    let mut report = ChainReport::default();
    let mut by_number: BTreeMap<u64, ChainLink<'a>> = BTreeMap::new();
    for receipt in receipts {
        let receipt = receipt.into();
        let sequence = receipt.head.sequence;
        let fork = ChainFault::Fork { sequence };
        match by_number.insert(sequence, receipt) {
            Some(other) if other.head != receipt.head && !report.faults.contains(&fork) => {
                report.faults.push(fork);
            }
            _ => {}
        }
    }
    let mut before = ChainHead::default();
    for receipt in by_number.values() {
        let sequence = receipt.head.sequence;
        if sequence > before.sequence + 1 {
            report.gaps.push(Gap {
                first: before.sequence + 1,
                last: sequence - 1,
            });
        } else if receipt.previous != before.hash.map(|hash| text::encode(&hash)).as_deref() {
            report.faults.push(ChainFault::Broken { sequence });
        } else if before.hash.is_some() {
            report.links += 1;
        }
        before = receipt.head;
    }
    report
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::claims::{Circumstances, Claims};
    use super::super::commitment::{Salt, commit};
    use super::super::jws::{sign, sign_settlement, verify, verify_entry};
    use super::super::keys::{JwkSet, SigningKey};
    use super::super::nodes::{NodeStanding, NodesStanding};
    use super::super::settlement::tests::settlement;
    use super::*;
    use recant_types::{
        Certificate, ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, LogIncarnation,
        SharedEntry, UnixMillis, UserId,
    };

    /// Claims to follow `head`.
    pub(crate) fn claims(head: &ChainHead) -> Claims {
        claims_of(head, None)
    }

    pub(crate) fn incarnation(number: u8) -> LogIncarnation {
        LogIncarnation::from_bytes([number; 16])
    }

    /// Nodes of which each owes what comes behind an entry.
    pub(crate) fn among(nodes: &[(&str, Option<u64>)]) -> NodesStanding {
        let nodes = nodes.iter().map(|(node, owes_after)| NodeStanding {
            node: (*node).to_owned(),
            owes_after: *owes_after,
            owes_upto: None,
            is_removed: false,
        });
        NodesStanding {
            incarnations: vec![incarnation(1)],
            nodes: nodes.collect(),
        }
    }

    /// Claims about an erasure of entry 5 among these nodes.
    pub(crate) fn claims_among(head: &ChainHead, nodes: &NodesStanding) -> Claims {
        claims_of(head, Some(nodes))
    }

    fn claims_of(head: &ChainHead, nodes: Option<&NodesStanding>) -> Claims {
        let target = ErasureTarget::User(UserId::new("needle").expect("an id"));
        let id = ErasureId::from_bytes([9; 16]);
        let mut record = ErasureRecord::accepted(id, 1, &target, UnixMillis(1_000));
        record.status = ErasureStatus::Certified;
        record.erased_at = Some(UnixMillis(1_001));
        record.forgotten_at = Some(UnixMillis(1_002));
        record.certified_at = Some(UnixMillis(1_003));
        (record.model_version_before, record.model_version_after) = (Some(1), Some(2));
        record.certificate = Some(Certificate::residual(0.1 + 0.2, 1e-4));
        // On one machine it says nothing, wherever the record comes from.
        record.shared_entry = Some(SharedEntry {
            incarnation: incarnation(1),
            term: 2,
            entry: 5,
        });
        record.commitment = Some(commit(&Salt::from_bytes([1; 32]), &target));
        let circumstances = Circumstances {
            issuer: "recant",
            signed_at: UnixMillis(1_999),
            model_version_certified: 3,
            generation: 4,
            nodes,
        };
        Claims::new(&record, &circumstances, head).expect("a certified erasure")
    }

    fn chain(length: u64) -> Vec<Receipt> {
        let key = SigningKey::from_seed(&[5; 32]);
        let keys = JwkSet {
            keys: vec![key.public()],
        };
        let mut head = ChainHead::default();
        let mut receipts = Vec::new();
        for _ in 0..length {
            let receipt = verify(&sign(&key, &claims(&head)), &keys).expect("signed just now");
            head = receipt.head;
            receipts.push(receipt);
        }
        receipts
    }

    #[test]
    fn claims_are_whole_and_name_nobody() {
        let said = claims(&ChainHead::default());
        assert_eq!((said.iat, said.sequence), (1, 1));
        let json = serde_json::to_string(&said).expect("plain data");
        assert!(!json.contains("needle"), "{json}");
        assert!(
            !json.contains("nodes") && !json.contains("cluster"),
            "{json}"
        );
        assert!(
            json.contains("\"accepted_at\":\"1970-01-01T00:00:01.000Z\""),
            "{json}"
        );
    }

    #[test]
    fn an_erasure_on_its_way_has_no_receipt() {
        let target = ErasureTarget::User(UserId::new("ada").expect("an id"));
        let record = ErasureRecord::accepted(ErasureId::generate(), 1, &target, UnixMillis(0));
        let circumstances = Circumstances {
            issuer: "recant",
            signed_at: UnixMillis(0),
            model_version_certified: 1,
            generation: 1,
            nodes: None,
        };
        assert_eq!(
            Claims::new(&record, &circumstances, &ChainHead::default()),
            None
        );
    }

    #[test]
    fn settlements_are_links_of_the_same_chain() {
        let key = SigningKey::from_seed(&[5; 32]);
        let keys = JwkSet {
            keys: vec![key.public()],
        };
        let (mut head, mut entries) = (ChainHead::default(), Vec::new());
        for at in 0..6 {
            let compact = if at % 3 == 1 {
                sign_settlement(&key, &settlement(&head, "b", at))
            } else {
                sign(&key, &claims(&head))
            };
            let entry = verify_entry(&compact, &keys).expect("signed just now");
            head = entry.head();
            entries.push(entry);
        }
        let whole = check_chain(&entries);
        assert!(whole.holds() && whole.is_complete(), "{whole:?}");
        assert_eq!(whole.links, 5);
        // Without its settlements a chain has gaps, and one that was put in is seen.
        let receipts = entries
            .iter()
            .filter(|it| matches!(it, ChainEntry::Receipt(_)));
        let part = check_chain(receipts);
        let gaps: Vec<_> = part.gaps.iter().map(|gap| (gap.first, gap.last)).collect();
        assert_eq!(gaps, [(2, 2), (5, 5)]);
        let other = sign_settlement(&key, &settlement(&entries[2].head(), "c", 9));
        entries.push(verify_entry(&other, &keys).expect("signed just now"));
        let fork = ChainFault::Fork { sequence: 4 };
        assert!(check_chain(&entries).faults.contains(&fork));
    }

    #[test]
    fn a_fork_is_seen() {
        let receipts = chain(3);
        let key = SigningKey::from_seed(&[5; 32]);
        let keys = JwkSet {
            keys: vec![key.public()],
        };
        let mut said = claims(&receipts[0].head);
        said.iat += 1;
        let second = verify(&sign(&key, &said), &keys).expect("signed just now");
        let all = receipts.iter().chain([&second, &second]);
        let report = check_chain(all);
        assert!(report.faults.contains(&ChainFault::Fork { sequence: 2 }));
        assert!(!report.holds());
    }

    #[test]
    fn a_receipt_that_was_replaced_breaks_the_link_after_it() {
        let mut receipts = chain(4);
        receipts[1].head.hash = Some([0; 32]);
        let report = check_chain(&receipts);
        assert_eq!(report.faults, [ChainFault::Broken { sequence: 3 }]);
    }

    proptest! {
        #[test]
        fn any_part_of_a_chain_holds_and_its_gaps_are_named(
            kept in prop::collection::btree_set(1u64..12, 1..11),
            turn in 0usize..11,
        ) {
            let receipts = chain(11);
            let mut part: Vec<&Receipt> = kept.iter().map(|n| &receipts[*n as usize - 1]).collect();
            let turn = turn % part.len();
            part.rotate_left(turn);
            part.push(part[0]);
            let report = check_chain(part);
            prop_assert!(report.holds());
            let missing: Vec<u64> = report.gaps.iter().flat_map(|gap| gap.first..=gap.last).collect();
            let last = *kept.last().expect("not empty");
            let expected: Vec<u64> = (1..last).filter(|n| !kept.contains(n)).collect();
            prop_assert_eq!(report.is_complete(), expected.is_empty());
            prop_assert_eq!(missing, expected);
            let links = kept.iter().filter(|n| kept.contains(&(*n + 1))).count();
            prop_assert_eq!(report.links, links as u64);
        }
    }
}
