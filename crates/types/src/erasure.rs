//! The life of an erasure, as it is stored and shown.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::event::{ErasureTarget, UnixMillis};
use crate::ids::ErasureId;
use crate::shared_log::SharedEntry;

/// How far an erasure has come. Each state is durable before it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStatus {
    /// The request survives power loss, and what it names can no longer be read.
    Accepted,
    /// Gone from the store.
    Erased,
    /// The live model was updated and swapped in.
    Forgotten,
    /// A version that had forgotten was proven within the target of a retrain on what was retained at
    /// its position of the log; every live version since descends from it.
    Certified,
    /// It could not be carried out; it is tried again.
    Failed,
}

impl ErasureStatus {
    /// Every status, in the order of life.
    pub const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Erased,
        Self::Forgotten,
        Self::Certified,
        Self::Failed,
    ];

    /// The name used in JSON, in metric labels and in queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Erased => "erased",
            Self::Forgotten => "forgotten",
            Self::Certified => "certified",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for ErasureStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text was not the name of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("status must be one of accepted, erased, restricted, forgotten, certified, failed")]
pub struct UnknownStatus;

impl FromStr for ErasureStatus {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

/// What kind of thing was to be erased; says nothing about whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// Pairs of a user and an item.
    Pairs,
    /// Of pairs what is of one type of feedback.
    TypedPairs,
    /// Everything of one user.
    User,
    /// Every interaction with one item.
    Item,
    /// Users, items and pairs together.
    Several,
    /// The same with pairs of one type of feedback among them.
    SeveralTyped,
    /// Users whose data are kept and processed no more.
    Restriction,
}

impl TargetKind {
    /// The name used in JSON and in commitments.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::TypedPairs => "typed_pairs",
            Self::User => "user",
            Self::Item => "item",
            Self::Several => "several",
            Self::SeveralTyped => "several_typed",
            Self::Restriction => "restriction",
        }
    }
}

impl From<&ErasureTarget> for TargetKind {
    fn from(target: &ErasureTarget) -> Self {
        match target {
            ErasureTarget::Pairs(_) => Self::Pairs,
            ErasureTarget::TypedPairs(_) => Self::TypedPairs,
            ErasureTarget::User(_) => Self::User,
            ErasureTarget::Item(_) => Self::Item,
            ErasureTarget::Several(names) if names.typed_pairs.is_empty() => Self::Several,
            ErasureTarget::Several(_) => Self::SeveralTyped,
            ErasureTarget::Restriction(_) => Self::Restriction,
        }
    }
}

/// A salted commitment to what an erasure names, as `recant_receipt::commit` makes it.
///
/// The salt is not kept: without it the commitment tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment(pub [u8; 32]);

/// Everything that is remembered about an erasure once its request is forgotten: no ids of people
/// or items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// The id the caller was given.
    pub id: ErasureId,
    /// Position of the request in the durable log.
    pub position: u64,
    /// What kind of thing was named.
    pub kind: TargetKind,
    /// How many different pairs were named, when pairs were.
    #[serde(default)]
    pub pairs: Option<u32>,
    /// The commitment to what was named; absent when an earlier version accepted it.
    #[serde(default)]
    pub commitment: Option<Commitment>,
    /// The name of the API key that requested it; `None` without keys, and when an earlier version
    /// accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// The entry of the log that several nodes share which brought it; `None` on one that is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_entry: Option<SharedEntry>,
    /// How far it has come.
    pub status: ErasureStatus,
    /// When the request was made durable.
    pub accepted_at: UnixMillis,
    /// When the data left the store; of a restriction, when they left what is processed.
    pub erased_at: Option<UnixMillis>,
    /// When the updated model was swapped in.
    pub forgotten_at: Option<UnixMillis>,
    /// When the certificate was attached.
    pub certified_at: Option<UnixMillis>,
    /// The version that the certificate is of; every later one descends from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified_version: Option<u64>,
    /// The position of the log whose data the certificate is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified_position: Option<u64>,
    /// Version that was live when the update began.
    pub model_version_before: Option<u64>,
    /// First version that had forgotten.
    pub model_version_after: Option<u64>,
    /// The certificate, once certified.
    pub certificate: Option<Certificate>,
    /// Why it failed or has no certificate yet, when that was tried; without ids.
    pub failure: Option<String>,
}

