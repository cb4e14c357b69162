//! Where everybody's records are: in memory only, read from the database when it is opened.
//!
//! On the disk nothing but a person's own records say who the person is and at which row. The index
//! finds them by the keyed hash of the id and by the row. The writing thread changes it together
//! with the database; readers hold it for as long as they read one person's records.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use crate::codec::{self, Codec};
use crate::database::Database;
use crate::error::StoreError;
use crate::hash::{IdHasher, KeyedHash};
use crate::keyring::Slot;
use crate::keys::row_of;
use crate::keys::{self, Pseudonym};
use crate::log::ErasureEntry;
use crate::position::LogPosition;
use crate::records::{ItemRecord, PropertiesRecord, QueuedRecord, RestrictionRecord, UserRecord};
use crate::unapplied::Unapplied;
use recant_types::{FeedbackNumber, FeedbackType, UserId};

/// One person: whose key is where, and by what name the records go.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Who it is.
    pub(super) id: UserId,
    /// The slot of the key that the records are sealed under.
    pub(super) live: Slot,
    /// The slot of the key that backups are sealed under.
    pub(super) backup: Slot,
    /// The name of the records.
    pub(super) pseudonym: Pseudonym,
    /// The dense row; `None` as long as no interaction of the person is held but in the log.
    pub(super) row: Option<u32>,
    /// Whether something is said about the person.
    pub(super) has_properties: bool,
    /// The parts of log entries that are this person's.
    pub(super) queued: BTreeSet<(LogPosition, u16)>,
    /// How many records there are of what is kept and not processed, numbered from 0.
    pub(super) kept: u32,
}

impl Person {
    /// Somebody of whom nothing is held yet.
    pub(super) fn new(id: UserId, live: Slot, backup: Slot, pseudonym: Pseudonym) -> Self {
        Self {
            id,
            live,
            backup,
            pseudonym,
            row: None,
            has_properties: false,
            queued: BTreeSet::new(),
            kept: 0,
        }
    }

    /// Whether nothing of the person is held but under the row.
    pub(super) fn is_row_alone(&self) -> bool {
        !self.has_properties && self.queued.is_empty() && self.kept == 0
    }
}

/// The whole index of one open store.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) persons: HashMap<KeyedHash, Person>,
    /// Everybody's ids in the order of their bytes.
    ids: BTreeSet<UserId>,
    rows: HashMap<u32, KeyedHash>,
    /// Whose each queued part is.
    pub(super) queued: BTreeMap<(LogPosition, u16), KeyedHash>,
    items: HashMap<KeyedHash, u32>,
    item_hashes: HashMap<u32, KeyedHash>,
    /// Rows of items whose record holds a description, as earlier versions wrote it.
    pub(super) describing_rows: HashSet<u32>,
    /// Whether the store keeps the mark of a log that stores share.
    pub(super) follows_log: bool,
    /// How many tombstones there may be; 0 means none.
    pub(super) tombstones: usize,
    /// Whose data are kept and not processed, whether or not anything is held of them.
    pub(super) restricted: HashSet<KeyedHash>,
    pub(super) unapplied: Unapplied,
    /// The types of feedback by number; the first is the default.
    pub(super) feedback_types: Vec<FeedbackType>,
}

impl Index {
    /// Reads the index of a database. Opens every record of a user and of the log once.
    pub(super) fn read(
        database: &Database,
        codec: &Codec,
        hasher: &IdHasher,
    ) -> Result<Self, StoreError> {
        let mut index = Self {
            feedback_types: read_feedback_types(database, codec)?,
            follows_log: database.get(&keys::MARK)?.is_some(),
            ..Self::default()
        };
        for record in database.scan(&[keys::USER]) {
            let (key, value) = record?;
            index.take_user(codec, hasher, &key, &value)?;
        }
        for record in database.scan(&[keys::PROPERTIES]) {
            let (key, value) = record?;
            index.take_properties(codec, hasher, &key, &value)?;
        }
        for record in database.scan(&[keys::KEPT]) {
            let (key, value) = record?;
            index.take_kept(codec, hasher, &key, &value)?;
        }
        for record in database.scan(&[keys::RESTRICTION]) {
            let (key, value) = record?;
            let restriction: RestrictionRecord = codec::from_postcard(&codec.open(&key, &value)?)?;
            if restriction.lifted_at.is_none() {
                let hash = keys::hash_of(&key).ok_or_else(StoreError::cut_key)?;
                index.restricted.insert(hash);
            }
        }
        let applied = match database.get(&keys::APPLIED)? {
            Some(value) => codec::read_u64(&codec.open(&keys::APPLIED, &value)?)?,
            None => 0,
        };
        let mut entry = (LogPosition::default(), Vec::new());
        for record in database.scan(&[keys::LOG]) {
            let (key, value) = record?;
            if codec.is_personal(&value)? {
                index.take_queued(codec, hasher, &key, &value)?;
            } else {
                index.take_erasure(codec, LogPosition(applied), &mut entry, &key, &value)?;
            }
        }
        for record in database.scan(&[keys::ITEM]) {
            let (key, value) = record?;
            let item: ItemRecord = codec::from_json(&codec.open(&key, &value)?)?;
            index.set_item(row_of(&key)?, hasher.item(&item.id));
            if item.description().is_some() {
                index.describing_rows.insert(row_of(&key)?);
            }
        }
        index.tombstones = database.scan(&[keys::TOMBSTONE]).count();
        Ok(index)
    }

