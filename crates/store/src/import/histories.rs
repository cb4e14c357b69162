//! What the next generation holds of persons: their records and histories, read and written under their
//! keys. Many threads may do so at once, each for other persons.

use std::collections::HashSet;

use crate::codec::{self, seal_under};
use crate::error::StoreError;
use crate::files::Generation;
use crate::generation::NextGeneration;
use crate::index::Person;
use crate::keys;
use crate::records::{
    INTERACTIONS_PER_CHUNK, StoredInteraction, UserRecord, pack_history, unpack_history,
};
use crate::seal::SecretKey;
use recant_types::FeedbackNumber;

/// The persons of an import, and where what is held of them is.
#[derive(Clone, Copy)]
pub(super) struct Histories<'a> {
    pub(super) next: &'a NextGeneration<'a>,
    /// What was held before the import.
    pub(super) before: Option<&'a Generation>,
    /// By row, whose keys are where.
    pub(super) persons: &'a [Option<Person>],
}

impl Histories<'_> {
    pub(super) fn person_at(&self, row: u32) -> Result<&Person, StoreError> {
        let person = self.persons.get(row as usize).and_then(Option::as_ref);
        person.ok_or_else(StoreError::missing_person)
    }

    /// The key that a person's records are sealed under.
    pub(super) fn secret_of(&self, person: &Person) -> Result<SecretKey, StoreError> {
        let secret = self.next.codec().ring().key(person.live)?;
        secret.ok_or_else(StoreError::missing_person)
    }

    pub(super) fn put_personal(
        &self,
        person: &Person,
        secret: &SecretKey,
        key: Vec<u8>,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let value = seal_under(person.live, secret, &key, payload);
        self.next.database().put(key, value)
    }

    pub(super) fn put_user(
        &self,
        person: &Person,
        secret: &SecretKey,
        row: u32,
    ) -> Result<(), StoreError> {
        let record = UserRecord {
            row,
            backup: person.backup.0,
            id: person.id.clone(),
        };
        let key = keys::user(person.pseudonym);
        self.put_personal(person, secret, key, &codec::to_postcard(&record))
    }

    /// A person's interactions by item row, those taken back among them.
    pub(super) fn history(&self, person: &Person) -> Result<Vec<StoredInteraction>, StoreError> {
        let mut history = Vec::new();
        for record in self.next.scan(&keys::history(person.pseudonym)) {
            unpack_history(&record?.1, &mut history)?;
        }
        history.sort_by_key(StoredInteraction::key);
        Ok(history)
    }

    /// What a person had before this import: items, and of which type.
    pub(super) fn held_before(
        &self,
        person: &Person,
    ) -> Result<HashSet<(u32, FeedbackNumber)>, StoreError> {
        let before = self.before.map(|before| before.history(person.pseudonym));
        let history = before.transpose()?.unwrap_or_default();
        Ok(history.iter().map(StoredInteraction::key).collect())
    }

    pub(super) fn put_history(
        &self,
        person: &Person,
        secret: &SecretKey,
        history: &[StoredInteraction],
    ) -> Result<(), StoreError> {
        for (chunk, held) in history.chunks(INTERACTIONS_PER_CHUNK).enumerate() {
            let key = keys::history_chunk(person.pseudonym, chunk as u16);
            self.put_personal(person, secret, key, &pack_history(held))?;
        }
        Ok(())
    }
}
