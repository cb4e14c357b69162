//! Deciding requests that nothing is changed by: on a stage that is thrown away.

use std::collections::HashSet;

use crate::decided::{Decided, Outcome, Refusal};
use crate::error::StoreError;
use crate::files::Generation;
use crate::hash::{IdHasher, KeyedHash};
use crate::position::LogPosition;
use crate::request::{RequestBatch, RequestChange};
use crate::shared::Shared;
use crate::stage::Stage;
use recant_types::{ErasureTarget, Event, ItemId, UserId};

/// What each of `requests` comes to, with those before it carried out. No commit goes on meanwhile.
/// The next entry gets the position `next`; `erasures` were accepted so far.
pub(super) fn decide(
    shared: &Shared,
    generation: &Generation,
    requests: Vec<RequestBatch>,
    next: LogPosition,
    erasures: u64,
) -> Result<Vec<Decided>, StoreError> {
    let hasher = &shared.files.hasher;
    let mut names = NamedIn::default();
    requests.iter().for_each(|it| names.take(it, hasher));
    let mut index = shared
        .index()
        .part(&names.users, &names.items, names.erases_items);
    let (database, codec) = (&generation.database, &generation.codec);
    let stage = Stage::new(database, codec, hasher, &mut index, next, erasures);
    let mut stage = stage.trial();
    // Below the limit nothing new is taken on.
    let has_room = match shared.check_room() {
        Ok(()) => true,
        Err(StoreError::NoSpace { .. }) => false,
        Err(error) => return Err(error),
    };
    let decide = |request: RequestBatch| {
        if !has_room && request.brings_something_new() {
            return Ok(Decided(Outcome::Refused(Refusal::NoSpace)));
        }
        stage.decide(request)
    };
    requests.into_iter().map(decide).collect()
}

/// Whom and what requests are about, by hashes.
#[derive(Debug, Default)]
struct NamedIn {
    users: HashSet<KeyedHash>,
    items: HashSet<KeyedHash>,
    /// Whether an item is erased: of everybody.
    erases_items: bool,
}

impl NamedIn {
    fn take(&mut self, request: &RequestBatch, hasher: &IdHasher) {
        for change in &request.changes {
            match change {
                RequestChange::Describe(description) => self.item(&description.id, hasher),
                RequestChange::RemoveDescription(id) => self.item(id, hasher),
                RequestChange::PutProperties { id, .. }
                | RequestChange::PatchProperties { id, .. } => self.user(id, hasher),
                RequestChange::PutOutbox { .. } | RequestChange::Fact(_) => {}
            }
        }
        for append in &request.appends {
            match &append.event {
                Event::Add(interactions) => {
                    for added in interactions {
                        self.pair(&added.user, &added.item, hasher);
                    }
                }
                Event::Erase { target, .. } => self.target(target, hasher),
            }
        }
        request
            .lifts
            .iter()
            .for_each(|user| self.user(user, hasher));
    }

    fn target(&mut self, target: &ErasureTarget, hasher: &IdHasher) {
        match target {
            ErasureTarget::User(user) => self.user(user, hasher),
            ErasureTarget::Item(item) => {
                self.item(item, hasher);
                self.erases_items = true;
            }
            ErasureTarget::Pairs(pairs) => {
                for (user, item) in pairs {
                    self.pair(user, item, hasher);
                }
            }
            ErasureTarget::TypedPairs(pairs) => {
                for pair in pairs {
                    self.pair(&pair.user, &pair.item, hasher);
                }
            }
            ErasureTarget::Several(names) => {
                for part in names.parts() {
                    self.target(&part, hasher);
                }
            }
            ErasureTarget::Restriction(users) => {
                users.iter().for_each(|user| self.user(user, hasher));
            }
        }
    }

    fn pair(&mut self, user: &UserId, item: &ItemId, hasher: &IdHasher) {
        self.user(user, hasher);
        self.item(item, hasher);
    }

    fn user(&mut self, user: &UserId, hasher: &IdHasher) {
        self.users.insert(hasher.user(user));
    }

    fn item(&mut self, item: &ItemId, hasher: &IdHasher) {
        self.items.insert(hasher.item(item));
    }
}
