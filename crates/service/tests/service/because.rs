//! Where the scores of a list come from.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::explanation::{item, quality, row as number, snapshot, user};
use crate::support::{Running, block_on};
use recant_service::{AsOf, RecommendQuery, Recommendations, Snapshot, Source, Subject};
use recant_testkit::convex::{ITEMS, Problem, USERS};
use recant_types::{ErasureTarget, Interaction, ItemId, UserId};

fn explained(subject: Subject, because: usize) -> RecommendQuery {
    RecommendQuery {
        exclude_seen: false,
        explain: true,
        because,
        ..RecommendQuery::new(subject, ITEMS)
    }
}

/// The shares that are told of each score, by item, and what is left of the score then.
fn told(answer: &Recommendations) -> Vec<(f64, BTreeMap<String, f64>, f64)> {
    let items = answer.items.iter().map(|scored| {
        let because = scored.because.as_ref().expect("it was asked for");
        let named = because.items.iter();
        let named: BTreeMap<_, _> = named
            .map(|said| (said.item.expose().to_owned(), said.share))
            .collect();
        assert_eq!(named.len(), because.items.len(), "each is named once");
        (f64::from(scored.score), named, because.others)
    });
    items.collect()
}

fn converged(seed: u64) -> (Problem, Snapshot) {
    let problem = Problem::random(seed, true, 1.0, 0.005).with_targets(seed);
    let model = problem.model(seed + 50, 3_000, 0.0);
    let snapshot = snapshot(&problem, &model, quality(1e-9));
    (problem, snapshot)
}

/// At a stationary point nothing is left over when all of the history is named, what was unwanted is
/// not named, and however few are named, it adds up.
#[test]
fn shares_add_up_to_the_score_and_name_what_was_wanted() {
    let mut full = 0;
    for seed in 0..6 {
        let (problem, snapshot) = converged(seed);
        for row in (0..USERS).filter(|row| !problem.matrix.user(*row as u32).is_empty()) {
            let history = problem.matrix.user(row as u32);
            let wanted: Vec<String> = history
                .iter()
                .filter(|entry| entry.target > 0.0)
                .map(|entry| item(entry.index as usize).expose().to_owned())
                .collect();
            let ask = |because| {
                let query = explained(Subject::User(user(row)), because);
                snapshot.recommend(&query, None, None)
            };
            let answer = ask(1_000);
            let whole = told(&answer);
            for ((score, shares, others), found) in whole.iter().zip(&answer.items) {
                assert!(others.abs() < 1e-5, "{others} of {score} is left over");
                assert!((score - shares.values().sum::<f64>() - others).abs() < 1e-12);
                // The row of an item that nobody wanted is zero, and so is every share of its score.
                let by = problem.matrix.item(number(&found.item) as u32);
                if by.iter().all(|entry| entry.target == 0.0) {
                    assert!(shares.is_empty(), "{shares:?}");
                    continue;
                }
                let named = shares.keys().all(|named| wanted.contains(named));
                assert!(
                    named && shares.len() == wanted.len(),
                    "{shares:?} {wanted:?}"
                );
                full += 1;
            }
            for ((score, all, _), (_, few, others)) in whole.iter().zip(told(&ask(2))) {
                assert_eq!(few.len(), all.len().min(2));
                assert!((score - few.values().sum::<f64>() - others).abs() < 1e-12);
                let least = few.values().map(|share| share.abs());
                let least = least.fold(f64::INFINITY, f64::min);
                let left_out = all.iter().filter(|(item, _)| !few.contains_key(*item));
                let mut left_out = left_out.map(|(_, share)| share.abs());
                assert!(
                    left_out.all(|share| share <= least),
                    "the largest are named"
                );
                assert!(few.iter().all(|(item, share)| all[item] == *share));
            }
        }
    }
    assert!(full > 300, "{full}");
}

