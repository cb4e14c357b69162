//! Changes of what is said about items that wait for their turn, and what they come to together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::catalogue::Catalogue;
use crate::query::ServiceError;
use recant_types::{DescriptionPatch, InvalidDescription, ItemDescription, ItemId};

/// Why a description was not changed.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// There is no such item.
    #[error("there is no such item: describe it first, with PUT")]
    NotFound,
    /// It would be out of bounds.
    #[error(transparent)]
    Invalid(#[from] InvalidDescription),
    /// The service could not do it.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// What is to be changed.
#[derive(Debug)]
pub(crate) enum Order {
    /// Say this about items.
    Put(Vec<Arc<ItemDescription>>),
    /// Change what is said about an item that is there.
    Patch(ItemId, DescriptionPatch),
}

/// What became of an order: what is said of the item that it was about last.
pub(crate) type Outcome = Result<Option<Arc<ItemDescription>>, DescribeError>;

/// An order, and whoever waits for what becomes of it.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) order: Order,
    pub(crate) answer: oneshot::Sender<Outcome>,
}

/// Orders that wait, and the right to carry some out.
#[derive(Debug, Default)]
pub(crate) struct Curator {
    waiting: Mutex<Vec<Waiting>>,
    /// Held from before a commit until what it changed is visible: commits and versions have the
    /// same order.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Curator {
    pub(crate) fn wait(&self, waiting: Waiting) {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(waiting);
    }

    pub(crate) fn take(&self) -> Vec<Waiting> {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }
}

/// Orders that share a commit.
pub(crate) struct Round {
    /// What is to be said, the last word about each item.
    pub(crate) said: BTreeMap<ItemId, Arc<ItemDescription>>,
    /// Whom to tell what.
    pub(crate) outcomes: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

impl Round {
    /// Carries out `orders` one after another, upon what is said in `catalogue`.
    pub(crate) fn of(orders: Vec<Waiting>, catalogue: &Catalogue) -> Self {
        let mut round = Self {
            said: BTreeMap::new(),
            outcomes: Vec::with_capacity(orders.len()),
        };
        for Waiting { order, answer } in orders {
            let outcome = match order {
                Order::Put(items) => {
                    let items = items.into_iter().map(|said| (said.id.clone(), said));
                    round.said.extend(items);
                    Ok(None)
                }
                Order::Patch(id, patch) => round.patch(&id, &patch, catalogue).map(Some),
            };
            round.outcomes.push((answer, outcome));
        }
        round
    }

    fn patch(
        &mut self,
        id: &ItemId,
        patch: &DescriptionPatch,
        catalogue: &Catalogue,
    ) -> Result<Arc<ItemDescription>, DescribeError> {
        let said = self.said.get(id).cloned();
        let said = said.or_else(|| catalogue.item(id));
        let mut patched = Arc::unwrap_or_clone(said.ok_or(DescribeError::NotFound)?);
        patch.apply(&mut patched);
        patched.check()?;
        let patched = Arc::new(patched);
        self.said.insert(id.clone(), Arc::clone(&patched));
        Ok(patched)
    }
}
