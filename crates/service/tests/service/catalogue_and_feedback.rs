//! Whatever was said about items, done in feedback of several types and erased, in whatever order and
//! with whatever restarts in between: the records, the lists and, within what is certified, the scores
//! are those of a service that was given nothing but what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use recant_service::{
    Expression, ListKind, ListQuery, RecommendQuery, Selection, Service, Subject,
};
use recant_store::ImportSession;
use recant_testkit::store::{FEEDBACK, feedback, options};
use recant_types::{
    DescriptionPatch, ErasureTarget, Interaction, ItemDescription, PropertyValue, TypedPair,
    UnixMillis, takes_the_place,
};

use crate::support::{
    ITEMS, ROUNDING, Running, USERS, block_on, item_id, proven, train_from_scratch, user_id,
};

const HOUR: i64 = 60 * 60;

/// User, item and number of a type of feedback.
type Key = (u8, u8, u8);

#[derive(Debug, Clone, Copy)]
struct Row {
    key: Key,
    weight: u8,
    hours_ago: Option<u8>,
}

/// What is said about an item.
#[derive(Debug, Clone, Copy)]
struct Said {
    tag: Option<u8>,
    number: Option<i8>,
    hours_ago: Option<u8>,
    hidden: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Row>),
    Describe(u8, Said),
    /// Makes an item that is described already (not) hidden, of another number or of none.
    Change(u8, bool, Option<i8>),
    EraseUser(u8),
    /// And what is said about it.
    EraseItem(u8, bool),
    ErasePair(u8, u8),
    EraseTyped(Key),
    Restart,
    AwaitForgotten,
}

fn number() -> impl Strategy<Value = Option<i8>> {
    prop::option::of(-3..4_i8)
}