#[test]
fn a_session_is_told_its_own_items_and_a_list_of_counts_nothing() {
    let (_, snapshot) = converged(3);
    let session = Subject::History(vec![item(0), item(2)]);
    let answer = snapshot.recommend(&explained(session, 5), None, None);
    assert_eq!(answer.source, Source::FoldIn);
    for (score, shares, others) in told(&answer) {
        assert!(shares.keys().eq(["item-0", "item-2"]), "{shares:?}");
        assert!(others.abs() < 1e-6 * (1.0 + score.abs()), "{others}");
    }
    let stranger = Subject::User(UserId::new("stranger").expect("an id"));
    let answer = snapshot.recommend(&explained(stranger, 5), None, None);
    assert_eq!(answer.source, Source::Popular);
    assert!(answer.items.iter().all(|found| found.because.is_none()));
}

/// What may not be named is part of what all others bring.
#[test]
fn what_may_not_be_named_is_counted_with_the_others() {
    let (problem, snapshot) = converged(4);
    let row = (0..USERS).find(|row| {
        let history = problem.matrix.user(*row as u32).iter();
        history.filter(|entry| entry.target > 0.0).count() > 2
    });
    let row = row.expect("somebody wanted three items");
    let wanted = problem.matrix.user(row as u32).iter();
    let mut wanted = wanted.filter(|entry| entry.target > 0.0);
    let kept = item(wanted.next().expect("wanted").index as usize);
    let nameable: HashSet<ItemId> = [kept.clone()].into();
    let query = explained(Subject::User(user(row)), 10);
    let all = told(&snapshot.recommend(&query, None, None));
    let some = told(&snapshot.recommend(&query, None, Some(&nameable)));
    for ((_, all, _), (score, some, others)) in all.iter().zip(some) {
        assert!(some.keys().eq([kept.expose()]));
        assert!(all.len() > 2 && (score - some[kept.expose()] - others).abs() < 1e-12);
    }
}

/// Items that are erased, one after the other, and questions that go on beside that.
const ERASED: usize = 150;

fn numbered(number: usize) -> ItemId {
    ItemId::new(&format!("{number}")).expect("an id")
}

/// Asks until everything is erased: what was acknowledged before a question is not named in its answer,
/// by whichever version, forgotten or not.
async fn ask_beside(running: &Running, acknowledged: &AtomicUsize, as_of: AsOf) -> usize {
    let person = UserId::new("person").expect("an id");
    let mut named_in_all = 0;
    loop {
        let before = acknowledged.load(Ordering::SeqCst);
        let query = RecommendQuery {
            as_of,
            ..explained(Subject::User(person.clone()), 1_000)
        };
        let answer = running.service.recommend(query).await.expect("an answer");
        let because = answer
            .items
            .iter()
            .filter_map(|found| found.because.as_ref());
        let shares = because.flat_map(|because| &because.items);
        for said in shares {
            let number: usize = said.item.expose().parse().expect("a number");
            assert!(number >= before, "{number} was erased, and named");
            named_in_all += 1;
        }
        if before == ERASED {
            return named_in_all;
        }
    }
}

#[test]
fn what_was_acknowledged_as_erased_is_named_in_no_answer_that_begins_later() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let running = Running::start(&folder.path().join("data")).await;
        let pair = |person: &str, number| Interaction {
            user: UserId::new(person).expect("an id"),
            item: numbered(number),
            feedback: Default::default(),
            weight: 1.0,
            timestamp: None,
        };
        let all = (0..=ERASED).flat_map(|number| ["person", "other"].map(|who| pair(who, number)));
        running.service.add(all.collect()).await.expect("accepted");
        running.until_certified().await;
        let acknowledged = AtomicUsize::new(0);
        let erasing = async {
            for number in 0..ERASED {
                let person = UserId::new("person").expect("an id");
                let target = match number % 2 {
                    0 => ErasureTarget::Pairs(vec![(person, numbered(number))]),
                    _ => ErasureTarget::Item(numbered(number)),
                };
                running.erase(target).await;
                acknowledged.store(number + 1, Ordering::SeqCst);
            }
        };
        let asking = [AsOf::Live, AsOf::Certified, AsOf::Live, AsOf::Certified];
        let asking = asking.map(|as_of| ask_beside(&running, &acknowledged, as_of));
        let asking = futures_util::future::join_all(asking);
        let (_, named) = futures_util::future::join(erasing, asking).await;
        assert!(named.iter().all(|count| *count > 0), "{named:?}");
        running.guard.stop().await;
    });
}
