//! Importing rows of people whose processing is restricted: they are kept, and not processed.

use std::collections::HashSet;

use super::writer::ImportWriter;
use crate::error::StoreError;
use crate::hash::KeyedHash;
use crate::keys;
use crate::log::queued_records;
use crate::records::{QueuedRecord, QueuedRow};
use recant_types::{InvalidId, UserId};

impl ImportWriter<'_> {
    /// The processing of the people with these hashes is restricted. To be called before anything of
    /// them is taken.
    pub(crate) fn restrict(&mut self, people: HashSet<KeyedHash>) {
        self.kept.restricted = people;
    }

    pub(super) fn is_restricted(&self, user: &str) -> Result<bool, InvalidId> {
        let restricted = &self.kept.restricted;
        Ok(!restricted.is_empty() && restricted.contains(&self.hasher().user(&UserId::new(user)?)))
    }

    /// Takes one interaction of somebody who is restricted.
    pub(super) fn keep(&mut self, user: UserId, row: QueuedRow) -> Result<(), StoreError> {
        self.totals.restricted += 1;
        if !self.kept.knows(&user) {
            let before = self.kept_before(&user)?;
            self.kept.hold(&user, before, &self.feedback);
        }
        self.kept.hold(&user, vec![row], &self.feedback);
        Ok(())
    }

    /// What is kept of a person before the first row of an import.
    fn kept_before(&self, user: &UserId) -> Result<Vec<QueuedRow>, StoreError> {
        let mut kept = Vec::new();
        if let Some(person) = self.waiting.get(&self.hasher().user(user)) {
            for record in self.next.scan(&keys::kept_of(person.pseudonym)) {
                kept.extend(QueuedRecord::unpack(&record?.1)?.rows);
            }
        }
        Ok(kept)
    }

    /// Writes what is kept of those who were named, in place of what was.
    pub(super) fn write_kept(&mut self) -> Result<(), StoreError> {
        for (user, rows) in self.kept.take_all() {
            let hash = self.hasher().user(&user);
            let mut person = match self.waiting.remove(&hash) {
                Some(person) => person,
                None => self.new_person(&user)?,
            };
            for number in 0..std::mem::take(&mut person.kept) {
                self.next.remove(&keys::kept(person.pseudonym, number))?;
            }
            let histories = self.histories();
            let secret = histories.secret_of(&person)?;
            for record in queued_records(&user, person.backup.0, rows) {
                let key = keys::kept(person.pseudonym, person.kept);
                histories.put_personal(&person, &secret, key, &record.pack())?;
                person.kept += 1;
            }
            self.waiting.insert(hash, person);
        }
        Ok(())
    }
}
