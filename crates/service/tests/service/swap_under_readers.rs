//! Versions are swapped in while readers ask: every answer is of one version, and of the one that
//! it names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use recant_core::model::{Entry, Factors, Ials, InteractionMatrix, Side};
use recant_service::DirtyRows;
use recant_service::Popularity;
use recant_service::Quality;
use recant_service::RowTable;
use recant_service::Trainer;
use recant_service::{Progress, Publisher};
use recant_service::{RecommendQuery, Source, Subject};
use recant_types::{IalsHyperparameters, ItemId, UserId};

const USERS: usize = 16;
const ITEMS: usize = 700;
const DIM: usize = 24;
const VERSIONS: u64 = 150;
const READERS: usize = 3;
const K: usize = 10;

/// Items that every version changes: they are always the best.
const CHANGING: u32 = 40;

/// What each of the changing items scores in a version: halves of small whole numbers, which f32
/// holds, and up and down, so that items outgrow their place in the index and shrink again.
fn expected(version: u64, row: u32) -> f32 {
    let level = (version * 37 % 101) as f32 + 100.0;
    level - 0.5 * (row as f32 + (version % 7) as f32)
}

fn user(row: usize) -> UserId {
    UserId::new(&format!("user-{row}")).expect("an id")
}

/// Users look along the first column alone, where only the changing items are large.
fn trainer() -> Trainer {
    let hyper = IalsHyperparameters {
        dim: DIM,
        ..IalsHyperparameters::default()
    };
    let entry = |index: usize| Entry::wanted(index as u32, 1.0);
    // Every item has an interaction, and the changing ones none with the users who ask.
    let mut histories = vec![vec![entry(ITEMS - 1)]; USERS];
    histories.push((0..ITEMS).map(entry).collect());
    let matrix = InteractionMatrix::from_histories(histories, ITEMS);
    let mut users = Factors::zeros(USERS + 1, DIM);
    (0..=USERS).for_each(|row| users.row_mut(row)[0] = 1.0);
    let mut items = Factors::random(ITEMS, DIM, 1, Side::Items);
    (0..ITEMS).for_each(|row| items.row_mut(row)[0] = 0.25);
    let counts = |row: u32| matrix.item(row).len() as u32;
    let item = |row: u32| ItemId::new(&format!("{row}")).expect("an id");
    Trainer {
        feedback: Default::default(),
        unseen: Default::default(),
        item_counts: (0..ITEMS as u32).map(counts).collect(),
        popular: (0..ITEMS as u32)
            .map(|row| (row, item(row), counts(row)))
            .collect::<Popularity>(),
        activity: Default::default(),
        learner: Ials::from_factors(hyper, users, items).into(),
        seed: 1,
        users: RowTable::from_rows((0..=USERS).map(|row| (row as u32, user(row)))),
        items: RowTable::from_rows((0..ITEMS as u32).map(|row| (row, item(row)))),
        matrix,
    }
}

fn change(trainer: &mut Trainer, version: u64) -> DirtyRows {
    let mut dirty = DirtyRows::default();
    let model = trainer.learner.ials_mut().expect("implicit ALS");
    for row in 0..CHANGING {
        model.items.row_mut(row as usize)[0] = f64::from(expected(version, row));
    }
    dirty.items(&(0..CHANGING).collect::<Vec<_>>());
    dirty
}

/// Asks once and checks every number of the answer; the version it is of.
fn ask(publisher: &Publisher, at: usize) -> u64 {
    let query = RecommendQuery::new(Subject::User(user(at % USERS)), K);
    let answer = publisher.current().recommend(&query, None, None);
    assert_eq!((answer.source, answer.items.len()), (Source::Model, K));
    for (place, found) in answer.items.iter().enumerate() {
        assert_eq!(found.item.expose(), place.to_string());
        let row = place as u32;
        assert_eq!(
            found.score,
            expected(answer.model_version, row),
            "a mixture"
        );
    }
    answer.model_version
}

#[test]
fn every_answer_is_of_the_one_version_it_names() {
    let mut trainer = trainer();
    change(&mut trainer, 0);
    let first = trainer.snapshot(0, Quality::default()).expect("finite");
    let publisher = Arc::new(Publisher::new(first, Progress::default()));
    let (stop, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let reader = |number: usize| {
            let (publisher, stop, answers) = (&publisher, &stop, &answers);
            move || {
                let mut newest = 0;
                for at in number.. {
                    let is_last = stop.load(Ordering::Acquire);
                    let version = ask(publisher, at);
                    assert!(version >= newest, "time runs backwards");
                    newest = version;
                    answers.fetch_add(1, Ordering::Relaxed);
                    if is_last {
                        return newest;
                    }
                }
                newest
            }
        };
        let readers: Vec<_> = (0..READERS)
            .map(|number| scope.spawn(reader(number)))
            .collect();
        for version in 1..=VERSIONS {
            let dirty = change(&mut trainer, version);
            let previous = publisher.current();
            let published = publisher.publish(Progress::default(), || {
                trainer.snapshot_after(&previous, &dirty, version, Quality::default())
            });
            published.expect("finite");
            // Readers are seen to read in between, so that swaps do meet answers under way.
            let seen = answers.load(Ordering::Relaxed);
            while answers.load(Ordering::Relaxed) < seen + 2 {
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::Release);
        for reader in readers {
            assert_eq!(reader.join().expect("no mixture"), VERSIONS);
        }
    });
}
