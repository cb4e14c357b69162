//! Another series of keys, when somebody has those of the present one who is to read no more.
//!
//! Its first key is derived from nothing. The leader makes it, and hands it beside the log to those that hold a
//! lease; each keeps it durably, beside the key in use, and says so. When every node has it that was not removed,
//! the log says that it counts: so nobody is left behind with data and without the key, and nobody who was removed
//! was ever handed it. As long as a node is away that was not removed, the series goes on.

use super::exchange::{Output, Stopped};
use super::leadership::Leading;
use super::{Node, Role};
use crate::entry::{EntryError, NodeId};
use crate::mark::{Mark, Standing};
use crate::messages::Offer;
use crate::ratchet::{FreshKey, FreshKeyName, Ratchet};

impl Node {
    /// On a leader, the key that begins the next series, when one is wanted and everybody has it. Makes one, and has
    /// this node's store keep it, when there is none that will do.
    pub(super) fn next_series(&mut self, out: &mut Vec<Output>) -> Option<FreshKeyName> {
        let wanted = self.read.wants_key;
        let Role::Leading(leading) = &mut self.role else {
            return None;
        };
        if wanted == 0 {
            leading.offer = None;
            return None;
        }
        // One that was made before may have been handed to who is gone by now.
        if leading.offer.as_ref().is_none_or(|it| it.after < wanted) {
            leading.offer = Some(Offer {
                after: self.read.number,
                key: FreshKey::random(),
            });
        }
        let offer = leading.offer.clone()?;
        let name = offer.key.name();
        let is_everywhere = leading.is_kept_everywhere(name, &self.read, &self.options.id);
        if self.keeps(name) {
            return is_everywhere.then_some(name);
        }
        self.keep(offer, out);
        None
    }

    /// What a leader hands to a node that holds a lease.
    pub(super) fn offer(&self) -> Option<Offer> {
        match &self.role {
            Role::Leading(leading) => leading.offer.clone(),
            Role::Following | Role::Claiming(_) => None,
        }
    }

    /// Has the store keep a key that is offered. Whoever has not applied the last entry that the offer knew, or is
    /// about to begin a series, may yet need the one that it has; it is offered again.
    pub(super) fn keep(&mut self, offer: Offer, out: &mut Vec<Output>) {
        let is_between = self.read.series() == self.applied.series();
        let is_here = is_between && self.applied.number >= offer.after;
        // An answer that was long on its way may bring the one that the leader had before.
        let is_newer = offer.after > self.offered;
        if self.keeping.is_some() || !is_here || !is_newer || self.keeps(offer.key.name()) {
            return;
        }
        self.offered = offer.after;
        self.keeping = Some(offer.key.clone());
        out.push(Output::KeepKey(offer.key));
    }

    /// The store keeps a key.
    pub(super) fn key_kept(&mut self, name: FreshKeyName) {
        if let Some(kept) = self.keeping.take_if(|key| key.name() == name) {
            self.fresh = Some(kept);
            // The leader hears of it at once.
            self.beat_sent = None;
        }
    }

    /// The key of the entry after the last that was read. What is kept for a series is used up when that begins.
    pub(super) fn key_after(&mut self, before: &Ratchet) -> Result<Ratchet, Stopped> {
        let begins = self.read.series() > before.series();
        let key = self.read.key(before, self.fresh.as_ref());
        self.fresh.take_if(|_| begins);
        key.ok_or(if begins {
            Stopped::NoKey
        } else {
            Stopped::Entry(EntryError::Unopened)
        })
    }

    fn keeps(&self, name: FreshKeyName) -> bool {
        self.fresh.as_ref().is_some_and(|key| key.name() == name)
    }
}

impl Leading {
    /// Whether every other node that was not removed is there, and keeps this key.
    fn is_kept_everywhere(&self, name: FreshKeyName, mark: &Mark, me: &NodeId) -> bool {
        let mut others = mark.members.iter().filter(|(node, _)| *node != me);
        others.all(|(node, member)| match member.standing {
            Standing::Removed { .. } => true,
            Standing::Out => false,
            Standing::Current => {
                let follower = self.follower(node, member);
                follower.is_some_and(|it| it.keeps == Some(name))
            }
        })
    }
}
