//! What is held of one person, and under which key.

use std::collections::HashSet;
use std::hash::Hash;

use super::Stage;
use crate::codec::{self, open_under, seal_under};
use crate::error::StoreError;
use crate::hash::KeyedHash;
use crate::index::Person;
use crate::keyring::Slot;
use crate::keys::{self, Pseudonym};
use crate::position::LogPosition;
use crate::records::{
    INTERACTIONS_PER_CHUNK, QueuedRecord, StoredInteraction, UserRecord, pack_history, pack_values,
    unpack_history,
};
use crate::seal::SecretKey;
use recant_types::{FeedbackNumber, ItemId, UnixMillis, UserId};

/// What an erasure names of one user, by their items: everything with one, or what is of one type of
/// feedback.
#[derive(Debug)]
pub(super) struct NamedOfUser<Item> {
    whole: HashSet<Item>,
    typed: HashSet<(Item, FeedbackNumber)>,
}

impl<Item> Default for NamedOfUser<Item> {
    fn default() -> Self {
        Self {
            whole: HashSet::new(),
            typed: HashSet::new(),
        }
    }
}

impl<Item: Eq + Hash + Copy> NamedOfUser<Item> {
    /// Names an item, or what is of one type with it.
    pub(super) fn add(&mut self, item: Item, feedback: Option<FeedbackNumber>) {
        match feedback {
            None => drop(self.whole.insert(item)),
            Some(number) => drop(self.typed.insert((item, number))),
        }
    }

    fn names(&self, item: &Item, feedback: FeedbackNumber) -> bool {
        self.whole.contains(item) || self.typed.contains(&(*item, feedback))
    }
}

