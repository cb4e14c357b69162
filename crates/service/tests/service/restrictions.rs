//! Whoever is restricted is for the model, and for everything that is made of it, as if there were
//! nothing of them; and back, with all that came meanwhile, when the restriction ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    Content, ITEMS, Plain, Row, Running, USERS, assert_illegible, assert_predicts_like_a_retrain,
    block_on, item_id, train_from_scratch, user_id,
};
use proptest::prelude::*;
use recant_service::{ListKind, ListQuery, RecommendQuery, Selection, Source, Subject};
use recant_types::{ErasureRecord, ErasureStatus, ErasureTarget, Interaction, TargetKind};

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Row>),
    EraseUser(u8),
    ErasePairs(Vec<(u8, u8)>),
    EraseItem(u8),
    Restrict(Vec<u8>),
    Lift(Vec<u8>),
    Restart,
    AwaitForgotten,
    AwaitCertified,
}

/// Rows without a time: they are newer than every erasure.
fn rows(counts: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    let row = (0..USERS, 0..ITEMS, 1_u8..12);
    let row = row.prop_map(|(user, item, quarters)| Row {
        user,
        item,
        quarters,
        timestamp: None,
    });
    prop::collection::vec(row, counts)
}

fn step() -> impl Strategy<Value = Step> {
    let users = || prop::collection::vec(0..USERS, 1..3);
    prop_oneof![
        6 => rows(1..8).prop_map(Step::Add),
        1 => (0..USERS).prop_map(Step::EraseUser),
        2 => prop::collection::vec((0..USERS, 0..ITEMS), 1..4).prop_map(Step::ErasePairs),
        1 => (0..ITEMS).prop_map(Step::EraseItem),
        6 => users().prop_map(Step::Restrict),
        4 => users().prop_map(Step::Lift),
        1 => Just(Step::Restart),
        1 => Just(Step::AwaitForgotten),
        1 => Just(Step::AwaitCertified),
    ]
}

/// Everything that is held, and whose is kept.
#[derive(Debug, Default)]
struct Held {
    all: Plain,
    restricted: BTreeSet<u8>,
}

impl Held {
    /// What is processed.
    fn processed(&self) -> Plain {
        let mut processed = self.all.clone();
        processed
            .0
            .retain(|(user, _), _| !self.restricted.contains(user));
        processed
    }

    /// What is held of a user, by the ids of items.
    fn of(&self, user: u8) -> BTreeMap<String, f32> {
        let of_user = self.all.0.iter().filter(|((held, _), _)| *held == user);
        let by_id = of_user.map(|((_, item), (weight, _))| (item_id(*item), *weight));
        by_id
            .map(|(item, weight)| (item.expose().to_owned(), weight))
            .collect()
    }
}

async fn add(running: &Running, rows: &[Row]) {
    let interaction = |row: &Row| Interaction {
        feedback: Default::default(),
        user: user_id(row.user),
        item: item_id(row.item),
        weight: row.weight(),
        timestamp: row.timestamp,
    };
    let added = running.service.add(rows.iter().map(interaction).collect());
    let added = added.await.expect("they are accepted");
    assert_eq!((added.accepted, added.held_back), (rows.len(), 0));
}

async fn restrict(running: &Running, users: &[u8]) -> ErasureRecord {
    let users = users.iter().map(|user| user_id(*user)).collect();
    let accepted = running
        .service
        .erase(ErasureTarget::Restriction(users), None);
    accepted.await.expect("accepted").record
}

async fn lift(running: &Running, users: &[u8]) {
    let users = users.iter().map(|user| user_id(*user)).collect();
    running
        .service
        .lift_restrictions(users)
        .await
        .expect("accepted");
}

async fn take(running: Running, step: &Step, held: &mut Held) -> Running {
    match step {
        Step::Add(rows) => {
            held.all.add(rows);
            add(&running, rows).await;
        }
        Step::EraseUser(user) => {
            held.all.0.retain(|(of, _), _| of != user);
            held.restricted.remove(user);
            running.erase(ErasureTarget::User(user_id(*user))).await;
        }
        Step::ErasePairs(pairs) => {
            held.all.0.retain(|pair, _| !pairs.contains(pair));
            let ids = pairs
                .iter()
                .map(|(user, item)| (user_id(*user), item_id(*item)));
            running.erase(ErasureTarget::Pairs(ids.collect())).await;
        }
        Step::EraseItem(item) => {
            held.all.0.retain(|(_, of), _| of != item);
            running.erase(ErasureTarget::Item(item_id(*item))).await;
        }
        Step::Restrict(users) => {
            held.restricted.extend(users);
            restrict(&running, users).await;
        }
        Step::Lift(users) => {
            held.restricted.retain(|user| !users.contains(user));
            lift(&running, users).await;
        }
        Step::Restart => return running.restart().await,
        Step::AwaitForgotten => drop(running.until_forgotten().await),
        Step::AwaitCertified => running.until_certified().await,
    }
    running
}

async fn popular(running: &Running) -> BTreeMap<String, f64> {
    let query = ListQuery {
        kind: ListKind::Popular,
        window: None,
        k: usize::from(ITEMS),
        offset: 0,
        user: None,
        selection: Selection::default(),
    };
    let list = running.service.list(query).await.expect("a list");
    let items = list.items.into_iter();
    items
        .map(|listed| (listed.item.expose().to_owned(), listed.score))
        .collect()
}

