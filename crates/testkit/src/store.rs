//! What the tests of the store share: small records, and everything a store holds at a glance.
#![allow(dead_code)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use recant_store::{
    Committed, Entry, Idempotency, ItemRecord, LogPosition, ModelHeader, Store, StoreError,
    StoreOptions, StoredInteraction, Tensor, WriteBatch,
};
use recant_types::{
    Certificate, Combine, Commitment, ErasureFilter, ErasureId, ErasureRecord, ErasureStatus,
    ErasureTarget, Event, FeedbackNumber, FeedbackRule, FeedbackRules, FeedbackType,
    IalsHyperparameters, Interaction, ItemId, ModelConfiguration, PersonProperties, PersonSummary,
    PropertyValue, UnixMillis, UserId,
};

/// Longest that a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options that never refuse for lack of room on a small disk.
pub fn options() -> StoreOptions {
    StoreOptions {
        cache_bytes: 8 << 20,
        free_space_min_bytes: 0,
        feedback: feedback_rules(),
        ..StoreOptions::default()
    }
}

/// The types of feedback of the tests, by number: the default, one whose events add up and do not count
/// as seen, and one that says what is unwanted.
pub const FEEDBACK: [&str; 3] = ["interaction", "view", "dislike"];

/// One of [`FEEDBACK`].
pub fn feedback(number: u8) -> FeedbackType {
    FeedbackType::new(FEEDBACK[usize::from(number)]).expect("a name")
}

/// What [`FEEDBACK`] means.
pub fn feedback_rules() -> FeedbackRules {
    let view = FeedbackRule {
        weight: 0.5,
        seen: false,
        combine: Combine::Sum,
        ..FeedbackRule::default()
    };
    let dislike = FeedbackRule {
        weight: 2.0,
        target: 0.0,
        combine: Combine::Max,
        ..FeedbackRule::default()
    };
    FeedbackRules::from([(feedback(1), view), (feedback(2), dislike)])
}

/// Opens the store in `path`.
pub fn open(path: &Path) -> Store {
    open_with(path, &options()).expect("the store opens")
}

/// Opens the store in `path`, which nobody else has open for long: a task of a service that was dropped
/// may just be about to end.
pub fn open_with(path: &Path, options: &StoreOptions) -> Result<Store, StoreError> {
    let started = Instant::now();
    loop {
        match Store::open(path, options) {
            Err(StoreError::Locked { .. }) if started.elapsed() < PATIENCE => {
                std::thread::yield_now();
            }
            opened => return opened,
        }
    }
}

/// Commits what `fill` puts into a batch, and waits until it is durable.
pub fn commit(store: &Store, fill: impl FnOnce(&mut WriteBatch)) -> Committed {
    let mut batch = WriteBatch::default();
    fill(&mut batch);
    store.commit(batch).wait().expect("the commit is durable")
}

pub fn user(number: u32) -> UserId {
    UserId::new(&format!("user-{number}")).expect("an id")
}

/// What is said about somebody: a text, a number and a truth; nothing when the text is empty.
pub fn properties(text: &str) -> PersonProperties {
    if text.is_empty() {
        return PersonProperties::default();
    }
    let said = [
        ("city".into(), PropertyValue::Text(text.into())),
        ("age".into(), PropertyValue::Number(41.5)),
        ("member".into(), PropertyValue::Truth(true)),
    ];
    PersonProperties::new(said.into()).expect("within bounds")
}

pub fn item_id(number: u32) -> ItemId {
    ItemId::new(&format!("item-{number}")).expect("an id")
}

pub fn item(number: u32, title: Option<&str>) -> ItemRecord {
    ItemRecord {
        tags: Vec::new(),
        id: item_id(number),
        title: title.map(Into::into),
    }
}

pub fn held(item: u32, weight: f32, timestamp: Option<i64>) -> StoredInteraction {
    StoredInteraction {
        item,
        feedback: FeedbackNumber::default(),
        weight,
        timestamp,
    }
}

/// A history of `length` interactions with ascending items.
pub fn history(length: u32) -> Vec<StoredInteraction> {
    (0..length)
        .map(|n| held(3 * n, 1.0 + n as f32, (n % 2 == 0).then_some(-i64::from(n))))
        .collect()
}

pub fn header(version: u64) -> ModelHeader {
    ModelHeader {
        version,
        term: 0,
        learnt: LogPosition(version + 4),
        model: ModelConfiguration::Ials(IalsHyperparameters {
            dim: 8,
            alpha0: 0.5,
            lambda: 0.01,
            nu: 1.0,
        }),
        seed: 42,
        residual: Some(1.5e-9),
        objective: Some(123.25),
        measured_version: Some(version),
        certificate: Some(Certificate::residual(1.5e-9, 1e-8)),
        certified: None,
    }
}

