//! The store loses what an erasure names when it is accepted, the trainer when it gets there: what
//! is applied in between must not lose track of what has still to go.

use crate::support::{Plain, Row, Running, block_on, hyperparameters, train_from_scratch, user_id};
use recant_service::load;
use recant_store::{Store, StoreOptions, WriteBatch};
use recant_testkit::store::{addition, commit, erasure, erasure_id, item_id, open, user};
use recant_types::{ErasureTarget, Event};

#[test]
fn a_user_erased_ahead_of_the_trainer_leaves_the_matrix_when_the_trainer_gets_there() {
    for before in [
        ErasureTarget::Pairs(vec![(user(5), item_id(9))]),
        ErasureTarget::Pairs(vec![(user(5), item_id(0))]),
        ErasureTarget::Item(item_id(1)),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        let mut trainer = load(&store, hyperparameters(), 1)
            .expect("readable")
            .trainer;
        let added = [addition(5, 3), addition(6, 2)];
        let mut learn = |events: Vec<Event>| {
            let applied = trainer.apply(&store, events).expect("readable");
            store.commit(applied.batch).wait().expect("durable");
            trainer.matrix.interactions()
        };
        assert_eq!(learn(added.to_vec()), 5);
        // Accepted, and not read by the trainer yet.
        let whole = ErasureTarget::User(user(5));
        commit(&store, |batch| {
            batch.append(erasure(erasure_id(2), whole.clone()));
        });
        learn(vec![erasure(erasure_id(1), before.clone())]);
        let left = learn(vec![erasure(erasure_id(2), whole)]);
        let of_the_other = if matches!(before, ErasureTarget::Item(_)) {
            1
        } else {
            2
        };
        assert_eq!(left, of_the_other, "{before:?}");
    }
}

/// An item that has a title stays known without interactions; what the model learnt of it must not.
#[test]
fn an_erasure_from_before_the_trainer_was_loaded_takes_the_factors_of_a_titled_item() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plain = Plain::default();
    // Item 0 has a title, and one user.
    plain.add(&[row(1, 0), row(2, 4)]);
    plain.import(folder.path());
    train_from_scratch(folder.path());
    let store = Store::open(folder.path(), &StoreOptions::default()).expect("a store");
    let mut batch = WriteBatch::default();
    batch.append(erasure(erasure_id(1), ErasureTarget::User(user_id(1))));
    store.commit(batch).wait().expect("accepted");
    drop(store);
    plain.0.retain(|(user, _), _| *user != 1);
    block_on(async {
        let running = Running::start(folder.path()).await;
        running.until_forgotten().await;
        running.assert_holds(&plain).await;
        running.guard.stop().await;
    });
}

fn row(user: u8, item: u8) -> Row {
    Row {
        user,
        item,
        quarters: 4,
        timestamp: None,
    }
}