/// Everything that the service shows knows of nobody who is restricted, but for what their person and the
/// operator are shown.
async fn assert_holds(running: &Running, held: &Held) {
    let processed = held.processed();
    assert_eq!(Content::of(&running.store), processed.content());
    let model = running.service.model();
    let counts = (
        processed.users().len(),
        processed.items().len(),
        processed.0.len(),
    );
    assert_eq!((model.users, model.items, model.interactions), counts);
    let mut counted: BTreeMap<String, f64> = BTreeMap::new();
    for (_, item) in processed.0.keys() {
        *counted
            .entry(item_id(*item).expose().to_owned())
            .or_default() += 1.0;
    }
    assert_eq!(popular(running).await, counted);
    for user in 0..USERS {
        let id = user_id(user);
        let exported = running
            .service
            .export(&id)
            .await
            .expect("readable")
            .into_iter();
        let exported = exported.map(|row| (row.item.expose().to_owned(), row.weight));
        assert_eq!(exported.collect::<BTreeMap<_, _>>(), held.of(user));
        let is_restricted = held.restricted.contains(&user);
        let known = running.service.processed(&id).await.expect("readable");
        assert_eq!(
            known.len(),
            if is_restricted {
                0
            } else {
                held.of(user).len()
            }
        );
        let person = running.service.user(&id).await.expect("readable");
        let expected = (is_restricted || !held.of(user).is_empty())
            .then(|| (is_restricted, held.of(user).len()));
        assert_eq!(person.map(|of| (of.restricted, of.interactions)), expected);
        assert_answered(running, user, processed.users().contains(&user)).await;
    }
    for item in 0..ITEMS {
        let people = running
            .service
            .people_with(&item_id(item), 100)
            .await
            .expect("found");
        let people: BTreeSet<_> = people.iter().map(|user| user.expose().to_owned()).collect();
        let pairs = processed.0.keys().filter(|(_, of)| *of == item);
        let expected = pairs.map(|(user, _)| user_id(*user).expose().to_owned());
        assert_eq!(people, expected.collect());
    }
}

/// Somebody who is not known to the model is answered like anybody unknown, whatever they have.
async fn assert_answered(running: &Running, user: u8, is_known: bool) {
    let ask = |subject| {
        let query = RecommendQuery::new(Subject::User(subject), usize::from(ITEMS));
        running.service.recommend(query)
    };
    let answer = ask(user_id(user)).await.expect("an answer");
    if is_known {
        assert_eq!(answer.source, Source::Model);
        return;
    }
    assert_eq!(answer.source, Source::Popular);
    let stranger = recant_types::UserId::new("stranger").expect("an id");
    let expected = ask(stranger).await.expect("an answer").items;
    let items = |items: Vec<recant_service::ScoredItem>| {
        let ids = items.into_iter().map(|it| it.item.expose().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(items(answer.items), items(expected));
}

async fn check(first: Vec<Row>, steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("data"), folder.path().join("other"));
    let mut held = Held::default();
    held.all.add(&first);
    held.all.import(&path);
    if !held.all.0.is_empty() {
        tokio::task::block_in_place(|| train_from_scratch(&path));
    }
    let mut running = Running::start(&path).await;
    for step in &steps {
        running = take(running, step, &mut held).await;
    }
    running.until_certified().await;
    assert_holds(&running, &held).await;
    let running = running.restart().await;
    running.until_certified().await;
    assert_holds(&running, &held).await;
    assert_predicts_like_a_retrain(running, &held.processed(), &other).await;
    assert_illegible(&path);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_model_is_that_of_a_retrain_without_those_who_are_restricted(
        first in rows(0..40),
        steps in prop::collection::vec(step(), 1..16),
    ) {
        block_on(check(first, steps));
    }
}

/// Its record says that nothing was erased, and a repetition changes nothing, known or not.
#[test]
fn a_restriction_is_followed_to_its_certificate_and_is_no_erasure() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let mut held = Held::default();
        let all = (0..USERS).flat_map(|user| (0..ITEMS).map(move |item| (user, item)));
        let rows = all
            .filter(|(user, item)| (user + 2 * item) % 3 > 0)
            .map(|(user, item)| Row {
                user,
                item,
                quarters: 4,
                timestamp: None,
            });
        held.all.add(&rows.collect::<Vec<_>>());
        held.all.import(&path);
        tokio::task::block_in_place(|| train_from_scratch(&path));
        let running = Running::start(&path).await;
        // One who is known, the same again, and one who is not.
        for user in [1, 1, 200] {
            let accepted = restrict(&running, &[user]).await;
            assert_eq!(accepted.kind, TargetKind::Restriction);
            let certified = running.certified(accepted.id).await;
            assert_eq!(certified.status, ErasureStatus::Certified);
            assert!(certified.is_restriction() && certified.certificate.is_some());
        }
        held.restricted.insert(1);
        assert_holds(&running, &held).await;
        // The items of nobody else are gone with the person, and back with them.
        let only = [Row {
            user: 1,
            item: 0,
            quarters: 3,
            timestamp: Some(1_700_000_000),
        }];
        held.all.add(&only);
        add(&running, &only).await;
        for user in (0..USERS).filter(|user| *user != 1) {
            held.all.0.remove(&(user, 0));
            running
                .erase(ErasureTarget::Pairs(vec![(user_id(user), item_id(0))]))
                .await;
        }
        running.until_certified().await;
        assert_holds(&running, &held).await;
        for _ in 0..2 {
            lift(&running, &[1, 200]).await;
        }
        held.restricted.clear();
        running.until_certified().await;
        assert_holds(&running, &held).await;
        let other = folder.path().join("other");
        assert_predicts_like_a_retrain(running, &held.processed(), &other).await;
    });
}