    /// The part of the index that says something about these users and items, and with `with_kept` about
    /// everybody of whom something is kept; all that deciding a request of theirs looks up.
    pub(super) fn part(
        &self,
        users: &HashSet<KeyedHash>,
        items: &HashSet<KeyedHash>,
        with_kept: bool,
    ) -> Self {
        let restricted = users.intersection(&self.restricted).copied();
        let mut part = Self {
            tombstones: self.tombstones,
            restricted: restricted.collect(),
            unapplied: self.unapplied.items_alone(),
            feedback_types: self.feedback_types.clone(),
            ..Self::default()
        };
        let is_meant = |(hash, person): &(&KeyedHash, &Person)| {
            users.contains(*hash) || (with_kept && person.kept > 0)
        };
        let persons: Vec<_> = if with_kept {
            self.persons.iter().filter(is_meant).collect()
        } else {
            let known = users.iter().map(|hash| self.persons.get_key_value(hash));
            known.flatten().collect()
        };
        for (hash, person) in persons {
            part.insert(*hash, person.clone());
        }
        for hash in items {
            if let Some(row) = self.item(*hash) {
                part.set_item(row, *hash);
                if self.describing_rows.contains(&row) {
                    part.describing_rows.insert(row);
                }
            }
        }
        part
    }

    fn take_user(
        &mut self,
        codec: &Codec,
        hasher: &IdHasher,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let record: UserRecord = codec::from_postcard(&codec.open(key, value)?)?;
        let hash = hasher.user(&record.id);
        let person = Person {
            row: Some(record.row),
            ..Person::new(
                record.id,
                codec::slot_of(value)?,
                Slot(record.backup),
                keys::pseudonym(key).ok_or_else(StoreError::cut_key)?,
            )
        };
        let twice = self.insert(hash, person).is_some();
        if self.rows.insert(record.row, hash).is_some() || twice {
            return Err(StoreError::damaged("a user or a row is there twice"));
        }
        Ok(())
    }

    /// Takes note of what is said about a person, of whom there may be nothing else.
    fn take_properties(
        &mut self,
        codec: &Codec,
        hasher: &IdHasher,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let record: PropertiesRecord = codec::from_json(&codec.open(key, value)?)?;
        let (live, backup) = (codec::slot_of(value)?, Slot(record.backup));
        let pseudonym = keys::pseudonym(key).ok_or_else(StoreError::cut_key)?;
        let hash = hasher.user(&record.user);
        let new = || Person::new(record.user, live, backup, pseudonym);
        let person = self.person_or_insert(hash, new);
        let same = (person.live, person.backup, person.pseudonym) == (live, backup, pseudonym);
        if !same || person.has_properties {
            return Err(StoreError::damaged("a person has two keys or two names"));
        }
        person.has_properties = true;
        Ok(())
    }

    /// Takes note of a record of what is kept of a person.
    fn take_kept(
        &mut self,
        codec: &Codec,
        hasher: &IdHasher,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let record = QueuedRecord::unpack(&codec.open(key, value)?)?;
        let (live, backup) = (codec::slot_of(value)?, Slot(record.backup));
        let pseudonym = keys::pseudonym(key).ok_or_else(StoreError::cut_key)?;
        let hash = hasher.user(&record.user);
        let new = || Person::new(record.user, live, backup, pseudonym);
        let person = self.person_or_insert(hash, new);
        if (person.live, person.backup, person.pseudonym) != (live, backup, pseudonym) {
            return Err(StoreError::damaged("a person has two keys or two names"));
        }
        // They come in the order of their numbers.
        if row_of(key)? != person.kept {
            return Err(StoreError::damaged("a record of what is kept is missing"));
        }
        person.kept += 1;
        Ok(())
    }

    fn take_queued(
        &mut self,
        codec: &Codec,
        hasher: &IdHasher,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let record = QueuedRecord::unpack(&codec.open(key, value)?)?;
        let (live, backup) = (codec::slot_of(value)?, Slot(record.backup));
        let part = keys::log_parts(key).ok_or_else(StoreError::cut_key)?;
        let hash = hasher.user(&record.user);
        let new = || Person::new(record.user, live, backup, Pseudonym::random());
        let person = self.person_or_insert(hash, new);
        if (person.live, person.backup) != (live, backup) {
            return Err(StoreError::damaged("a person has two keys"));
        }
        person.queued.insert(part);
        self.queued.insert(part, hash);
        Ok(())
    }

