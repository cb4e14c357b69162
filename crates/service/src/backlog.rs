//! Erasures that are accepted and not yet forgotten.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::erasure_spans::ErasureSpans;
use recant_types::{ErasureId, ErasureTarget, FeedbackType, ItemId, TypedPair, UnixMillis, UserId};

/// What waits, shared between the routes that accept and the worker that forgets.
///
/// An erasure enters before it is appended to the log and leaves when the updated model is live.
/// Until the store has lost the data, the target hides it from every export. A std mutex: it is
/// held for a look-up, never across a wait.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: Mutex<HashMap<ErasureId, Waiting>>,
    /// Those that are forgotten and without a certificate.
    uncertified: Mutex<HashMap<ErasureId, Uncertified>>,
    /// For whoever traces.
    pub(crate) spans: ErasureSpans,
}

#[derive(Debug)]
struct Waiting {
    accepted_at: UnixMillis,
    /// `None` once the store no longer holds what is named.
    hides: Option<ErasureTarget>,
}

#[derive(Debug, Clone, Copy)]
struct Uncertified {
    accepted_at: UnixMillis,
    /// Whether a certificate was tried that did not hold.
    is_refused: bool,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, HashMap<ErasureId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters an erasure. To be called before the append, so that the worker cannot be done with
    /// it earlier. Without a target it hides nothing.
    pub(crate) fn enter(
        &self,
        id: ErasureId,
        target: Option<ErasureTarget>,
        accepted_at: UnixMillis,
    ) {
        self.lock().insert(
            id,
            Waiting {
                accepted_at,
                hides: target,
            },
        );
    }

    /// Enters an erasure of which nothing is in the store any more, unless it is there already.
    pub(crate) fn enter_erased(&self, id: ErasureId, accepted_at: UnixMillis) {
        self.lock().entry(id).or_insert(Waiting {
            accepted_at,
            hides: None,
        });
    }

    /// Enters an erasure that is forgotten and waits for its certificate.
    pub(crate) fn enter_forgotten(&self, id: ErasureId, accepted_at: UnixMillis) {
        let uncertified = Uncertified {
            accepted_at,
            is_refused: false,
        };
        self.lock_uncertified().insert(id, uncertified);
    }

    fn lock_uncertified(&self) -> MutexGuard<'_, HashMap<ErasureId, Uncertified>> {
        self.uncertified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The erasure has its certificate.
    pub(crate) fn certified(&self, id: ErasureId) {
        self.lock_uncertified().remove(&id);
    }

    /// A certificate that covers the erasure was tried and did not hold. It is tried again, and what
    /// keeps it from holding is not that others come too fast.
    pub(crate) fn refused(&self, id: ErasureId) {
        if let Some(uncertified) = self.lock_uncertified().get_mut(&id) {
            uncertified.is_refused = true;
        }
    }

    /// When the oldest without a certificate was accepted.
    pub(crate) fn oldest_uncertified(&self) -> Option<UnixMillis> {
        let forgotten = self.oldest_forgotten(|_| true);
        forgotten.into_iter().chain(self.oldest()).min()
    }

    /// When the oldest was accepted that is forgotten and for which no certificate was tried yet.
    pub(crate) fn oldest_untried(&self) -> Option<UnixMillis> {
        self.oldest_forgotten(|uncertified| !uncertified.is_refused)
    }

    fn oldest_forgotten(&self, is_meant: impl Fn(&Uncertified) -> bool) -> Option<UnixMillis> {
        let uncertified = self.lock_uncertified();
        let meant = uncertified.values().filter(|one| is_meant(one));
        meant.map(|one| one.accepted_at).min()
    }

    /// What an erasure names, as long as this process accepted it and the store may hold some of
    /// it. The log itself names by hashes alone.
    pub(crate) fn target(&self, id: ErasureId) -> Option<ErasureTarget> {
        self.lock().get(&id)?.hides.clone()
    }

    /// The store no longer holds what this erasure names.
    pub(crate) fn erased(&self, id: ErasureId) {
        if let Some(waiting) = self.lock().get_mut(&id) {
            waiting.hides = None;
        }
    }

    /// The erasure is forgotten, or was never appended.
    pub(crate) fn leave(&self, id: ErasureId) {
        self.lock().remove(&id);
    }

    /// How many wait.
    pub(crate) fn depth(&self) -> usize {
        self.lock().len()
    }

    /// When the oldest that waits was accepted.
    pub(crate) fn oldest(&self) -> Option<UnixMillis> {
        self.lock()
            .values()
            .map(|waiting| waiting.accepted_at)
            .min()
    }