fn said() -> impl Strategy<Value = Said> {
    let said = (
        prop::option::of(0..2_u8),
        number(),
        prop::option::of(0..200_u8),
        prop::bool::weighted(0.2),
    );
    said.prop_map(|(tag, number, hours_ago, hidden)| Said {
        tag,
        number,
        hours_ago,
        hidden,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let key = || (0..USERS, 0..ITEMS, 0..FEEDBACK.len() as u8);
    let row = (key(), 1..9_u8, prop::option::weighted(0.8, 0..200_u8));
    let row = row.prop_map(|(key, weight, hours_ago)| Row {
        key,
        weight,
        hours_ago,
    });
    prop_oneof![
        8 => prop::collection::vec(row, 1..8).prop_map(Step::Add),
        4 => (0..ITEMS + 2, said()).prop_map(|(item, said)| Step::Describe(item, said)),
        2 => (0..ITEMS, any::<bool>(), number()).prop_map(|(i, h, n)| Step::Change(i, h, n)),
        1 => (0..USERS).prop_map(Step::EraseUser),
        1 => (0..ITEMS, any::<bool>()).prop_map(|(item, all)| Step::EraseItem(item, all)),
        2 => (0..USERS, 0..ITEMS).prop_map(|(user, item)| Step::ErasePair(user, item)),
        2 => key().prop_map(Step::EraseTyped),
        1 => Just(Step::Restart),
        1 => Just(Step::AwaitForgotten),
    ]
}

/// What must be left.
struct Plain {
    /// When it began, in seconds; times are counted back from here.
    began: i64,
    events: BTreeMap<Key, (f32, Option<i64>)>,
    said: BTreeMap<u8, ItemDescription>,
    users: BTreeSet<u8>,
    items: BTreeSet<u8>,
    pairs: BTreeSet<(u8, u8)>,
    keys: BTreeSet<Key>,
}

impl Plain {
    fn new() -> Self {
        Self {
            began: UnixMillis::now().0 / 1_000,
            events: BTreeMap::new(),
            said: BTreeMap::new(),
            users: BTreeSet::new(),
            items: BTreeSet::new(),
            pairs: BTreeSet::new(),
            keys: BTreeSet::new(),
        }
    }

    fn time(&self, hours_ago: Option<u8>) -> Option<i64> {
        hours_ago.map(|hours| self.began - i64::from(hours) * HOUR)
    }

    fn interaction(&self, row: &Row) -> Interaction {
        let (user, item, number) = row.key;
        Interaction {
            user: user_id(user),
            item: item_id(item),
            feedback: feedback(number),
            weight: f32::from(row.weight),
            timestamp: self.time(row.hours_ago),
        }
    }

    fn add(&mut self, row: &Row) {
        let (user, item, number) = row.key;
        let is_named = self.users.contains(&user)
            || self.items.contains(&item)
            || self.pairs.contains(&(user, item))
            || self.keys.contains(&row.key);
        if is_named && row.hours_ago.is_some() {
            return;
        }
        let (new, time) = (f32::from(row.weight), self.time(row.hours_ago));
        let held = self.events.get(&row.key).copied();
        let is_newest = held.is_none_or(|(_, held)| takes_the_place(time, held));
        let together = match (number, held) {
            (1, Some((held, _))) => held + new,
            (2, Some((held, _))) => held.max(new),
            (_, Some((held, _))) if !is_newest => held,
            _ => new,
        };
        let newest = if is_newest {
            time
        } else {
            held.and_then(|held| held.1)
        };
        self.events.insert(row.key, (together, newest));
    }

    fn describe(&self, item: u8, said: Said) -> ItemDescription {
        let mut description = ItemDescription::of(item_id(item));
        description.title = Some(Arc::from(format!("The title of {item}")));
        description.set_tags(said.tag.map(|tag| Arc::from(format!("tag-{tag}"))));
        if let Some(number) = said.number {
            let number = PropertyValue::Number(f64::from(number));
            description.properties.insert(Arc::from("n"), number);
        }
        description.timestamp = self.time(said.hours_ago);
        description.hidden = said.hidden;
        description
    }

    fn erase(&mut self, is_named: impl Fn(&Key) -> bool) {
        self.events.retain(|key, _| !is_named(key));
    }

    /// The same in a store of its own.
    fn import(&self, path: &Path) {
        let session = ImportSession::begin(path, &options()).expect("a store");
        let mut writer = session.writer().expect("a writer");
        for ((user, item, number), (weight, time)) in &self.events {
            let (user, item) = (user_id(*user), item_id(*item));
            let number = writer.feedback_number(&feedback(*number)).expect("a type");
            writer
                .push_typed(number, user.expose(), item.expose(), *weight, *time)
                .expect("a row is taken");
        }
        for said in self.said.values() {
            let patch = DescriptionPatch {
                title: Some(said.title.clone()),
                tags: Some(said.tags.clone()),
                properties: said
                    .properties
                    .iter()
                    .map(|(name, value)| (name.clone(), Some(value.clone())))
                    .collect(),
                timestamp: Some(said.timestamp),
                hidden: Some(said.hidden),
                ..DescriptionPatch::default()
            };
            writer.describe(said.id.expose(), &patch).expect("taken");
        }
        writer.finish().expect("all of it is stored");
    }
}

async fn take(running: Running, step: &Step, plain: &mut Plain) -> Running {
    match step {
        Step::Add(rows) => {
            let all = rows.iter().map(|row| plain.interaction(row)).collect();
            running.service.add(all).await.expect("accepted");
            rows.iter().for_each(|row| plain.add(row));
        }
        Step::Describe(item, said) => {
            let said = plain.describe(*item, *said);
            running
                .service
                .describe(vec![said.clone()])
                .await
                .expect("taken");
            plain.said.insert(*item, said);
        }
        Step::Change(item, hidden, number) => {
            let Some(said) = plain.said.get_mut(item) else {
                return running;
            };
            let value = number.map(|number| PropertyValue::Number(f64::from(number)));
            let patch = DescriptionPatch {
                hidden: Some(*hidden),
                properties: BTreeMap::from([(Arc::from("n"), value)]),
                ..DescriptionPatch::default()
            };
            patch.apply(said);
            let now = running.service.redescribe(item_id(*item), patch).await;
            assert_eq!(*now.expect("taken"), *said);
        }
        Step::EraseUser(user) => {
            running.erase(ErasureTarget::User(user_id(*user))).await;
            plain.users.insert(*user);
            plain.erase(|key| key.0 == *user);
        }
        Step::EraseItem(item, all) => {
            let id = item_id(*item);
            if *all {
                let accepted = running.service.erase_item_for(None, id, None).await;
                accepted.expect("accepted");
                plain.said.remove(item);
            } else {
                running.erase(ErasureTarget::Item(id)).await;
            }
            plain.items.insert(*item);
            plain.erase(|key| key.1 == *item);
        }
        Step::ErasePair(user, item) => {
            let pair = (user_id(*user), item_id(*item));
            running.erase(ErasureTarget::Pairs(vec![pair])).await;
            plain.pairs.insert((*user, *item));
            plain.erase(|key| (key.0, key.1) == (*user, *item));
        }
        Step::EraseTyped(key) => {
            let pair = TypedPair {
                user: user_id(key.0),
                item: item_id(key.1),
                feedback: feedback(key.2),
            };
            running.erase(ErasureTarget::TypedPairs(vec![pair])).await;
            plain.keys.insert(*key);
            plain.erase(|held| held == key);
        }
        Step::Restart => return running.restart().await,
        Step::AwaitForgotten => drop(running.until_forgotten().await),
    }
    running
}

/// What each person has done, and what is said about each item.
async fn assert_records(service: &Service, plain: &Plain) {
    let mut held = BTreeMap::new();
    for user in 0..USERS {
        let exported = service.export(&user_id(user)).await.expect("readable");
        for event in exported {
            let item = (0..ITEMS).find(|item| item_id(*item) == event.item);
            let number = (0..3).find(|number| feedback(*number) == event.feedback);
            let key = (user, item.expect("known"), number.expect("known"));
            held.insert(key, (event.weight, event.timestamp));
        }
    }
    assert_eq!(held, plain.events);
    for item in 0..ITEMS + 2 {
        let said = service.item(&item_id(item));
        let known = plain.events.keys().any(|key| key.1 == item);
        let bare = known.then(|| ItemDescription::of(item_id(item)));
        let expected = plain.said.get(&item).cloned().or(bare);
        assert_eq!(said.as_deref(), expected.as_ref());
    }
}

/// Every kind of list, by window, selection and for a user, each as the items with what they count.
async fn lists(service: &Service) -> Vec<(ListQuery, BTreeMap<String, f64>)> {
    let filtered = Selection {
        filter: Some(Expression::compile("properties.n > 0").expect("an expression")),
        ..Selection::default()
    };
    let tagged = Selection {
        tags: vec!["tag-0".into()],
        tags_none: vec!["tag-1".into()],
        ..Selection::default()
    };
    let half_life = Duration::from_secs(24 * 60 * 60);
    let mut lists = Vec::new();
    for kind in [
        ListKind::Popular,
        ListKind::Trending { half_life },
        ListKind::Latest,
    ] {
        for window in [None, Some(Duration::from_secs(48 * 60 * 60))] {
            for selection in [&Selection::default(), &filtered, &tagged] {
                for user in [None, Some(user_id(0))] {
                    let query = ListQuery {
                        kind,
                        window,
                        k: 100,
                        offset: 0,
                        user,
                        selection: selection.clone(),
                    };
                    let list = service.list(query.clone()).await.expect("a list").items;
                    assert!(list.is_sorted_by(|a, b| a.score >= b.score), "{list:?}");
                    let count = |listed: &recant_service::ListedItem| {
                        (listed.item.expose().to_owned(), listed.score)
                    };
                    lists.push((query, list.iter().map(count).collect()));
                }
            }
        }
    }
    lists
}

/// The lists of both services, made within one hour: windows are whole hours.
async fn assert_same_lists(one: &Service, other: &Service) {
    let hour = || UnixMillis::now().0 / 1_000 / HOUR;
    let (one, other) = loop {
        let began = hour();
        let both = (lists(one).await, lists(other).await);
        if hour() == began {
            break both;
        }
    };
    for ((query, found), (_, expected)) in one.into_iter().zip(other) {
        let same_items = found.keys().eq(expected.keys());
        assert!(same_items, "{query:?}: {found:?} and not {expected:?}");
        for (score, expected) in found.values().zip(expected.values()) {
            // What is on the rise comes to less while the other list is made.
            let close = (score - expected).abs() <= 1e-3 * expected.abs();
            assert!(close, "{query:?}: {score} and not {expected}");
        }
    }
}

/// The scores of all items, to all who have something.
async fn scores(service: &Service, plain: &Plain) -> BTreeMap<(u8, String), f32> {
    let users: BTreeSet<u8> = plain.events.keys().map(|key| key.0).collect();
    let mut scores = BTreeMap::new();
    for user in users {
        let query = RecommendQuery {
            exclude_seen: false,
            ..RecommendQuery::new(Subject::User(user_id(user)), usize::from(ITEMS))
        };
        let found = service.recommend(query).await.expect("an answer").items;
        let scored = found.into_iter();
        scores.extend(scored.map(|found| ((user, found.item.expose().to_owned()), found.score)));
    }
    scores
}

async fn check(steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plain = Plain::new();
    let mut running = Running::start(&folder.path().join("data")).await;
    for step in &steps {
        running = take(running, step, &mut plain).await;
    }
    running.until_certified().await;
    assert_records(&running.service, &plain).await;

    let other = folder.path().join("other");
    plain.import(&other);
    if !plain.events.is_empty() {
        tokio::task::block_in_place(|| train_from_scratch(&other));
    }
    let fresh = Running::start(&other).await;
    fresh.until_certified().await;
    assert_records(&fresh.service, &plain).await;
    assert_same_lists(&running.service, &fresh.service).await;
    if !plain.events.is_empty() {
        let bound = [&running, &fresh].map(|service| proven(&service.service.model()));
        let bound = bound[0] + bound[1] + ROUNDING;
        let found = scores(&running.service, &plain).await;
        let expected = scores(&fresh.service, &plain).await;
        assert!(found.keys().eq(expected.keys()));
        for (score, expected) in found.values().zip(expected.values()) {
            let apart = f64::from((score - expected).abs());
            assert!(apart <= bound, "{apart} apart; bound {bound}");
        }
    }

    // A restart changes none of it.
    let running = running.restart().await;
    assert_records(&running.service, &plain).await;
    assert_same_lists(&running.service, &fresh.service).await;
    running.guard.stop().await;
    fresh.guard.stop().await;
}

/// Puts and changes items from several tasks at once, each task in its order; what is shown then is
/// what the store holds.
async fn check_at_once(of_tasks: Vec<Vec<(u8, Said)>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(&folder.path().join("data")).await;
    let plain = Plain::new();
    let tasks = of_tasks.iter().map(|orders| {
        let service = running.service.clone();
        let orders: Vec<ItemDescription> = orders
            .iter()
            .map(|(item, said)| plain.describe(*item, *said))
            .collect();
        tokio::spawn(async move {
            for said in orders {
                let patch = DescriptionPatch {
                    hidden: Some(!said.hidden),
                    ..DescriptionPatch::default()
                };
                let id = said.id.clone();
                service.describe(vec![said]).await.expect("taken");
                service.redescribe(id, patch).await.expect("it is there");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let said = |running: &Running| {
        let items = (0..ITEMS + 2).map(|item| running.service.item(&item_id(item)));
        items.collect::<Vec<_>>()
    };
    let live = said(&running);
    let named: BTreeSet<u8> = of_tasks.iter().flatten().map(|(item, _)| *item).collect();
    assert_eq!(live.iter().flatten().count(), named.len());
    let running = running.restart().await;
    assert_eq!(said(&running), live);
    running.guard.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_left_is_what_a_service_has_that_was_given_nothing_else(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        block_on(check(steps));
    }

    #[test]
    fn what_many_say_at_once_is_shown_as_it_is_stored(
        of_tasks in prop::collection::vec(prop::collection::vec((0..3_u8, said()), 1..12), 2..6),
    ) {
        block_on(check_at_once(of_tasks));
    }
}
