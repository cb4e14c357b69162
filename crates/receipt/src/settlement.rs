//! What is signed once a node that was away owes nothing any more.

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::head::ChainHead;
use super::nodes::NodeState;
use super::text;
use recant_types::{LogIncarnation, UnixMillis};

/// The claims of a settlement: a receipt that closes those before it which say that a node owes something. It names
/// no erasure, and so nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementClaims {
    /// Who signed (RFC 7519): the configured name of the service.
    pub iss: String,
    /// When it was signed (RFC 7519), in seconds since 1970.
    pub iat: i64,
    /// The node that was away.
    pub node: String,
    /// It owes nothing of what entries of the log up to this one erased.
    pub upto: u64,
    /// How that came about.
    pub how: SettledHow,
    /// The lives of the log over which entries are counted, the present one first.
    pub incarnations: Vec<LogIncarnation>,
    /// The place of this settlement in the chain of receipts; the first is 1.
    pub sequence: u64,
    /// SHA-256 of the receipt or settlement before this one, its compact text, in base64url; null in the first.
    pub previous: Option<String>,
}

/// How a node came to owe nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledHow {
    /// It came back and applied the entries that it had missed.
    CaughtUp,
    /// It came back, destroyed all of its keys, and got its data from another node.
    Transferred,
    /// An operator declared its disk destroyed. Nobody looked.
    Attested,
}

/// A settlement whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedSettlement {
    /// What it says.
    pub claims: SettlementClaims,
    /// The id of the key it was signed with.
    pub key_id: String,
    /// Where it stands in the chain.
    pub head: ChainHead,
}

impl SettlementClaims {
    /// The claims of a settlement, to follow `head` in the chain.
    pub fn new(
        issuer: &str,
        signed_at: UnixMillis,
        incarnations: Vec<LogIncarnation>,
        (node, upto, how): (String, u64, SettledHow),
        head: &ChainHead,
    ) -> Self {
        Self {
            iss: issuer.to_owned(),
            iat: signed_at.0.div_euclid(1_000),
            node,
            upto,
            how,
            incarnations,
            sequence: head.sequence + 1,
            previous: head.hash.map(|hash| text::encode(&hash)),
        }
    }

    /// Whether `node` owes nothing any more of the erasure that `receipt` is about.
    pub fn closes(&self, receipt: &Claims, node: &str) -> bool {
        let entry = receipt.cluster.as_ref();
        self.node == node
            && entry.is_some_and(|entry| {
                entry.entry <= self.upto && self.incarnations.contains(&entry.incarnation)
            })
    }
}

impl Claims {
    /// The nodes that owe this erasure, by the receipt and those of `settlements` that are known.
    pub fn owed_by<'a>(&'a self, settlements: &[&SettlementClaims]) -> Vec<&'a str> {
        let nodes = self.nodes.iter().flatten();
        let owing = nodes.filter(|it| it.state == NodeState::Owing);
        let is_open = |node: &&str| !settlements.iter().any(|it| it.closes(self, node));
        owing.map(|it| it.node.as_str()).filter(is_open).collect()
    }
}

