//! The mutable side: interactions, factors and id tables, and what an event does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::activity::{Activity, wanted_hours};
use crate::dirty::Changes;
use crate::history::{Unseen, entry, unseen, wanted};
use crate::learner::Learner;
use crate::ranking::Popularity;
use crate::rows::RowTable;
use recant_core::model::{InteractionMatrix, RowSets};
use recant_store::{ItemRecord, Store, StoreError, StoredInteraction, WriteBatch};
use recant_types::{
    ErasureId, ErasureTarget, Event, FeedbackNumber, FeedbackTypes, IalsHyperparameters,
    Interaction, ItemId, TypedPair, UserId, takes_the_place,
};

/// The one mutable model and its data.
///
/// Made from the store at start, owned by the worker from then on, and lent to a blocking thread
/// whenever there is arithmetic to do. It runs ahead of the store by at most one update.
#[derive(Debug)]
pub struct Trainer {
    /// Interactions in both orientations.
    pub matrix: InteractionMatrix,
    /// What learns from them.
    pub learner: Learner,
    /// Seed of the initial factors.
    pub seed: u64,
    /// Rows of users with at least one interaction.
    pub users: RowTable<UserId>,
    /// Rows of items with interactions.
    pub items: RowTable<ItemId>,
    /// Number of pairs by item row.
    pub item_counts: imbl::Vector<u32>,
    /// Items by the number of people who wanted them.
    pub popular: Popularity,
    /// When they did, as far as it is known.
    pub activity: Activity,
    /// What the events of a pair say together.
    pub feedback: FeedbackTypes,
    /// Of users who have such pairs, by row: the rows of items that do not count as seen, ascending.
    pub unseen: Unseen,
}

/// What applying some events did.
#[derive(Debug, Default)]
pub struct Applied {
    /// The records that bring the store to the same state.
    pub batch: WriteBatch,
    /// Rows whose interactions changed.
    pub touched: RowSets,
    /// The same, with what became of them.
    pub changes: Changes,
    /// Erasures among the events.
    pub erasures: Vec<ErasureId>,
    /// Pairs that were removed.
    pub pairs_removed: usize,
    /// Pairs that were added or replaced.
    pub pairs_added: usize,
}

impl Trainer {
    /// A trainer without data, to stand in while the real one is lent.
    pub fn empty(hyperparameters: IalsHyperparameters, seed: u64) -> Self {
        Self {
            matrix: InteractionMatrix::new(),
            learner: Learner::empty(hyperparameters),
            seed,
            users: RowTable::default(),
            items: RowTable::default(),
            item_counts: imbl::Vector::new(),
            popular: Popularity::default(),
            activity: Activity::default(),
            feedback: FeedbackTypes::default(),
            unseen: Unseen::new(),
        }
    }

    /// Whether some row has interactions and no factors: data that arrived while no model looked.
    pub fn has_unlearnt_rows(&self) -> bool {
        self.learner.has_unlearnt_rows(&self.matrix)
    }

    /// A trainer of its own with the same state, which later changes do not reach. Lists, tables and
    /// block factors are shared until one of the two changes them; the parameters are copied. What the
    /// last refinement left for the next goes with it. Cost: the parameters, a pointer an item and
    /// one a block.
    pub fn fork(&mut self) -> Self {
        Self {
            matrix: self.matrix.clone(),
            learner: self.learner.fork(),
            seed: self.seed,
            users: self.users.clone(),
            items: self.items.clone(),
            item_counts: self.item_counts.clone(),
            popular: self.popular.clone(),
            activity: self.activity.clone(),
            feedback: self.feedback.clone(),
            unseen: self.unseen.clone(),
        }
    }

