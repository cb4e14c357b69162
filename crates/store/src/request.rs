//! What callers ask for: the part of what is written that is [decided](crate::decided) once.
//!
//! A type of its own, so that nothing else can be decided: rows, histories, the model and how far
//! erasures have come are every store's own, and are written with a [`WriteBatch`](crate::WriteBatch).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fact::Fact;
use crate::outbox::OutboxEndpoint;
use recant_types::{
    Commitment, ErasureId, Event, ItemDescription, ItemId, PersonPatch, PersonProperties, UserId,
};

/// About what an interaction, a pair or a person takes in bytes.
const NAMED_BYTES: usize = 96;

/// What is said about a person takes so many bytes at most.
const PROPERTIES_BYTES: usize = 30_000;

/// What an idempotency key is recognised by. Neither the key nor the request is stored.
///
/// `Debug` shows nothing of it: whom a request names can be guessed from its digest.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// SHA-256 of the key.
    pub key: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idempotency(redacted)")
    }
}

/// A change that a caller asks for and that has no entry in the log.
#[derive(Debug, Clone)]
pub(super) enum RequestChange {
    /// Writes what a catalogue says about an item, in place of what it said before.
    Describe(ItemDescription),
    /// Removes what a catalogue says about an item.
    RemoveDescription(ItemId),
    /// Says this about a person, in place of what was said before.
    PutProperties {
        id: UserId,
        properties: PersonProperties,
    },
    /// Changes what is said about a person.
    PatchProperties { id: UserId, patch: PersonPatch },
    /// An endpoint is to be told of an erasure, from its first state on.
    PutOutbox {
        endpoint: OutboxEndpoint,
        id: ErasureId,
    },
    /// Something was found out about what was accepted before.
    Fact(Box<Fact>),
}

impl RequestChange {
    fn bytes_about(&self) -> usize {
        let said = match self {
            Self::Describe(description) => serde_json::to_vec(description),
            Self::PutProperties { properties, .. } => serde_json::to_vec(properties),
            // It is decided to all that is said then.
            Self::PatchProperties { .. } => return PROPERTIES_BYTES,
            Self::RemoveDescription(_) | Self::PutOutbox { .. } => return NAMED_BYTES,
            Self::Fact(fact) => serde_json::to_vec(fact),
        };
        // What has no form is refused when it is decided.
        NAMED_BYTES + said.map_or(0, |said| said.len())
    }

    fn brings_something_new(&self) -> bool {
        match self {
            Self::Describe(_) | Self::PatchProperties { .. } => true,
            Self::PutProperties { properties, .. } => !properties.is_empty(),
            Self::RemoveDescription(_) | Self::PutOutbox { .. } | Self::Fact(_) => false,
        }
    }
}

/// An entry to append.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) event: Event,
    pub(super) idempotency: Option<Idempotency>,
    /// The commitment to what an erasure names, for its record.
    pub(super) commitment: Option<Commitment>,
    /// The name of the API key that requests an erasure, for its record.
    pub(super) requested_by: Option<String>,
}

impl Append {
    /// An entry that nobody has to recognise again.
    pub(super) fn new(event: Event) -> Self {
        Self {
            event,
            idempotency: None,
            commitment: None,
            requested_by: None,
        }
    }

    /// An erasure with what its record and a repetition of it are to be known by.
    pub(super) fn erasure(
        event: Event,
        commitment: Commitment,
        idempotency: Option<Idempotency>,
        requested_by: Option<String>,
    ) -> Self {
        Self {
            event,
            idempotency,
            commitment: Some(commitment),
            requested_by,
        }
    }
}

/// What one caller asks for, all of it or nothing.
///
/// ```
/// use recant_store::RequestBatch;
/// use recant_types::{PersonProperties, UserId};
///
/// let mut batch = RequestBatch::default();
/// batch.put_properties(&UserId::new("ada")?, &PersonProperties::default());
/// assert!(!format!("{batch:?}").contains("ada"));
/// # Ok::<(), recant_types::InvalidId>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct RequestBatch {
    pub(super) changes: Vec<RequestChange>,
    pub(super) appends: Vec<Append>,
    /// Whose restrictions end.
    pub(super) lifts: Vec<UserId>,
}