    /// What accepted erasures hide of a user, as of now.
    ///
    /// Whoever reads the store has to take this before the read as well as after it: an erasure that was
    /// accepted before may be carried out meanwhile, and then nothing is left here that would hide what
    /// was read.
    pub(crate) fn hidden_of(&self, user: &UserId) -> Hidden {
        let mut hidden = Hidden::default();
        let waiting = self.lock();
        for target in waiting
            .values()
            .filter_map(|waiting| waiting.hides.as_ref())
        {
            match target {
                ErasureTarget::User(named) => hidden.everything |= named == user,
                ErasureTarget::Item(named) => drop(hidden.items.insert(named.clone())),
                ErasureTarget::Pairs(pairs) => hidden.add_pairs(pairs, user),
                ErasureTarget::TypedPairs(pairs) => hidden.add_typed_pairs(pairs, user),
                ErasureTarget::Several(names) => {
                    hidden.everything |= names.users.contains(user);
                    hidden.items.extend(names.items.iter().cloned());
                    hidden.add_pairs(&names.pairs, user);
                    hidden.add_typed_pairs(&names.typed_pairs, user);
                }
                // It is kept, and its person may ask for it.
                ErasureTarget::Restriction(_) => {}
            }
        }
        hidden
    }
}

/// What is hidden of one user.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    everything: bool,
    items: HashSet<ItemId>,
    typed: HashSet<(ItemId, FeedbackType)>,
}

impl Hidden {
    fn add_pairs(&mut self, pairs: &[(UserId, ItemId)], user: &UserId) {
        let own = pairs.iter().filter(|(named, _)| named == user);
        self.items.extend(own.map(|(_, item)| item.clone()));
    }

    fn add_typed_pairs(&mut self, pairs: &[TypedPair], user: &UserId) {
        let own = pairs.iter().filter(|pair| pair.user == *user);
        let own = own.map(|pair| (pair.item.clone(), pair.feedback.clone()));
        self.typed.extend(own);
    }

    /// Whether what the user did with this item, of this type, is hidden.
    pub(crate) fn hides(&self, item: &ItemId, feedback: &FeedbackType) -> bool {
        let is_named = || self.typed.contains(&(item.clone(), feedback.clone()));
        self.everything || self.items.contains(item) || (!self.typed.is_empty() && is_named())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_without_success_is_waited_for_and_holds_up_nobody() {
        let backlog = Backlog::default();
        let ids = [ErasureId::generate(), ErasureId::generate()];
        backlog.enter_forgotten(ids[0], UnixMillis(3));
        backlog.enter_forgotten(ids[1], UnixMillis(5));
        assert_eq!(backlog.oldest_untried(), Some(UnixMillis(3)));
        backlog.refused(ids[0]);
        assert_eq!(backlog.oldest_untried(), Some(UnixMillis(5)));
        assert_eq!(backlog.oldest_uncertified(), Some(UnixMillis(3)));
        ids.into_iter().for_each(|id| backlog.certified(id));
        assert_eq!(backlog.oldest_untried(), None);
    }

    #[test]
    fn what_is_named_is_hidden_until_the_store_has_lost_it() {
        let (ada, bob) = (
            UserId::new("ada").expect("id"),
            UserId::new("bob").expect("id"),
        );
        let (x, y) = (ItemId::new("x").expect("id"), ItemId::new("y").expect("id"));
        let backlog = Backlog::default();
        let hides = |user: &UserId, item: &ItemId| {
            let hidden = backlog.hidden_of(user);
            hidden.hides(item, &FeedbackType::default())
        };
        let ids = [
            ErasureId::generate(),
            ErasureId::generate(),
            ErasureId::generate(),
        ];
        let pair = ErasureTarget::Pairs(vec![(ada.clone(), x.clone())]);
        backlog.enter(ids[0], Some(pair), UnixMillis(5));
        assert!(hides(&ada, &x) && !hides(&ada, &y) && !hides(&bob, &x));
        backlog.enter(
            ids[1],
            Some(ErasureTarget::User(ada.clone())),
            UnixMillis(3),
        );
        backlog.enter(ids[2], Some(ErasureTarget::Item(y.clone())), UnixMillis(9));
        assert!(hides(&ada, &y) && hides(&bob, &y));
        assert_eq!(
            (backlog.depth(), backlog.oldest()),
            (3, Some(UnixMillis(3)))
        );
        backlog.erased(ids[1]);
        backlog.erased(ids[2]);
        assert!(!hides(&bob, &y) && hides(&ada, &x));
        ids.into_iter().for_each(|id| backlog.leave(id));
        assert_eq!((backlog.depth(), backlog.oldest()), (0, None));
    }
}
