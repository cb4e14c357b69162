//! The chain that the receipts of a service form.

use std::collections::BTreeMap;

use serde::Serialize;

use super::head::ChainHead;
use super::jws::Receipt;
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
        /// The number.
        sequence: u64,
    },
    /// This receipt does not follow the one before it, which is here.
    Broken {
        /// Its number.
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

/// Checks the links between verified receipts of one chain, given in any order. One that is given
/// twice counts once.
pub fn check_chain<'a>(receipts: impl IntoIterator<Item = &'a Receipt>) -> ChainReport {
    let mut report = ChainReport::default();
    let mut by_number: BTreeMap<u64, &Receipt> = BTreeMap::new();
    for receipt in receipts {
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
        } else if receipt.claims.previous != before.hash.map(|hash| text::encode(&hash)) {
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
    use super::super::jws::{sign, verify};
    use super::super::keys::{JwkSet, SigningKey};
    use super::*;
    use recant_types::{
        Certificate, ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, UnixMillis, UserId,
    };

    /// Claims to follow `head`.
    pub(crate) fn claims(head: &ChainHead) -> Claims {
        let target = ErasureTarget::User(UserId::new("needle").expect("an id"));
        let id = ErasureId::from_bytes([9; 16]);
        let mut record = ErasureRecord::accepted(id, 1, &target, UnixMillis(1_000));
        record.status = ErasureStatus::Certified;
        record.erased_at = Some(UnixMillis(1_001));
        record.forgotten_at = Some(UnixMillis(1_002));
        record.certified_at = Some(UnixMillis(1_003));
        (record.model_version_before, record.model_version_after) = (Some(1), Some(2));
        record.certificate = Some(Certificate::residual(0.1 + 0.2, 1e-4));
        record.commitment = Some(commit(&Salt::from_bytes([1; 32]), &target));
        let circumstances = Circumstances {
            issuer: "recant",
            signed_at: UnixMillis(1_999),
            model_version_certified: 3,
            generation: 4,
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
        };
        assert_eq!(
            Claims::new(&record, &circumstances, &ChainHead::default()),
            None
        );
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