impl SettledHow {
    /// The same for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::CaughtUp => "for it has caught up",
            Self::Transferred => "for it has destroyed its keys and got its data anew",
            Self::Attested => "for its disk is said to be destroyed",
        }
    }

    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CaughtUp => "caught_up",
            Self::Transferred => "transferred",
            Self::Attested => "attested",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::chain::tests::{among, claims_among, incarnation};
    use super::super::claims::ScanMethod;
    use super::super::jws::{
        ChainEntry, ReceiptError, sign, sign_settlement, verify, verify_entry,
    };
    use super::super::keys::{JwkSet, SigningKey};
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[3; 32])
    }

    fn keys() -> JwkSet {
        JwkSet {
            keys: vec![key().public()],
        }
    }

    pub(crate) fn settlement(head: &ChainHead, node: &str, upto: u64) -> SettlementClaims {
        let what = (node.to_owned(), upto, SettledHow::CaughtUp);
        SettlementClaims::new(
            "recant",
            UnixMillis(2_500),
            vec![incarnation(1)],
            what,
            head,
        )
    }

    #[test]
    fn what_is_signed_reads_back_and_is_no_receipt() {
        let said = settlement(&ChainHead::default(), "b", 7);
        let compact = sign_settlement(&key(), &said);
        let read = verify_entry(&compact, &keys()).expect("it holds");
        let ChainEntry::Settlement(read) = read else {
            panic!("{read:?}")
        };
        assert_eq!((&read.claims, read.key_id.as_str()), (&said, key().id()));
        assert_eq!(read.head, ChainHead::from_last(1, &compact));
        assert!(matches!(
            verify(&compact, &keys()),
            Err(ReceiptError::Header(_))
        ));
        let json = serde_json::to_value(&said).expect("plain data");
        assert_eq!(json["how"], "caught_up");
        assert_eq!(json["incarnations"][0], incarnation(1).to_string());
    }

    #[test]
    fn a_settlement_that_was_changed_is_refused() {
        let compact = sign_settlement(&key(), &settlement(&ChainHead::default(), "b", 7));
        let parts: Vec<&str> = compact.split('.').collect();
        let more = settlement(&ChainHead::default(), "b", 8);
        let changed = text::encode(&serde_json::to_vec(&more).expect("plain data"));
        let forged = format!("{}.{changed}.{}", parts[0], parts[2]);
        assert_eq!(
            verify_entry(&forged, &keys()).err(),
            Some(ReceiptError::Signature)
        );
        let misplaced = SettlementClaims {
            sequence: 2,
            ..settlement(&ChainHead::default(), "b", 7)
        };
        let signed = sign_settlement(&key(), &misplaced);
        assert_eq!(
            verify_entry(&signed, &keys()).err(),
            Some(ReceiptError::Claims)
        );
        // A receipt is none, whatever its header says.
        let receipt = sign(&key(), &claims_among(&ChainHead::default(), &among(&[])));
        assert!(matches!(
            verify_entry(&receipt, &keys()),
            Ok(ChainEntry::Receipt(_))
        ));
    }

    #[test]
    fn a_receipt_is_open_until_each_node_that_owes_has_settled() {
        let nodes = among(&[("a", None), ("b", Some(3)), ("c", Some(5)), ("d", Some(4))]);
        // The erasure is of entry 5.
        let said = claims_among(&ChainHead::default(), &nodes);
        assert_eq!(said.scan.method, ScanMethod::KeySlotsAndRecords);
        let states: Vec<_> = said.nodes.iter().flatten().map(|it| it.state).collect();
        let (destroyed, owing) = (NodeState::Destroyed, NodeState::Owing);
        assert_eq!(states, [destroyed, owing, destroyed, owing]);
        let settles = |node, upto| settlement(&ChainHead::default(), node, upto);
        assert_eq!(said.owed_by(&[]), ["b", "d"]);
        assert_eq!(said.owed_by(&[&settles("b", 4)]), ["b", "d"]);
        assert_eq!(said.owed_by(&[&settles("b", 5)]), ["d"]);
        assert!(
            said.owed_by(&[&settles("b", 5), &settles("d", 9)])
                .is_empty()
        );
        // The numbers of another log mean other entries.
        let mut of_another = settles("b", 9);
        of_another.incarnations = vec![incarnation(2)];
        assert_eq!(said.owed_by(&[&of_another]), ["b", "d"]);
        of_another.incarnations.push(incarnation(1));
        assert_eq!(said.owed_by(&[&of_another]), ["d"]);
        // What was erased once it was back it was waited for, settled or not.
        let mut back = among(&[("b", Some(2))]);
        for (upto, state) in [(4, destroyed), (5, owing)] {
            back.nodes[0].owes_upto = Some(upto);
            let said = claims_among(&ChainHead::default(), &back);
            assert_eq!(said.nodes.expect("there")[0].state, state);
        }
        let whole = claims_among(&ChainHead::default(), &among(&[("a", None)]));
        let method = ScanMethod::KeySlotsAndRecordsOnEveryNode;
        assert_eq!(whole.scan.method, method);
        assert!(whole.owed_by(&[]).is_empty());
    }

    #[test]
    fn nodes_and_the_entry_come_together_and_tell_of_the_same_act() {
        let nodes = among(&[("a", None), ("b", Some(3))]);
        let good = claims_among(&ChainHead::default(), &nodes);
        let read = |said: &Claims| verify(&sign(&key(), said), &keys()).map(|it| it.claims);
        assert_eq!(read(&good).as_ref(), Ok(&good));
        let (mut without, mut alone, mut kept) = (good.clone(), good.clone(), good);
        without.nodes = None;
        alone.cluster = None;
        kept.nodes.as_mut().expect("there")[0].state = NodeState::Restricted;
        for bad in [without, alone, kept] {
            assert_eq!(read(&bad), Err(ReceiptError::Claims));
        }
    }
}