impl ErasureRecord {
    /// The record of a request that has just been given `position` in the log.
    pub fn accepted(
        id: ErasureId,
        position: u64,
        target: &ErasureTarget,
        accepted_at: UnixMillis,
    ) -> Self {
        Self {
            id,
            position,
            kind: TargetKind::from(target),
            pairs: different_pairs(target),
            commitment: None,
            requested_by: None,
            shared_entry: None,
            status: ErasureStatus::Accepted,
            accepted_at,
            erased_at: None,
            forgotten_at: None,
            certified_at: None,
            certified_version: None,
            certified_position: None,
            model_version_before: None,
            model_version_after: None,
            certificate: None,
            failure: None,
        }
    }
}

impl ErasureRecord {
    /// Whether nothing was erased: what was named is kept, and processed no more.
    pub fn is_restriction(&self) -> bool {
        self.kind == TargetKind::Restriction
    }

    /// The name of the state it has reached. Of a restriction, whose data do not leave the store, the
    /// state after `accepted` is `restricted`.
    pub fn status_name(&self) -> &'static str {
        match self.status {
            ErasureStatus::Erased if self.is_restriction() => "restricted",
            status => status.as_str(),
        }
    }
}

/// Which erasures are meant. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct ErasureFilter {
    /// Those in this state alone.
    pub status: Option<ErasureStatus>,
    /// Those that the API key of this name requested alone.
    pub requested_by: Option<String>,
    /// Restrictions alone, or everything but restrictions.
    pub restrictions: Option<bool>,
}

impl ErasureFilter {
    /// Those in one state.
    pub fn of_status(status: ErasureStatus) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// Whether the erasure with this record is one of them.
    pub fn matches(&self, record: &ErasureRecord) -> bool {
        let requested_by = self.requested_by.as_deref();
        self.status.is_none_or(|status| record.status == status)
            && (self.restrictions).is_none_or(|wanted| record.is_restriction() == wanted)
            && requested_by.is_none_or(|name| record.requested_by.as_deref() == Some(name))
    }
}

fn different_pairs(target: &ErasureTarget) -> Option<u32> {
    let different = match target {
        ErasureTarget::Pairs(pairs) => pairs.iter().collect::<BTreeSet<_>>().len(),
        ErasureTarget::TypedPairs(pairs) => pairs.iter().collect::<BTreeSet<_>>().len(),
        ErasureTarget::User(_)
        | ErasureTarget::Item(_)
        | ErasureTarget::Several(_)
        | ErasureTarget::Restriction(_) => return None,
    };
    Some(u32::try_from(different).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    #[test]
    fn a_restriction_never_says_that_something_was_erased() {
        let user = UserId::new("ada").expect("an id");
        for (target, name) in [
            (ErasureTarget::Restriction(vec![user.clone()]), "restricted"),
            (ErasureTarget::User(user), "erased"),
        ] {
            let id = ErasureId::generate();
            let mut record = ErasureRecord::accepted(id, 1, &target, UnixMillis(0));
            assert_eq!(record.status_name(), "accepted");
            record.status = ErasureStatus::Erased;
            assert_eq!(record.status_name(), name);
            assert_eq!(record.is_restriction(), name == "restricted");
        }
    }

    #[test]
    fn every_status_reads_back_from_its_name() {
        for status in ErasureStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            let json = serde_json::to_string(&status).expect("a plain enum");
            assert_eq!(json, format!("\"{status}\""));
        }
        assert_eq!("done".parse::<ErasureStatus>(), Err(UnknownStatus));
    }
}