impl RequestBatch {
    /// Has a fact written down.
    pub fn fact(fact: Fact) -> Self {
        let change = RequestChange::Fact(Box::new(fact));
        Self {
            changes: vec![change],
            ..Self::default()
        }
    }

    /// As [`WriteBatch::append`](crate::WriteBatch::append).
    pub fn append(&mut self, event: Event) {
        self.appends.push(Append::new(event));
    }

    /// As [`WriteBatch::append_erasure`](crate::WriteBatch::append_erasure).
    pub fn append_erasure(
        &mut self,
        event: Event,
        commitment: Commitment,
        idempotency: Option<Idempotency>,
        requested_by: Option<String>,
    ) {
        let append = Append::erasure(event, commitment, idempotency, requested_by);
        self.appends.push(append);
    }

    /// As [`WriteBatch::lift_restriction`](crate::WriteBatch::lift_restriction).
    pub fn lift_restriction(&mut self, user: &UserId) {
        self.lifts.push(user.clone());
    }

    /// As [`WriteBatch::put_description`](crate::WriteBatch::put_description).
    pub fn put_description(&mut self, description: &ItemDescription) {
        let change = RequestChange::Describe(description.clone());
        self.changes.push(change);
    }

    /// As [`WriteBatch::remove_description`](crate::WriteBatch::remove_description).
    pub fn remove_description(&mut self, id: &ItemId) {
        let change = RequestChange::RemoveDescription(id.clone());
        self.changes.push(change);
    }

    /// As [`WriteBatch::put_properties`](crate::WriteBatch::put_properties).
    pub fn put_properties(&mut self, id: &UserId, properties: &PersonProperties) {
        let (id, properties) = (id.clone(), properties.clone());
        let change = RequestChange::PutProperties { id, properties };
        self.changes.push(change);
    }

    /// As [`WriteBatch::patch_properties`](crate::WriteBatch::patch_properties).
    pub fn patch_properties(&mut self, id: &UserId, patch: PersonPatch) {
        let id = id.clone();
        let change = RequestChange::PatchProperties { id, patch };
        self.changes.push(change);
    }

    /// Notes that an endpoint is to be told of an erasure, from its first state on.
    pub fn put_outbox(&mut self, endpoint: OutboxEndpoint, id: ErasureId) {
        let change = RequestChange::PutOutbox { endpoint, id };
        self.changes.push(change);
    }

    /// Whether it may take something back: then what was decided [takes something
    /// back](crate::Decided::takes_back), or nothing came of it.
    pub fn may_take_back(&self) -> bool {
        let erases = |append: &Append| matches!(append.event, Event::Erase { .. });
        let takes = |change: &RequestChange| {
            matches!(
                change,
                RequestChange::RemoveDescription(_)
                    | RequestChange::PutProperties { .. }
                    | RequestChange::PatchProperties { .. }
            )
        };
        self.appends.iter().any(erases) || self.changes.iter().any(takes)
    }

    /// About how many bytes it takes once it is decided, to put requests together by.
    pub fn bytes_about(&self) -> usize {
        let named = |append: &Append| match &append.event {
            Event::Add(interactions) => interactions.len(),
            Event::Erase { target, .. } => target.count(),
        };
        let named: usize = self.appends.iter().map(named).sum();
        let changes = self.changes.iter().map(RequestChange::bytes_about);
        (named + self.lifts.len()) * NAMED_BYTES + changes.sum::<usize>()
    }

    /// Whether something new is to be accepted.
    pub(super) fn brings_something_new(&self) -> bool {
        brings_something_new(&self.appends, &self.lifts, self.changes.iter())
    }
}

/// Whether something new is to be accepted, rather than something accepted carried on.
pub(super) fn brings_something_new<'a>(
    appends: &[Append],
    lifts: &[UserId],
    mut changes: impl Iterator<Item = &'a RequestChange>,
) -> bool {
    !appends.is_empty() || !lifts.is_empty() || changes.any(RequestChange::brings_something_new)
}
