//! The store loses what an erasure names when it is accepted, the trainer when it gets there: what
//! is applied in between must not lose track of what has still to go.

mod plain_support;
mod store_support;

use plain_support::hyperparameters;
use recant::event::{ErasureTarget, Event};
use recant::service::load::load;
use store_support::{addition, commit, erasure, erasure_id, item_id, open, user};

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