    /// Applies `events` in order to matrix and tables, and says what the store must write for it.
    ///
    /// The factors stay as they are: updating them is the next step. Reads the histories it
    /// changes from `store`, which must hold everything applied before. Fails only when the store
    /// cannot be read, and then nothing was changed.
    pub fn apply(
        &mut self,
        store: &Store,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Applied, StoreError> {
        let events: Vec<Event> = events.into_iter().collect();
        let feedback = store.feedback()?;
        let histories = self.read_histories(store, &events)?;
        self.feedback = feedback;
        let mut application = Application {
            trainer: self,
            histories,
            items: BTreeSet::new(),
            renewed: BTreeSet::new(),
            applied: Applied::default(),
        };
        for event in events {
            application.apply(event);
        }
        Ok(application.finish())
    }

    /// The stored histories of every user that `events` can change. Read before anything is
    /// changed, so that a failing disk leaves the trainer as it was.
    fn read_histories(
        &self,
        store: &Store,
        events: &[Event],
    ) -> Result<BTreeMap<u32, History>, StoreError> {
        let mut rows = BTreeSet::new();
        for event in events {
            match event {
                Event::Add(interactions) => {
                    let users = interactions.iter().map(|added| &added.user);
                    rows.extend(users.filter_map(|user| self.users.directory().row(user)));
                }
                Event::Erase { target, .. } => self.touched_users(target, &mut rows),
            }
        }
        rows.into_iter()
            .map(|row| {
                let held = store.history(row)?;
                Ok((
                    row,
                    held.into_iter().map(|held| (held.key(), held)).collect(),
                ))
            })
            .collect()
    }

    /// Adds the rows of the users who lose something by an erasure of `target`.
    fn touched_users(&self, target: &ErasureTarget, rows: &mut BTreeSet<u32>) {
        let user_row = |user: &UserId| self.users.directory().row(user);
        match target {
            ErasureTarget::Pairs(pairs) => {
                rows.extend(pairs.iter().filter_map(|(user, _)| user_row(user)));
            }
            ErasureTarget::TypedPairs(pairs) => {
                rows.extend(pairs.iter().filter_map(|pair| user_row(&pair.user)));
            }
            ErasureTarget::User(user) => rows.extend(user_row(user)),
            ErasureTarget::Restriction(users) => rows.extend(users.iter().filter_map(user_row)),
            ErasureTarget::Item(item) => {
                if let Some(row) = self.items.directory().row(item) {
                    rows.extend(self.matrix.item(row).iter().map(|entry| entry.index));
                }
            }
            ErasureTarget::Several(names) => {
                names
                    .parts()
                    .for_each(|part| self.touched_users(&part, rows));
            }
        }
    }

    /// Gives back the rows of items of which nothing is left, and says so in `applied`; the factors of
    /// all such items are to be removed. An erasure whose pairs left the store before this trainer was
    /// loaded can leave such items.
    pub fn release_empty_items(&mut self, applied: &mut Applied) {
        for row in 0..self.items.directory().capacity() as u32 {
            let known = self.items.directory().id(row).is_some();
            if !known || !self.matrix.item(row).is_empty() {
                continue;
            }
            applied.touched.items.push(row);
            applied.changes.touched.items(&[row]);
            applied.changes.emptied.items(&[row]);
            applied.batch.remove_item(row);
            self.items.release(row);
        }
    }

    fn count_item(&mut self, row: u32) {
        while self.item_counts.len() <= row as usize {
            self.item_counts.push_back(0);
        }
        let users = self.matrix.item(row);
        self.item_counts.set(row as usize, users.len() as u32);
        let item = self.items.directory().id(row);
        self.popular.set_count(row, item, wanted(users));
    }
}

/// A user's interactions by item row and type of feedback.
type History = BTreeMap<(u32, FeedbackNumber), StoredInteraction>;

/// The keys of everything that a history holds of an item.
fn of_item(item: u32) -> RangeInclusive<(u32, FeedbackNumber)> {
    (item, FeedbackNumber(u8::MIN))..=(item, FeedbackNumber(u8::MAX))
}

/// One run of [`Trainer::apply`]: events go in one by one, `finish` settles rows and records.
struct Application<'a> {
    trainer: &'a mut Trainer,
    /// Histories of the touched users, as they will be stored.
    histories: BTreeMap<u32, History>,
    /// Items whose interactions changed.
    items: BTreeSet<u32>,
    /// Users who lost something that the store still holds under their key.
    renewed: BTreeSet<u32>,
    applied: Applied,
}

