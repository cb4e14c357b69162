//! From the hashes in the log back to ids, for erasures that this process did not accept.

use std::collections::HashMap;

use crate::trainer::Trainer;
use recant_store::{HashedTypedPair, IdHasher, KeyedHash, Named};
use recant_types::{ErasureTarget, Event, Interaction, ItemId, Names, TypedPair, UserId};

/// Every id that a trainer knows, by its hash, and those that additions brought which it has not
/// applied yet. Cost to make: one hash an id; made lazily, for users and items apart.
pub struct Resolver<'a> {
    trainer: &'a Trainer,
    hasher: &'a IdHasher,
    users: std::cell::OnceCell<HashMap<KeyedHash, UserId>>,
    items: std::cell::OnceCell<HashMap<KeyedHash, ItemId>>,
    /// How many of a page's events were looked at for new ids.
    learnt: usize,
    new_users: HashMap<KeyedHash, UserId>,
    new_items: HashMap<KeyedHash, ItemId>,
}

impl<'a> Resolver<'a> {
    /// Nothing is hashed yet.
    pub fn new(trainer: &'a Trainer, hasher: &'a IdHasher) -> Self {
        Self {
            trainer,
            hasher,
            users: Default::default(),
            items: Default::default(),
            learnt: 0,
            new_users: HashMap::new(),
            new_items: HashMap::new(),
        }
    }

    /// Takes note of the ids in an addition that comes before what is asked for next.
    pub fn learn(&mut self, interactions: &[Interaction]) {
        for Interaction { user, item, .. } in interactions {
            self.new_users.insert(self.hasher.user(user), user.clone());
            self.new_items.insert(self.hasher.item(item), item.clone());
        }
    }

    /// What is named by an erasure that comes after `earlier`, the events of a page so far.
    pub fn target_after(&mut self, named: &Named, earlier: &[Event]) -> ErasureTarget {
        for event in &earlier[self.learnt..] {
            if let Event::Add(interactions) = event {
                self.learn(interactions);
            }
        }
        self.learnt = earlier.len();
        self.target(named)
    }

    /// What is named, as far as the trainer knows it; no pairs when it knows nothing of it.
    pub fn target(&self, named: &Named) -> ErasureTarget {
        let nothing = || ErasureTarget::Pairs(Vec::new());
        match named {
            Named::User(hash) => self
                .user(hash)
                .map_or_else(nothing, |user| ErasureTarget::User(user.clone())),
            Named::Item(hash) => self
                .item(hash)
                .map_or_else(nothing, |item| ErasureTarget::Item(item.clone())),
            Named::Pairs(pairs) => {
                let known = pairs.iter().filter_map(|(user, item)| {
                    Some((self.user(user)?.clone(), self.item(item)?.clone()))
                });
                ErasureTarget::Pairs(known.collect())
            }
            Named::TypedPairs(pairs) => {
                let known = pairs.iter().filter_map(|pair| self.typed_pair(pair));
                ErasureTarget::TypedPairs(known.collect())
            }
            Named::Restriction(users) => {
                let known = users.iter().filter_map(|hash| self.user(hash).cloned());
                ErasureTarget::Restriction(known.collect())
            }
            several @ (Named::Several { .. } | Named::SeveralTyped { .. }) => {
                let mut names = Names::default();
                for part in several.parts() {
                    match self.target(&part) {
                        ErasureTarget::User(user) => names.users.push(user),
                        ErasureTarget::Item(item) => names.items.push(item),
                        ErasureTarget::Pairs(pairs) => names.pairs.extend(pairs),
                        ErasureTarget::TypedPairs(pairs) => names.typed_pairs.extend(pairs),
                        ErasureTarget::Several(_) | ErasureTarget::Restriction(_) => {}
                    }
                }
                names.into()
            }
        }
    }

    fn typed_pair(&self, pair: &HashedTypedPair) -> Option<TypedPair> {
        let names = self.trainer.feedback.names();
        Some(TypedPair {
            user: self.user(&pair.user)?.clone(),
            item: self.item(&pair.item)?.clone(),
            feedback: self.hasher.feedback_named(pair.feedback, names)?.clone(),
        })
    }

    fn user(&self, hash: &KeyedHash) -> Option<&UserId> {
        let users = self.users.get_or_init(|| {
            let ids = self.trainer.users.directory().ids();
            ids.map(|id| (self.hasher.user(id), id.clone())).collect()
        });
        users.get(hash).or_else(|| self.new_users.get(hash))
    }

    fn item(&self, hash: &KeyedHash) -> Option<&ItemId> {
        let items = self.items.get_or_init(|| {
            let ids = self.trainer.items.directory().ids();
            ids.map(|id| (self.hasher.item(id), id.clone())).collect()
        });
        items.get(hash).or_else(|| self.new_items.get(hash))
    }
}
