//! What a receipt says.

use serde::{Deserialize, Serialize};

use super::head::ChainHead;
use super::nodes::{NodeClaim, NodeState, NodesStanding};
use super::text;
use recant_types::{
    Certificate, Commitment, ErasureId, ErasureRecord, ErasureStatus, SharedEntry, TargetKind,
    UnixMillis,
};

/// How a commitment is made; see [`commit`](crate::commit()).
pub const COMMITMENT_METHOD: &str = "recant-erasure-commitment-1+HMAC-SHA-256";

/// The claims of one receipt. No id of a person or an item is among them, and whether what was
/// named existed cannot be told from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed (RFC 7519): the configured name of the service.
    pub iss: String,
    /// When it was signed (RFC 7519), in seconds since 1970.
    pub iat: i64,
    /// The erasure, by its id (RFC 7519: the id of the token; an erasure has one receipt).
    pub jti: ErasureId,
    /// What kind of thing was named.
    pub kind: TargetKind,
    /// How many different pairs the request named; null when it named a user or an item.
    pub pairs: Option<u32>,
    /// The salted commitment to what was named; null when the erasure was accepted by a version
    /// that made none.
    pub commitment: Option<CommitmentClaim>,
    /// When the request was made durable.
    #[serde(with = "time")]
    pub accepted_at: UnixMillis,
    /// When the data left the store; absent of a restriction, whose data are kept.
    #[serde(default, with = "some_time", skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<UnixMillis>,
    /// When the data left what is processed, of a restriction alone.
    #[serde(default, with = "some_time", skip_serializing_if = "Option::is_none")]
    pub restricted_at: Option<UnixMillis>,
    /// When the updated model was swapped in.
    #[serde(with = "time")]
    pub forgotten_at: UnixMillis,
    /// When the certificate was attached.
    #[serde(with = "time")]
    pub certified_at: UnixMillis,
    /// Version that was live when the update began.
    pub model_version_before: u64,
    /// First version that had forgotten.
    pub model_version_after: u64,
    /// The version that the certificate is about.
    pub model_version_certified: u64,
    /// The position of the log whose data the certificate is of: that version had learnt and forgotten
    /// everything up to it. Absent from receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_certified: Option<u64>,
    /// The certificate.
    pub certificate: Certificate,
    /// The generation of the store when this was signed.
    pub generation: u64,
    /// What was looked at on the disk, and what was found.
    pub scan: ScanClaim,
    /// The entry of the log that several nodes share which brought the erasure; absent where there is one node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<SharedEntry>,
    /// How the erasure stands on each node, by name; there with [`cluster`](Claims::cluster).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<NodeClaim>>,
    /// The place of this receipt in the chain; the first is 1.
    pub sequence: u64,
    /// SHA-256 of the receipt before this one, its compact text, in base64url; null in the first.
    pub previous: Option<String>,
}

/// A commitment and how it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitmentClaim {
    /// [`COMMITMENT_METHOD`].
    pub method: String,
    /// The commitment, base64url.
    pub value: String,
}

/// What was looked at on the disk.
///
/// When a receipt is signed nobody knows any more whom the erasure was about, so no file can be
/// searched for ids: `recant scan` does that, for who knows the id. What can be said is which kind
/// of look was taken, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanClaim {
    /// What was looked at.
    pub method: ScanMethod,
    /// Whether nothing was left there.
    pub clean: bool,
}

/// How the disk was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanMethod {
    /// The slots of the keys that sealed what was named were overwritten with zeros, synced, and
    /// read back as zeros; and the commit that removed the records is durable. No bytes of other
    /// files were searched.
    KeySlotsAndRecords,
    /// The same, on every node that had a copy.
    KeySlotsAndRecordsOnEveryNode,
    /// The commit that removed the records is durable. The erasure was accepted before records were
    /// sealed, so there was no key to destroy.
    Records,
    /// Nothing was erased: the commit that moved the records to where nothing processes them is
    /// durable.
    RecordsKept,
}

impl ScanClaim {
    /// What is true of every erasure and restriction that was certified: an erasure whose keys did not
    /// read back as zeros is never accepted.
    fn from_record(record: &ErasureRecord, nodes: Option<&[NodeClaim]>) -> Self {
        let is_everywhere =
            nodes.is_some_and(|nodes| nodes.iter().all(|node| node.state != NodeState::Owing));
        let method = match record.commitment {
            _ if record.is_restriction() => ScanMethod::RecordsKept,
            Some(_) if is_everywhere => ScanMethod::KeySlotsAndRecordsOnEveryNode,
            Some(_) => ScanMethod::KeySlotsAndRecords,
            None => ScanMethod::Records,
        };
        let clean = true;
        Self { method, clean }
    }
}

