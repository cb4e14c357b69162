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
use crate::hash::{IdHasher, KeyedHash, Named};
use crate::keyring::Slot;
use crate::keys::row_of;
use crate::keys::{self, Pseudonym};
use crate::log::ErasureEntry;
use crate::position::LogPosition;
use crate::records::{ItemRecord, PropertiesRecord, QueuedRecord, UserRecord};
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
}

impl Person {
    /// Whether nothing of the person is held but under the row.
    pub(super) fn is_row_alone(&self) -> bool {
        !self.has_properties && self.queued.is_empty()
    }
}

/// What accepted erasures named whose effect the worker has not committed yet, with their position.
///
/// The worker may hold in memory, and write, what an erasure took from the store meanwhile; what is
/// named here is kept out of its commits.
#[derive(Debug, Default)]
pub(super) struct Unapplied {
    users: HashMap<KeyedHash, LogPosition>,
    pairs: HashMap<KeyedHash, HashMap<KeyedHash, LogPosition>>,
    /// By user, and then by item and type of feedback.
    typed_pairs: HashMap<KeyedHash, HashMap<(KeyedHash, KeyedHash), LogPosition>>,
    items: HashMap<KeyedHash, LogPosition>,
}

impl Unapplied {
    pub(super) fn insert(&mut self, named: &Named, position: LogPosition) {
        match named {
            Named::User(user) => {
                self.users.insert(*user, position);
            }
            Named::Pairs(pairs) => {
                for (user, item) in pairs {
                    self.pairs.entry(*user).or_default().insert(*item, position);
                }
            }
            Named::TypedPairs(pairs) => {
                for pair in pairs {
                    let of_user = self.typed_pairs.entry(pair.user).or_default();
                    of_user.insert((pair.item, pair.feedback), position);
                }
            }
            Named::Item(item) => {
                self.items.insert(*item, position);
            }
            several @ (Named::Several { .. } | Named::SeveralTyped { .. }) => {
                for named in several.parts() {
                    self.insert(&named, position);
                }
            }
        }
    }

    /// The worker has committed everything up to `applied`.
    pub(super) fn applied(&mut self, applied: LogPosition) {
        self.users.retain(|_, position| *position > applied);
        self.pairs.retain(|_, items| {
            items.retain(|_, position| *position > applied);
            !items.is_empty()
        });
        self.typed_pairs.retain(|_, pairs| {
            pairs.retain(|_, position| *position > applied);
            !pairs.is_empty()
        });
        self.items.retain(|_, position| *position > applied);
    }

    /// Whether an item was erased after `position`, and the worker has not taken it from the
    /// histories yet.
    pub(super) fn item_erased_after(&self, item: KeyedHash, position: LogPosition) -> bool {
        self.items.get(&item).is_some_and(|at| *at > position)
    }

    /// Where in the log an item was last erased, when the worker has not taken it from the histories yet.
    pub(super) fn item_erased_at(&self, item: KeyedHash) -> Option<LogPosition> {
        self.items.get(&item).copied()
    }

    /// The items that the worker has not taken from the histories yet.
    pub(super) fn items(&self) -> impl Iterator<Item = KeyedHash> + '_ {
        self.items.keys().copied()
    }

    /// Whether there are items that the worker has not taken from the histories yet.
    pub(super) fn has_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// Whether everything that a commit up to `reached` knows of a user was erased after that.
    pub(super) fn user_erased_after(&self, user: KeyedHash, reached: LogPosition) -> bool {
        self.users.get(&user).is_some_and(|at| *at > reached)
    }

    /// The items and types of feedback that a user's interactions of one type were erased with after
    /// `reached`.
    pub(super) fn typed_pairs_erased_after(
        &self,
        user: KeyedHash,
        reached: LogPosition,
    ) -> impl Iterator<Item = (KeyedHash, KeyedHash)> + '_ {
        let pairs = self.typed_pairs.get(&user).into_iter().flatten();
        pairs
            .filter(move |(_, at)| **at > reached)
            .map(|(pair, _)| *pair)
    }

    /// The items that a user's interactions were erased with after `reached`.
    pub(super) fn items_erased_after(
        &self,
        user: KeyedHash,
        reached: LogPosition,
    ) -> impl Iterator<Item = KeyedHash> + '_ {
        let items = self.pairs.get(&user).into_iter().flatten();
        items
            .filter(move |(_, at)| **at > reached)
            .map(|(item, _)| *item)
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
    /// How many tombstones there may be; 0 means none.
    pub(super) tombstones: usize,
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
            id: record.id,
            live: codec::slot_of(value)?,
            backup: Slot(record.backup),
            pseudonym: keys::pseudonym(key).ok_or_else(StoreError::cut_key)?,
            row: Some(record.row),
            has_properties: false,
            queued: BTreeSet::new(),
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
        let person = self.person_or_insert(hash, || Person {
            id: record.user,
            live,
            backup,
            pseudonym,
            row: None,
            has_properties: false,
            queued: BTreeSet::new(),
        });
        let same = (person.live, person.backup, person.pseudonym) == (live, backup, pseudonym);
        if !same || person.has_properties {
            return Err(StoreError::damaged("a person has two keys or two names"));
        }
        person.has_properties = true;
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
        let person = self.person_or_insert(hash, || Person {
            id: record.user,
            live,
            backup,
            pseudonym: Pseudonym::random(),
            row: None,
            has_properties: false,
            queued: BTreeSet::new(),
        });
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