    /// Notes an erasure of items that the worker has still to carry out. What other erasures name
    /// left the store when they were accepted. Parts of one `entry` come in their order; it is read
    /// when the last one is there.
    fn take_erasure(
        &mut self,
        codec: &Codec,
        applied: LogPosition,
        entry: &mut (LogPosition, Vec<u8>),
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let (position, _) = keys::log_parts(key).ok_or_else(StoreError::cut_key)?;
        let payload = codec.open(key, value)?;
        if entry.0 != position {
            *entry = (position, Vec::new());
        }
        entry.1.extend_from_slice(&payload);
        if position > applied
            && let Ok(entry) = codec::from_postcard::<ErasureEntry>(&entry.1)
            && let Some(items) = entry.named.items()
        {
            self.unapplied.insert(&items, position);
        }
        Ok(())
    }

    /// Takes note of a person; returns who had the hash before.
    pub(super) fn insert(&mut self, hash: KeyedHash, person: Person) -> Option<Person> {
        self.ids.insert(person.id.clone());
        self.persons.insert(hash, person)
    }

    fn person_or_insert(&mut self, hash: KeyedHash, new: impl FnOnce() -> Person) -> &mut Person {
        let ids = &mut self.ids;
        self.persons.entry(hash).or_insert_with(|| {
            let person = new();
            ids.insert(person.id.clone());
            person
        })
    }

    /// Up to `limit` of the ids after `after` of those of whom something is held, in the order of
    /// their bytes.
    pub(super) fn ids_after(&self, after: Option<&UserId>, limit: usize) -> Vec<UserId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.ids.range::<UserId, _>((start, Bound::Unbounded));
        ids.take(limit).cloned().collect()
    }

    /// Every slot that somebody's records are sealed under, ascending.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let persons = self.persons.values();
        let mut slots: Vec<Slot> = persons.flat_map(|p| [p.live, p.backup]).collect();
        slots.sort_unstable();
        slots
    }

    /// The person at a row, with the hash of the id.
    pub(super) fn at_row(&self, row: u32) -> Option<(KeyedHash, &Person)> {
        let hash = self.rows.get(&row)?;
        self.persons.get(hash).map(|person| (*hash, person))
    }

    /// Gives a person a row, or takes it away.
    pub(super) fn set_row(&mut self, hash: KeyedHash, row: Option<u32>) {
        let Some(person) = self.persons.get_mut(&hash) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut person.row, row) {
            self.rows.remove(&before);
        }
        if let Some(row) = row {
            self.rows.insert(row, hash);
        }
    }

    /// Forgets a person.
    pub(super) fn remove(&mut self, hash: KeyedHash) -> Option<Person> {
        let person = self.persons.remove(&hash)?;
        self.ids.remove(&person.id);
        if let Some(row) = person.row {
            self.rows.remove(&row);
        }
        for part in &person.queued {
            self.queued.remove(part);
        }
        Some(person)
    }

    /// The number of a type of feedback; `None` when the store has never heard of it.
    pub(super) fn feedback_number(&self, feedback: &FeedbackType) -> Option<FeedbackNumber> {
        let place = self.feedback_types.iter().position(|it| it == feedback)?;
        u8::try_from(place).ok().map(FeedbackNumber)
    }

    /// The row of an item.
    pub(super) fn item(&self, hash: KeyedHash) -> Option<u32> {
        self.items.get(&hash).copied()
    }

    /// The hash of the item at a row.
    pub(super) fn item_hash(&self, row: u32) -> Option<KeyedHash> {
        self.item_hashes.get(&row).copied()
    }

    /// The item at a row has this hash.
    pub(super) fn set_item(&mut self, row: u32, hash: KeyedHash) {
        if self.item_hashes.get(&row) != Some(&hash) {
            self.remove_item(row);
            self.item_hashes.insert(row, hash);
            self.items.insert(hash, row);
        }
    }

    /// Forgets the item at a row.
    pub(super) fn remove_item(&mut self, row: u32) {
        if let Some(hash) = self.item_hashes.remove(&row)
            && self.items.get(&hash) == Some(&row)
        {
            self.items.remove(&hash);
        }
    }
}

/// The types of feedback of a database, by number: of one that names none the default alone.
pub(super) fn read_feedback_types(
    database: &Database,
    codec: &Codec,
) -> Result<Vec<FeedbackType>, StoreError> {
    match database.get(&keys::FEEDBACK_TYPES)? {
        Some(value) => codec::from_json(&codec.open(&keys::FEEDBACK_TYPES, &value)?),
        None => Ok(vec![FeedbackType::default()]),
    }
}