/// An addition of `length` interactions of one user.
pub fn addition(of: u32, length: u32) -> Event {
    let interaction = |number| Interaction {
        feedback: Default::default(),
        user: user(of),
        item: item_id(number),
        weight: 2.5,
        timestamp: Some(i64::from(number)),
    };
    Event::Add((0..length).map(interaction).collect())
}

/// How an addition is read from the log.
pub fn added(event: Event) -> Entry {
    match event {
        Event::Add(interactions) => Entry::Add(interactions),
        Event::Erase { .. } => panic!("no addition"),
    }
}

pub fn erasure_id(number: u8) -> ErasureId {
    // Version 7, variant 1; sorts by `number` as real ids sort by time.
    ErasureId::from_bytes([0, 0, 0, 0, 0, number, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1])
}

pub fn erasure(id: ErasureId, target: ErasureTarget) -> Event {
    Event::Erase {
        id,
        accepted_at: UnixMillis::now(),
        target,
    }
}

/// Has an erasure accepted.
pub fn erase(store: &Store, number: u8, target: ErasureTarget) {
    commit(store, |batch| {
        batch.append(erasure(erasure_id(number), target));
    });
}

/// Appends an erasure, unless the same key came with the same request before.
pub fn append_once(batch: &mut WriteBatch, event: Event, idempotency: Idempotency) {
    batch.append_erasure(event, Commitment([0; 32]), Some(idempotency), None);
}

/// Where a child that is to be killed notes what it did, beside its data.
pub fn notes(directory: &Path) -> fs::File {
    let notes = fs::File::options()
        .create(true)
        .append(true)
        .open(directory.join("notes"));
    notes.expect("notes")
}

/// Where the current database of the store in `data` is.
pub fn database_directory(data: &Path) -> std::path::PathBuf {
    let current = fs::read_to_string(data.join("CURRENT")).expect("a readable CURRENT");
    let (number, _) = current.split_once(' ').expect("a number and its checksum");
    data.join("generations").join(number)
}

/// Copies a directory with everything in it.
pub fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

/// Everything that the public interface of a store shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    pub users: Vec<(u32, UserId)>,
    pub people: Vec<PersonSummary>,
    pub items: Vec<(u32, ItemRecord)>,
    pub histories: Vec<(u32, Vec<StoredInteraction>)>,
    pub factors: Vec<(u32, Vec<f64>)>,
    pub header: Option<ModelHeader>,
    pub applied: LogPosition,
    pub erasures: Vec<ErasureRecord>,
    pub log: Vec<(LogPosition, Entry)>,
    pub newest: LogPosition,
}

impl Contents {
    /// Reads everything.
    pub fn read(store: &Store) -> Result<Self, StoreError> {
        let (mut histories, mut factors) = (Vec::new(), Vec::new());
        store.visit_histories(|row, held| histories.push((row, held.to_vec())))?;
        histories.sort_unstable_by_key(|(row, _)| *row);
        store.visit_tensor(Tensor::ItemFactors, |row, values| {
            factors.push((row, values));
        })?;
        Ok(Self {
            users: store.users()?,
            people: store.persons(None, usize::MAX)?,
            items: store.items()?,
            histories,
            factors,
            header: store.model_header()?,
            applied: store.applied()?,
            erasures: store.erasures(&ErasureFilter::default(), None, usize::MAX)?,
            log: store.read_from(LogPosition(0), usize::MAX)?,
            newest: *store.watch_log().borrow(),
        })
    }
}

/// Fills a new store with some of every kind of record, in several commits, and closes it.
pub fn fill(data: &Path) -> Contents {
    let store = open(data);
    for number in 0..40 {
        commit(&store, |batch| {
            batch.put_user(number, &user(number));
            batch.put_item(
                number,
                &item(number, (number % 2 == 0).then_some("A title")),
            );
            batch.put_history(number, &history(number * 7 + 1));
            let row: Vec<f64> = (0..8).map(|n| f64::from(number * 8 + n) / 3.0).collect();
            batch.put_tensor_row(Tensor::ItemFactors, number, &row);
            batch.append(addition(number, 5));
            batch.put_properties(&user(2 * number), &properties("said"));
        });
    }
    for number in 0..10_u8 {
        let target = ErasureTarget::User(user(u32::from(number)));
        commit(&store, |batch| {
            batch.append(erasure(erasure_id(number), target))
        });
    }
    let mut record = store
        .erasure(erasure_id(3))
        .expect("readable")
        .expect("there");
    record.status = ErasureStatus::Certified;
    commit(&store, |batch| {
        batch.put_erasure(&record);
        batch.put_history(15, &history(5_000));
        batch.put_model_header(&header(3));
        batch.set_applied(LogPosition(12));
        batch.trim_log(LogPosition(12));
    });
    Contents::read(&store).expect("readable")
}
