//! Whatever was added and erased, in whatever order and with whatever restarts in between: the
//! service ends with exactly what a plain map holds, and predicts what a model would that was
//! trained on nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{
    Commits, ITEMS, Plain, Row, Running, USERS, assert_predicts_like_a_retrain, block_on, item_id,
    train_from_scratch, user_id,
};
use proptest::prelude::*;
use recant_types::{
    ERASURE_PAIRS_MAX, ErasureStatus, ErasureTarget, Interaction, ItemId, Names, UnixMillis, UserId,
};

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Row>),
    ErasePairs(Vec<(u8, u8)>),
    EraseUser(u8),
    EraseItem(u8),
    EraseSeveral(Vec<u8>, Vec<u8>, Vec<(u8, u8)>),
    Restart,
    AwaitForgotten,
    AwaitCertified,
}

fn rows(counts: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    // Of the past in any unit: what is ahead of the clock is refused before it comes to the service.
    // A number in between may be a time of long ago in one unit, and is read as one to come in another.
    let now = UnixMillis::now();
    let time = (i64::MIN..1_700_000_000_000_000_000).prop_filter("it has happened", move |time| {
        UnixMillis::from_timestamp(*time) <= now
    });
    let time = prop::option::of(time);
    let row = (0..USERS, 0..ITEMS, 1_u8..12, time);
    let row = row.prop_map(|(user, item, quarters, timestamp)| Row {
        user,
        item,
        quarters,
        timestamp,
    });
    prop::collection::vec(row, counts)
}

/// Users, items and pairs in one erasure, with any of them missing.
fn several() -> impl Strategy<Value = Step> {
    let users = prop::collection::vec(0..USERS, 0..3);
    let items = prop::collection::vec(0..ITEMS, 0..3);
    let pairs = prop::collection::vec((0..USERS, 0..ITEMS), 0..3);
    (users, items, pairs)
        .prop_filter("something is named", |(users, items, pairs)| {
            users.len() + items.len() + pairs.len() > 0
        })
        .prop_map(|(users, items, pairs)| Step::EraseSeveral(users, items, pairs))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => rows(1..2).prop_map(Step::Add),
        2 => rows(2..12).prop_map(Step::Add),
        4 => prop::collection::vec((0..USERS, 0..ITEMS), 1..4).prop_map(Step::ErasePairs),
        2 => (0..USERS).prop_map(Step::EraseUser),
        2 => (0..ITEMS).prop_map(Step::EraseItem),
        2 => several(),
        1 => Just(Step::Restart),
        1 => Just(Step::AwaitForgotten),
        1 => Just(Step::AwaitCertified),
    ]
}

/// What was erased so far: what happened before and comes again is held back.
#[derive(Debug, Default)]
struct Erased {
    pairs: BTreeSet<(u8, u8)>,
    users: BTreeSet<u8>,
    items: BTreeSet<u8>,
}

impl Erased {
    fn holds_back(&self, row: &Row) -> bool {
        let happened_at = row.timestamp.map(UnixMillis::from_timestamp);
        let before = happened_at.is_some_and(|at| at <= UnixMillis::now());
        let (user, item) = (row.user, row.item);
        before
            && (self.pairs.contains(&(user, item))
                || self.users.contains(&user)
                || self.items.contains(&item))
    }
}

async fn take(running: Running, step: &Step, plain: &mut Plain, erased: &mut Erased) -> Running {
    match step {
        Step::Add(rows) => {
            let (held_back, taken): (Vec<Row>, Vec<Row>) =
                rows.iter().partition(|row| erased.holds_back(row));
            plain.add(&taken);
            let interaction = |row: &Row| Interaction {
                feedback: Default::default(),
                user: user_id(row.user),
                item: item_id(row.item),
                weight: row.weight(),
                timestamp: row.timestamp,
            };
            let added = running
                .service
                .add(rows.iter().map(interaction).collect())
                .await;
            let added = added.expect("they are accepted");
            let counts = (added.accepted, added.held_back);
            assert_eq!(counts, (taken.len(), held_back.len()));
        }
        Step::ErasePairs(pairs) => {
            erased.pairs.extend(pairs);
            plain.0.retain(|pair, _| !pairs.contains(pair));
            let ids = pairs
                .iter()
                .map(|(user, item)| (user_id(*user), item_id(*item)));
            running.erase(ErasureTarget::Pairs(ids.collect())).await;
        }
        Step::EraseUser(user) => {
            erased.users.insert(*user);
            plain.0.retain(|(held, _), _| held != user);
            running.erase(ErasureTarget::User(user_id(*user))).await;
        }
        Step::EraseItem(item) => {
            erased.items.insert(*item);
            plain.0.retain(|(_, held), _| held != item);
            running.erase(ErasureTarget::Item(item_id(*item))).await;
        }
        Step::EraseSeveral(users, items, pairs) => {
            erased.users.extend(users);
            erased.items.extend(items);
            erased.pairs.extend(pairs);
            plain.0.retain(|(user, item), _| {
                !(users.contains(user) || items.contains(item) || pairs.contains(&(*user, *item)))
            });
            let pair = |(user, item): &(u8, u8)| (user_id(*user), item_id(*item));
            let names = Names {
                users: users.iter().map(|user| user_id(*user)).collect(),
                items: items.iter().map(|item| item_id(*item)).collect(),
                pairs: pairs.iter().map(pair).collect(),
                typed_pairs: Vec::new(),
            };
            running.erase(names.into()).await;
        }
        Step::Restart => return running.restart().await,
        Step::AwaitForgotten => drop(running.until_forgotten().await),
        Step::AwaitCertified if running.may_certify() => running.until_certified().await,
        Step::AwaitCertified => {}
    }
    running
}