impl Application<'_> {
    fn apply(&mut self, event: Event) {
        match event {
            Event::Add(interactions) => interactions.into_iter().for_each(|added| self.add(added)),
            Event::Erase { id, target, .. } => {
                self.applied.erasures.push(id);
                self.erase(&target);
            }
        }
    }

    fn erase(&mut self, target: &ErasureTarget) {
        match target {
            ErasureTarget::Pairs(pairs) => self.erase_pairs(pairs),
            ErasureTarget::TypedPairs(pairs) => pairs.iter().for_each(|it| self.erase_typed(it)),
            ErasureTarget::User(user) => self.erase_user(user),
            // What is kept is kept by the store: for the model it is gone.
            ErasureTarget::Restriction(users) => users.iter().for_each(|it| self.erase_user(it)),
            ErasureTarget::Item(item) => self.erase_item(item),
            ErasureTarget::Several(names) => names.parts().for_each(|part| self.erase(&part)),
        }
    }

    fn add(&mut self, added: Interaction) {
        let user = self.trainer.users.assign(&added.user);
        let item = self.trainer.items.assign(&added.item);
        let types = &self.trainer.feedback;
        // Names are read together with the histories, after the log: it names no other.
        let feedback = types.number(&added.feedback).unwrap_or_default();
        let held = StoredInteraction {
            item,
            feedback,
            weight: added.weight,
            timestamp: added.timestamp,
        };
        let history = self.histories.entry(user).or_default();
        let held = match history.get(&held.key()) {
            Some(before) => {
                let together = before.together_with(held, types);
                if together == *before && !takes_the_place(held.timestamp, before.timestamp) {
                    return;
                }
                together
            }
            None => held,
        };
        history.insert(held.key(), held);
        self.items.insert(item);
        self.learn(user, item);
        self.applied.pairs_added += 1;
    }

    /// Brings the matrix to what the history of `user` says of `item`.
    fn learn(&mut self, user: u32, item: u32) {
        let history = self.histories.entry(user).or_default();
        let events = history.range(of_item(item)).map(|(_, held)| held);
        match entry(&self.trainer.feedback, events) {
            Some(entry) => drop(self.trainer.matrix.insert(user, entry)),
            None => drop(self.trainer.matrix.remove(user, item)),
        }
    }

    /// Takes what a history holds of an item.
    fn take_item(&mut self, user: u32, item: u32) {
        let history = self.histories.entry(user).or_default();
        history.retain(|(held, _), _| *held != item);
    }

    /// Of a pair the store has lost what is of one type when the erasure was accepted: what it still
    /// holds is what is left to be learnt.
    fn erase_typed(&mut self, pair: &TypedPair) {
        let rows = (
            self.trainer.users.directory().row(&pair.user),
            self.trainer.items.directory().row(&pair.item),
        );
        let (Some(user), Some(item)) = rows else {
            return;
        };
        if let Some(number) = self.trainer.feedback.number(&pair.feedback) {
            let history = self.histories.entry(user).or_default();
            history.remove(&(item, number));
            self.items.insert(item);
            self.learn(user, item);
            self.applied.changes.lost.users(&[user]);
            self.applied.pairs_removed += 1;
        }
    }

    fn remove(&mut self, user: u32, item: u32) {
        if self.trainer.matrix.remove(user, item).is_some() {
            self.take_item(user, item);
            self.items.insert(item);
            self.applied.changes.lost.users(&[user]);
            self.applied.pairs_removed += 1;
        }
    }

    fn erase_pairs(&mut self, pairs: &[(UserId, ItemId)]) {
        for (user, item) in pairs {
            let rows = (
                self.trainer.users.directory().row(user),
                self.trainer.items.directory().row(item),
            );
            if let (Some(user), Some(item)) = rows {
                self.remove(user, item);
            }
        }
    }

    fn erase_user(&mut self, user: &UserId) {
        let Some(row) = self.trainer.users.directory().row(user) else {
            return;
        };
        let removed = self.trainer.matrix.remove_user(row);
        self.applied.pairs_removed += removed.len();
        self.items.extend(removed.iter().map(|entry| entry.index));
        self.applied.changes.lost.users(&[row]);
        self.histories.insert(row, History::new());
    }

    fn erase_item(&mut self, item: &ItemId) {
        let Some(row) = self.trainer.items.directory().row(item) else {
            return;
        };
        let removed = self.trainer.matrix.remove_item(row);
        self.applied.pairs_removed += removed.len();
        self.items.insert(row);
        for entry in removed {
            self.take_item(entry.index, row);
            self.renewed.insert(entry.index);
            self.applied.changes.lost.users(&[entry.index]);
        }
    }

    /// Gives back the rows of users and items that lost everything, and writes down the rest.
    fn finish(mut self) -> Applied {
        for (row, history) in std::mem::take(&mut self.histories) {
            let history: Vec<StoredInteraction> = history.into_values().collect();
            self.settle_user(row, &history);
        }
        for row in std::mem::take(&mut self.items) {
            self.settle_item(row);
        }
        self.applied
    }

    fn settle_user(&mut self, row: u32, history: &[StoredInteraction]) {
        self.note_unseen(row, history);
        let hours = wanted_hours(&self.trainer.feedback, history);
        self.trainer.activity.set(row, hours);
        let batch = &mut self.applied.batch;
        self.applied.touched.users.push(row);
        self.applied.changes.touched.users(&[row]);
        if self.trainer.matrix.user(row).is_empty() {
            self.applied.changes.emptied.users(&[row]);
        }
        if history.is_empty() {
            batch.remove_user(row);
            // The store is ahead: when the whole user was erased since these events were read, the
            // matrix still holds what that erasure will find by this row.
            if self.trainer.matrix.user(row).is_empty() {
                self.trainer.users.release(row);
            }
        } else if let Some(id) = self.trainer.users.directory().id(row) {
            batch.put_user(row, id);
            batch.put_history(row, history);
            if self.renewed.contains(&row) {
                batch.renew_key(row);
            }
        }
    }

    fn note_unseen(&mut self, row: u32, history: &[StoredInteraction]) {
        let feedback = &self.trainer.feedback;
        if feedback.all_are_seen() && self.trainer.unseen.is_empty() {
            return;
        }
        let items = unseen(feedback, history);
        if items.is_empty() {
            self.trainer.unseen.remove(&row);
        } else {
            self.trainer.unseen.insert(row, Arc::new(items));
        }
    }

    fn settle_item(&mut self, row: u32) {
        self.trainer.count_item(row);
        self.applied.touched.items.push(row);
        self.applied.changes.touched.items(&[row]);
        if self.trainer.matrix.item(row).is_empty() {
            self.applied.changes.emptied.items(&[row]);
        }
        if self.trainer.matrix.item(row).is_empty() {
            self.applied.batch.remove_item(row);
            self.trainer.items.release(row);
        } else if let Some(id) = self.trainer.items.directory().id(row) {
            let record = ItemRecord::new(id.clone());
            self.applied.batch.put_item(row, &record);
        }
    }
}