/// What the service adds to the record of an erasure to make it a receipt.
#[derive(Debug, Clone)]
pub struct Circumstances<'a> {
    /// The configured name of the service.
    pub issuer: &'a str,
    /// When it is signed.
    pub signed_at: UnixMillis,
    /// The version that the certificate is about.
    pub model_version_certified: u64,
    /// The generation of the store.
    pub generation: u64,
    /// How the nodes stand, where there are several.
    pub nodes: Option<&'a NodesStanding>,
}

impl Claims {
    /// The claims about a certified erasure, to follow `head` in the chain; `None` when the record
    /// is not that of a certified erasure.
    pub fn new(
        record: &ErasureRecord,
        circumstances: &Circumstances<'_>,
        head: &ChainHead,
    ) -> Option<Self> {
        if record.status != ErasureStatus::Certified {
            return None;
        }
        let left_at = record.erased_at?;
        let is_restriction = record.is_restriction();
        // An entry of a log that the store followed once says nothing of the nodes there are now.
        let among = record.shared_entry.zip(circumstances.nodes);
        let among = among.filter(|(entry, nodes)| nodes.counts(entry));
        let nodes = among.map(|(entry, nodes)| nodes.claims(&entry, is_restriction));
        Some(Self {
            iss: circumstances.issuer.to_owned(),
            iat: circumstances.signed_at.0.div_euclid(1_000),
            jti: record.id,
            kind: record.kind,
            pairs: record.pairs,
            commitment: record.commitment.map(CommitmentClaim::new),
            accepted_at: record.accepted_at,
            erased_at: (!is_restriction).then_some(left_at),
            restricted_at: is_restriction.then_some(left_at),
            forgotten_at: record.forgotten_at?,
            certified_at: record.certified_at?,
            model_version_before: record.model_version_before?,
            model_version_after: record.model_version_after?,
            model_version_certified: circumstances.model_version_certified,
            position_certified: record.certified_position,
            certificate: record.certificate.clone()?,
            generation: circumstances.generation,
            scan: ScanClaim::from_record(record, nodes.as_deref()),
            cluster: among.map(|(entry, _)| entry),
            nodes,
            sequence: head.sequence + 1,
            previous: head.hash.map(|hash| text::encode(&hash)),
        })
    }
}

impl Claims {
    /// What was done, as a word: that something was erased, or that it is kept and processed no more.
    pub fn act(&self) -> &'static str {
        match self.kind {
            TargetKind::Restriction => "restriction",
            _ => "erasure",
        }
    }

    /// Whether the times and the nodes tell of the same act as the kind.
    pub(super) fn says_what_was_done(&self) -> bool {
        let is_restriction = self.kind == TargetKind::Restriction;
        let done = if is_restriction {
            NodeState::Restricted
        } else {
            NodeState::Destroyed
        };
        let mut states = self.nodes.iter().flatten().map(|node| node.state);
        self.restricted_at.is_some() == is_restriction
            && self.erased_at.is_some() != is_restriction
            && self.cluster.is_some() == self.nodes.is_some()
            && states.all(|it| it == done || it == NodeState::Owing)
    }
}

impl CommitmentClaim {
    /// The claim that this is the commitment.
    pub fn new(commitment: Commitment) -> Self {
        Self {
            method: String::from(COMMITMENT_METHOD),
            value: text::encode(&commitment.0),
        }
    }
}

/// Times as RFC 3339 in UTC with milliseconds.
mod time {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use recant_types::UnixMillis;

    pub(crate) fn serialize<S: Serializer>(
        time: &UnixMillis,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<UnixMillis, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text
            .parse()
            .map_err(|_| D::Error::custom("a time is not in the form of RFC 3339"))?;
        Ok(UnixMillis(time.as_millisecond()))
    }
}

/// The same, or nothing.
mod some_time {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use recant_types::UnixMillis;

    #[derive(Serialize, Deserialize)]
    struct Time(#[serde(with = "super::time")] UnixMillis);

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<UnixMillis>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixMillis>, D::Error> {
        let time = Option::<Time>::deserialize(deserializer)?;
        Ok(time.map(|time| time.0))
    }
}