/// Everything the service went through, and what must be left of it.
async fn run(
    path: &Path,
    first: Vec<Row>,
    trained: bool,
    commits: Commits,
    steps: &[Step],
) -> (Running, Plain) {
    let mut plain = Plain::default();
    plain.add(&first);
    plain.import(path);
    if trained && !plain.0.is_empty() {
        tokio::task::block_in_place(|| train_from_scratch(path));
    }
    let running = Running::start_committing(path, commits).await;
    go_on(running, plain, steps).await
}

async fn go_on(mut running: Running, mut plain: Plain, steps: &[Step]) -> (Running, Plain) {
    let mut erased = Erased::default();
    for step in steps {
        running = take(running, step, &mut plain, &mut erased).await;
    }
    (running, plain)
}

/// Whatever happens while a checkpoint is refined: it is what a service without one would hold, and the
/// next start certifies it.
async fn check_beside_a_checkpoint(first: Vec<Row>, steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("data"), folder.path().join("other"));
    let mut plain = Plain::default();
    plain.add(&first);
    plain.import(&path);
    let running = Running::start_refining(&path).await;
    let (running, plain) = go_on(running, plain, &steps).await;
    running.until_forgotten().await;
    running.assert_holds(&plain).await;
    let running = running.restart_to_certify().await;
    running.until_certified().await;
    running.assert_holds(&plain).await;
    assert_predicts_like_a_retrain(running, &plain, &other).await;
}

async fn check_content(first: Vec<Row>, trained: bool, commits: Commits, steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("data"), folder.path().join("other"));
    let (running, plain) = run(&path, first, trained, commits, &steps).await;
    running.until_forgotten().await;
    running.assert_holds(&plain).await;
    running.until_certified().await;
    running.assert_holds(&plain).await;
    running.guard.stop().await;
    plain.import(&other);
    let fresh = Running::start(&other).await;
    fresh.until_forgotten().await;
    fresh.assert_holds(&plain).await;
    fresh.guard.stop().await;
}

async fn check_scores(first: Vec<Row>, steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("data"), folder.path().join("other"));
    let (running, plain) = run(&path, first, true, Commits::Alone, &steps).await;
    running.until_certified().await;
    assert_predicts_like_a_retrain(running, &plain, &other).await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_left_is_what_a_plain_map_holds_and_what_a_fresh_import_stores(
        first in rows(0..40),
        trained in any::<bool>(),
        commits in prop_oneof![Just(Commits::Alone), Just(Commits::AsDecided)],
        steps in prop::collection::vec(step(), 1..20),
    ) {
        block_on(check_content(first, trained, commits, steps));
    }

    #[test]
    fn what_is_predicted_is_what_training_on_the_rest_predicts_within_both_bounds(
        first in rows(0..40),
        steps in prop::collection::vec(step(), 1..20),
    ) {
        block_on(check_scores(first, steps));
    }

    #[test]
    fn a_checkpoint_that_is_refined_all_the_time_changes_nothing_of_what_is_held_and_forgotten(
        first in rows(0..40),
        steps in prop::collection::vec(step(), 1..20),
    ) {
        block_on(check_beside_a_checkpoint(first, steps));
    }
}

/// As many names as one erasure may hold, in a log entry of many parts, with a restart before the
/// worker may have come to it.
#[test]
fn thousands_of_names_are_one_erasure_and_survive_a_restart() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let all = (0..USERS).flat_map(|user| (0..ITEMS).map(move |item| (user, item)));
        let rows = all.map(|(user, item)| Row {
            user,
            item,
            quarters: 4,
            timestamp: None,
        });
        let (running, mut plain) = run(&path, rows.collect(), true, Commits::AsDecided, &[]).await;
        let unknown = |number: usize| format!("unknown-{number}");
        let mut names = Names {
            users: vec![user_id(1)],
            items: (0..ERASURE_PAIRS_MAX / 2)
                .map(|number| ItemId::new(&unknown(number)).expect("an id"))
                .chain([item_id(7)])
                .collect(),
            pairs: vec![(user_id(2), item_id(3))],
            typed_pairs: Vec::new(),
        };
        while names.count() < ERASURE_PAIRS_MAX {
            let user = UserId::new(&unknown(names.count())).expect("an id");
            names.users.push(user);
        }
        plain
            .0
            .retain(|(user, item), _| *user != 1 && *item != 7 && (*user, *item) != (2, 3));
        let id = running.erase(names.into()).await;
        let running = running.restart().await;
        running.until_certified().await;
        running.assert_holds(&plain).await;
        let record = running.service.erasure(id).await.expect("readable");
        assert_eq!(record.expect("known").status, ErasureStatus::Certified);
        let running = running.restart().await;
        running.assert_holds(&plain).await;
        running.guard.stop().await;
    });
}
