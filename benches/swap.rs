//! From the trainer to the live version: what making and swapping in a version costs by the number
//! of users that did not change.
//!
//! `cargo bench --bench swap`

mod support;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Entry, Factors, Ials, InteractionMatrix, Side};
use recant_service::DirtyRows;
use recant_service::Quality;
use recant_service::RowTable;
use recant_service::Trainer;
use recant_service::{Progress, Publisher};
use recant_types::{IalsHyperparameters, ItemId, UserId};
use support::table::{Table, Times, shown};

const ITEMS: usize = 10_000;
const PAIRS_PER_USER: usize = 4;
const CHANGED_USERS: usize = 50;
const CHANGED_ITEMS: usize = 200;
const SWAPS: usize = 500;

/// A trainer of random factors: swapping does not care what they mean.
fn trainer(users: usize) -> Trainer {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let mut history = || {
        let entry = |_| Entry::wanted(random.random_range(0..ITEMS as u32), 1.0);
        (0..PAIRS_PER_USER).map(entry).collect()
    };
    let histories = (0..users).map(|_| history()).collect();
    let matrix = InteractionMatrix::from_histories(histories, ITEMS);
    let hyper = IalsHyperparameters::default();
    let model = Ials::from_factors(
        hyper,
        Factors::random(users, hyper.dim, 1, Side::Users),
        Factors::random(ITEMS, hyper.dim, 1, Side::Items),
    );
    let user = |row| UserId::new(&format!("user-{row}")).expect("an id");
    let item = |row| ItemId::new(&format!("item-{row}")).expect("an id");
    Trainer {
        feedback: Default::default(),
        unseen: Default::default(),
        popular: (0..ITEMS as u32)
            .map(|row| (row, item(row), matrix.item(row).len() as u32))
            .collect(),
        activity: Default::default(),
        item_counts: (0..ITEMS as u32)
            .map(|row| matrix.item(row).len() as u32)
            .collect(),
        matrix,
        learner: model.into(),
        seed: 1,
        users: RowTable::from_rows((0..users as u32).map(|row| (row, user(row)))),
        items: RowTable::from_rows((0..ITEMS as u32).map(|row| (row, item(row)))),
    }
}

/// Changes the data of one user and says which rows an update would have changed, spread over all.
fn change(trainer: &mut Trainer, random: &mut ChaCha12Rng) -> DirtyRows {
    let users = trainer.matrix.user_rows() as u32;
    let mut dirty = DirtyRows::default();
    let changed: Vec<u32> = (0..CHANGED_USERS)
        .map(|_| random.random_range(0..users))
        .collect();
    let model = trainer.learner.ials_mut().expect("implicit ALS");
    for user in &changed {
        model.users.row_mut(*user as usize)[0] += 1e-3;
    }
    dirty.users(&changed);
    let items: Vec<u32> = (0..CHANGED_ITEMS)
        .map(|_| random.random_range(0..ITEMS as u32))
        .collect();
    for item in &items {
        model.items.row_mut(*item as usize)[0] += 1e-3;
    }
    dirty.items(&items);
    trainer
        .matrix
        .insert(changed[0], Entry::wanted(items[0], 1.0));
    let count = trainer.matrix.item(items[0]).len() as u32;
    trainer.item_counts.set(items[0] as usize, count);
    let id = trainer.items.directory().id(items[0]);
    trainer.popular.set_count(items[0], id, count);
    dirty
}

fn main() {
    println!(
        "a new version with {CHANGED_USERS} changed users and {CHANGED_ITEMS} changed items of \
         {ITEMS}, d = {}, {SWAPS} swaps",
        IalsHyperparameters::default().dim
    );
    let mut table = Table::new(&["users", "median", "p95", "largest", "whole snapshot"]);
    for users in [10_000, 100_000, 1_000_000] {
        let mut trainer = trainer(users);
        let mut random = ChaCha12Rng::seed_from_u64(2);
        let first = trainer.snapshot(0, Quality::default()).expect("finite");
        let publisher = Publisher::new(first, Progress::default());
        let mut times = Times::default();
        for version in 1..=SWAPS as u64 {
            let dirty = change(&mut trainer, &mut random);
            // As in the service, the version before is still held while the next one is made.
            let previous = publisher.current();
            let started = std::time::Instant::now();
            let published = publisher.publish(Progress::default(), || {
                trainer.snapshot_after(&previous, &dirty, version, Quality::default())
            });
            published.expect("finite");
            drop(previous);
            times.push(started.elapsed());
        }
        let whole = Times::of(3, || {
            std::hint::black_box(trainer.snapshot(0, Quality::default())).expect("finite");
        });
        table.row(vec![
            users.to_string(),
            shown(times.median()),
            shown(times.percentile(95)),
            shown(times.percentile(100)),
            shown(whole.median()),
        ]);
    }
    table.print();
}