impl Stage<'_> {
    /// The key in a person's slot.
    fn secret(&mut self, slot: Slot) -> Result<SecretKey, StoreError> {
        if let Some(secret) = self.secrets.get(&slot) {
            return Ok(secret.clone());
        }
        let secret = self
            .codec
            .ring()
            .key(slot)?
            .ok_or_else(StoreError::missing_person)?;
        self.secrets.insert(slot, secret.clone());
        Ok(secret)
    }

    /// The person with this id, who gets keys now if there is none yet.
    pub(super) fn person(&mut self, id: &UserId) -> Result<&mut Person, StoreError> {
        let hash = self.hasher.user(id);
        if !self.index.persons.contains_key(&hash) {
            let (live, backup) = (self.take_slot()?, self.take_slot()?);
            let person = Person::new(id.clone(), live, backup, Pseudonym::random());
            self.index.insert(hash, person);
        }
        self.index
            .persons
            .get_mut(&hash)
            .ok_or_else(StoreError::missing_person)
    }

    pub(super) fn put_personal(
        &mut self,
        slot: Slot,
        key: Vec<u8>,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let value = seal_under(slot, &self.secret(slot)?, &key, payload);
        self.changes.insert(key, Some(value));
        Ok(())
    }

    pub(super) fn get_personal(
        &mut self,
        slot: Slot,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        if codec::slot_of(&value)? != slot {
            return Err(StoreError::missing_person());
        }
        let secret = self.secret(slot)?;
        open_under(slot, &secret, key, &value).map(Some)
    }

    /// The same of a record that has to be there.
    pub(super) fn held_personal(&mut self, slot: Slot, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        let payload = self.get_personal(slot, key)?;
        payload.ok_or_else(StoreError::missing_person)
    }

    pub(super) fn put_user(&mut self, row: u32, id: &UserId) -> Result<(), StoreError> {
        let hash = self.hasher.user(id);
        let before = self.index.at_row(row).map(|(hash, _)| hash);
        if before.is_some_and(|before| before != hash) {
            self.remove_user(row)?;
        }
        if self.index.unapplied.user_erased_after(hash, self.reached) {
            self.erased_rows.insert(row);
            return Ok(());
        }
        let person = self.person(id)?;
        if person.row == Some(row) {
            return Ok(());
        }
        if let Some(elsewhere) = person.row {
            self.remove_user(elsewhere)?;
        }
        let person = self.person(id)?.clone();
        self.index.set_row(hash, Some(row));
        self.write_user(&person, row)
    }

    fn write_user(&mut self, person: &Person, row: u32) -> Result<(), StoreError> {
        let record = UserRecord {
            row,
            backup: person.backup.0,
            id: person.id.clone(),
        };
        let key = keys::user(person.pseudonym);
        self.put_personal(person.live, key, &codec::to_postcard(&record))
    }

    pub(super) fn put_history(
        &mut self,
        row: u32,
        mut held: Vec<StoredInteraction>,
    ) -> Result<(), StoreError> {
        let Some((hash, person)) = self.index.at_row(row) else {
            if held.is_empty() || self.erased_rows.contains(&row) {
                return Ok(());
            }
            return Err(StoreError::damaged("a history without a user"));
        };
        let person = person.clone();
        let items = self.index.unapplied.items_erased_after(hash, self.reached);
        let erased: HashSet<u32> = items.filter_map(|item| self.index.item(item)).collect();
        let typed = self.typed_pairs_erased(hash, self.reached);
        let before = held.len();
        held.retain(|held| !erased.contains(&held.item) && !typed.contains(&held.key()));
        if held.is_empty() && before > 0 {
            return self.remove_user(row);
        }
        self.write_history(&person, &held)
    }

    /// Of which items which types of feedback of a user were erased after `reached`.
    fn typed_pairs_erased(
        &self,
        user: KeyedHash,
        reached: LogPosition,
    ) -> HashSet<(u32, FeedbackNumber)> {
        let pairs = self.index.unapplied.typed_pairs_erased_after(user, reached);
        let known = pairs.filter_map(|(item, feedback)| {
            let name = (self.hasher).feedback_named(feedback, &self.index.feedback_types)?;
            Some((self.index.item(item)?, self.index.feedback_number(name)?))
        });
        known.collect()
    }

    fn write_history(
        &mut self,
        person: &Person,
        held: &[StoredInteraction],
    ) -> Result<(), StoreError> {
        for key in self.keys_with(&keys::history(person.pseudonym))? {
            self.remove(key);
        }
        for (chunk, held) in held.chunks(INTERACTIONS_PER_CHUNK).enumerate() {
            let key = keys::history_chunk(person.pseudonym, chunk as u16);
            self.put_personal(person.live, key, &pack_history(held))?;
        }
        Ok(())
    }

    /// Seals a user's row of the model. A row that still knows of what an erasure named since is not
    /// written; the model's next version brings another.
    pub(super) fn put_user_factors(
        &mut self,
        row: u32,
        values: &[f32],
        known: LogPosition,
    ) -> Result<(), StoreError> {
        let Some((hash, person)) = self.index.at_row(row) else {
            return Ok(());
        };
        let person = person.clone();
        let unapplied = &self.index.unapplied;
        let is_stale = unapplied.user_erased_after(hash, known)
            || unapplied.items_erased_after(hash, known).next().is_some()
            || unapplied
                .typed_pairs_erased_after(hash, known)
                .next()
                .is_some();
        let key = keys::user_factors(person.pseudonym);
        if is_stale {
            self.remove(key);
            return Ok(());
        }
        self.put_personal(person.live, key, &pack_values(values))
    }

    /// Removes what is kept under a person's pseudonym, but for what is said about them.
    pub(super) fn remove_records(&mut self, person: &Person) -> Result<(), StoreError> {
        self.remove(keys::user(person.pseudonym));
        let factors = keys::user_factors(person.pseudonym);
        if self.value(&factors)?.is_some() {
            self.remove(factors);
        }
        self.write_history(person, &[])
    }

    pub(super) fn history(
        &mut self,
        person: &Person,
    ) -> Result<Vec<StoredInteraction>, StoreError> {
        let mut held = Vec::new();
        for key in self.keys_with(&keys::history(person.pseudonym))? {
            if let Some(payload) = self.get_personal(person.live, &key)? {
                unpack_history(&payload, &mut held)?;
            }
        }
        Ok(held)
    }

    /// Removes the interactions that are held of the user at a row. What waits in the log and what is
    /// said about the user stay, under a new key.
    pub(super) fn remove_user(&mut self, row: u32) -> Result<(), StoreError> {
        let Some((hash, person)) = self.index.at_row(row) else {
            return Ok(());
        };
        let person = person.clone();
        if !person.is_row_alone() {
            let queued = self.queued(&person)?;
            return self.renew_key(hash, None, &[], queued);
        }
        self.remove_records(&person)?;
        self.index.set_row(hash, None);
        self.drop_if_nothing_is_left(hash);
        Ok(())
    }

    /// Destroys the keys of a person of whom nothing is held.
    pub(super) fn drop_if_nothing_is_left(&mut self, hash: KeyedHash) {
        let nothing = |person: &Person| person.row.is_none() && person.is_row_alone();
        if self.index.persons.get(&hash).is_some_and(nothing)
            && let Some(person) = self.index.remove(hash)
        {
            self.destroyed.extend([person.live, person.backup]);
        }
    }

    /// Removes everything of a user, what is said about them, what waits in the log and what is kept of
    /// them too, and destroys the keys.
    pub(super) fn erase_user(&mut self, hash: KeyedHash) -> Result<(), StoreError> {
        let Some(person) = self.index.remove(hash) else {
            return Ok(());
        };
        self.remove_records(&person)?;
        if person.has_properties {
            self.remove(keys::properties(person.pseudonym));
        }
        for (position, part) in &person.queued {
            self.remove(keys::log_part(*position, *part));
        }
        for number in 0..person.kept {
            self.remove(keys::kept(person.pseudonym, number));
        }
        self.destroyed.extend([person.live, person.backup]);
        Ok(())
    }

    /// When the latest of what is held of a person happened, as far as it says so.
    pub(super) fn latest_of(&mut self, hash: KeyedHash) -> Result<UnixMillis, StoreError> {
        let Some(person) = self.index.persons.get(&hash).cloned() else {
            return Ok(UnixMillis(i64::MIN));
        };
        let (held, queued) = (self.history(&person)?, self.queued(&person)?);
        let kept = self.kept(&person)?;
        let held = held.iter().map(|held| held.timestamp);
        let queued = queued.iter().flat_map(|(_, record)| &record.rows);
        let rows = queued.chain(&kept).map(|row| row.timestamp);
        Ok(latest(held.chain(rows)))
    }

    /// Removes what is `named` of a user wherever it is, and seals what is left under a new key. Does
    /// nothing when there is none of it. Returns when the latest of it happened.
    pub(super) fn erase_pairs(
        &mut self,
        user: &UserId,
        named: &NamedOfUser<&ItemId>,
    ) -> Result<UnixMillis, StoreError> {
        let hash = self.hasher.user(user);
        let Some(person) = self.index.persons.get(&hash).cloned() else {
            return Ok(UnixMillis(i64::MIN));
        };
        let row = |item: &ItemId| self.index.item(self.hasher.item(item));
        let rows = NamedOfUser {
            whole: named.whole.iter().filter_map(|it| row(it)).collect(),
            typed: (named.typed.iter())
                .filter_map(|(item, number)| Some((row(item)?, *number)))
                .collect(),
        };
        let mut held = self.history(&person)?;
        let mut queued = self.queued(&person)?;
        let mut kept = self.kept(&person)?;
        let count = |held: &[StoredInteraction], queued: &[(Vec<u8>, QueuedRecord)]| {
            held.len() + queued.iter().map(|(_, q)| q.rows.len()).sum::<usize>()
        };
        let before = count(&held, &queued) + kept.len();
        let gone = held
            .iter()
            .filter(|held| rows.names(&held.item, held.feedback));
        let queued_rows = queued.iter().flat_map(|(_, record)| &record.rows);
        let queued_gone = queued_rows
            .chain(&kept)
            .filter(|row| named.names(&&row.item, row.feedback));
        let gone = gone.map(|held| held.timestamp);
        let until = latest(gone.chain(queued_gone.map(|row| row.timestamp)));
        held.retain(|held| !rows.names(&held.item, held.feedback));
        for (_, record) in &mut queued {
            record
                .rows
                .retain(|row| !named.names(&&row.item, row.feedback));
        }
        let kept_before = kept.len();
        kept.retain(|row| !named.names(&&row.item, row.feedback));
        if kept.len() < kept_before {
            self.write_kept(hash, &kept)?;
        }
        match count(&held, &queued) + kept.len() {
            same if same == before => {}
            // What is said about a person is gone with the person, not with what they did.
            0 if !person.has_properties => self.erase_user(hash)?,
            _ => {
                let row = person.row.filter(|_| !held.is_empty());
                self.renew_key(hash, row, &held, queued)?;
            }
        }
        Ok(until)
    }

    /// What waits in the log of a person, with the keys of the parts.
    pub(super) fn queued(
        &mut self,
        person: &Person,
    ) -> Result<Vec<(Vec<u8>, QueuedRecord)>, StoreError> {
        let mut queued = Vec::with_capacity(person.queued.len());
        for (position, part) in &person.queued {
            let key = keys::log_part(*position, *part);
            let payload = self.held_personal(person.live, &key)?;
            queued.push((key, QueuedRecord::unpack(&payload)?));
        }
        Ok(queued)
    }

    pub(super) fn renew_key_at(&mut self, row: u32) -> Result<(), StoreError> {
        let Some((hash, person)) = self.index.at_row(row) else {
            return Ok(());
        };
        let person = person.clone();
        let (held, queued) = (self.history(&person)?, self.queued(&person)?);
        // A user without a history is removed.
        let row = person.row.filter(|_| !held.is_empty());
        self.renew_key(hash, row, &held, queued)
    }

    /// Seals what is left of a person under a new key and a new name, and destroys the old key: what is
    /// held at the `row`, what waits in the log, what is kept and what is said. A part without rows is
    /// removed.
    pub(super) fn renew_key(
        &mut self,
        hash: KeyedHash,
        row: Option<u32>,
        held: &[StoredInteraction],
        queued: Vec<(Vec<u8>, QueuedRecord)>,
    ) -> Result<(), StoreError> {
        let live = self.take_slot()?;
        let person = self.index.persons.get_mut(&hash);
        let person = person.ok_or_else(StoreError::missing_person)?;
        let before = person.clone();
        (person.live, person.pseudonym) = (live, Pseudonym::random());
        let person = person.clone();
        self.destroyed.push(before.live);
        self.remove_records(&before)?;
        match row {
            None => self.index.set_row(hash, None),
            Some(row) => {
                self.write_user(&person, row)?;
                self.write_history(&person, held)?;
            }
        }
        self.move_properties(&before, &person)?;
        self.move_kept(&before, &person)?;
        for (key, record) in queued {
            if record.rows.is_empty() {
                self.forget_part(hash, &key);
                self.remove(key);
            } else {
                self.put_personal(live, key, &record.pack())?;
            }
        }
        self.drop_if_nothing_is_left(hash);
        Ok(())
    }

    pub(super) fn forget_part(&mut self, hash: KeyedHash, key: &[u8]) {
        let Some(part) = keys::log_parts(key) else {
            return;
        };
        self.index.queued.remove(&part);
        if let Some(person) = self.index.persons.get_mut(&hash) {
            person.queued.remove(&part);
        }
    }
}

/// The latest of some timestamps.
pub(super) fn latest(timestamps: impl Iterator<Item = Option<i64>>) -> UnixMillis {
    let times = timestamps.flatten().map(UnixMillis::from_timestamp);
    times.max().unwrap_or(UnixMillis(i64::MIN))
}
