//! What is said about a person: one record, under the person's own key.

use super::Stage;
use crate::codec;
use crate::error::StoreError;
use crate::hash::KeyedHash;
use crate::index::Person;
use crate::keys;
use crate::records::PropertiesRecord;
use recant_types::{InvalidProperties, PersonPatch, PersonProperties, UserId};

impl Stage<'_> {
    /// Says this about a person, in place of what was said before. What was said before and is not
    /// any more is sealed under a key that is destroyed.
    pub(super) fn put_properties(
        &mut self,
        id: &UserId,
        properties: &PersonProperties,
    ) -> Result<(), StoreError> {
        let hash = self.hasher.user(id);
        let before = self.properties_of(hash)?;
        if before.as_ref().unwrap_or(&PersonProperties::default()) == properties {
            return Ok(());
        }
        if !properties.is_empty() {
            self.person(id)?.has_properties = true;
            self.write_properties(hash, properties)?;
        } else if let Some(person) = self.index.persons.get_mut(&hash) {
            person.has_properties = false;
            let key = keys::properties(person.pseudonym);
            self.remove(key);
            self.drop_if_nothing_is_left(hash);
        }
        match before {
            Some(_) => self.renew_key_of(hash),
            None => Ok(()),
        }
    }

    /// What a patch makes of what is said about a person; refused when that is out of bounds.
    pub(super) fn patched_properties(
        &mut self,
        id: &UserId,
        patch: &PersonPatch,
    ) -> Result<Result<PersonProperties, InvalidProperties>, StoreError> {
        let before = self.properties_of(self.hasher.user(id))?;
        Ok(patch.apply(&before.unwrap_or_default()))
    }

    /// What is said about the person with this hash.
    fn properties_of(&mut self, hash: KeyedHash) -> Result<Option<PersonProperties>, StoreError> {
        let person = self.index.persons.get(&hash);
        let Some(person) = person.filter(|person| person.has_properties).cloned() else {
            return Ok(None);
        };
        let payload = self.held_personal(person.live, &keys::properties(person.pseudonym))?;
        let record: PropertiesRecord = codec::from_json(&payload)?;
        Ok(Some(record.properties))
    }

    fn write_properties(
        &mut self,
        hash: KeyedHash,
        properties: &PersonProperties,
    ) -> Result<(), StoreError> {
        let person = self.index.persons.get(&hash);
        let person = person.ok_or_else(StoreError::missing_person)?;
        let record = PropertiesRecord {
            user: person.id.clone(),
            backup: person.backup.0,
            properties: properties.clone(),
        };
        let (live, key) = (person.live, keys::properties(person.pseudonym));
        self.put_personal(live, key, &codec::to_json(&record))
    }

    /// Seals everything of a person under a new key, the row of the model too, which knows nothing of
    /// what is said.
    fn renew_key_of(&mut self, hash: KeyedHash) -> Result<(), StoreError> {
        let Some(before) = self.index.persons.get(&hash).cloned() else {
            return Ok(());
        };
        let factors = self.get_personal(before.live, &keys::user_factors(before.pseudonym))?;
        let (held, queued) = (self.history(&before)?, self.queued(&before)?);
        self.renew_key(hash, before.row, &held, queued)?;
        if let (Some(factors), Some(now)) = (factors, self.index.persons.get(&hash).cloned()) {
            let key = keys::user_factors(now.pseudonym);
            self.put_personal(now.live, key, &factors)?;
        }
        Ok(())
    }

    /// Seals what is said about a person under the key and the name that the person has `now`.
    pub(super) fn move_properties(
        &mut self,
        before: &Person,
        now: &Person,
    ) -> Result<(), StoreError> {
        if !before.has_properties {
            return Ok(());
        }
        let key = keys::properties(before.pseudonym);
        let payload = self.held_personal(before.live, &key)?;
        self.remove(key);
        self.put_personal(now.live, keys::properties(now.pseudonym), &payload)
    }
}
