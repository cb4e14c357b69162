//! Lists with boosts, pins and diversity, against all scores sorted by hand.

use proptest::prelude::*;

use crate::explanation::{item, quality, row, snapshot, sorted, truth, user};
use recant_core::unlearn::{GapOptions, duality_gap};
use recant_service::{
    Arrangement, Reason, RecommendQuery, Recommendations, Selection, Snapshot, Subject,
};
use recant_testkit::convex::{ITEMS, Problem, USERS};
use recant_types::{ItemId, UserId};

fn scores(answer: &Recommendations) -> Vec<(usize, f32)> {
    let scored = answer.items.iter();
    scored
        .map(|found| (row(&found.item), found.score))
        .collect()
}

/// What an arranged list must be, from the whole list as it is without: every score with its boost, all
/// sorted, and what is pinned before the rest.
fn by_hand(whole: &[(usize, f32)], boosts: &[(usize, f64)], pins: &[usize]) -> Vec<(usize, f32)> {
    let boosted = |(row, score): &(usize, f32)| {
        let boost = boosts.iter().find(|(boosted, _)| boosted == row);
        let boost = boost.map_or(0.0, |(_, boost)| *boost);
        (*row, (f64::from(*score) + boost) as f32)
    };
    let mut all: Vec<(usize, f32)> = whole.iter().map(boosted).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| item(a.0).cmp(&item(b.0))));
    let pinned = |pin: &usize| all.iter().find(|(row, _)| row == pin).copied();
    let mut list: Vec<(usize, f32)> = pins.iter().filter_map(pinned).collect();
    list.extend(all.iter().filter(|(row, _)| !pins.contains(row)));
    list
}

fn subjects() -> impl Strategy<Value = Subject> {
    prop_oneof![
        (0..USERS).prop_map(|row| Subject::User(user(row))),
        prop::collection::vec(0..ITEMS, 1..4)
            .prop_map(|rows| Subject::History(rows.into_iter().map(item).collect())),
        Just(Subject::User(UserId::new("stranger").expect("an id"))),
    ]
}

/// Rows in some order, and one that there is not.
fn some_rows(most: usize) -> impl Strategy<Value = Vec<usize>> {
    let rows: Vec<usize> = (0..=ITEMS).collect();
    (0..=most).prop_flat_map(move |count| {
        let all = Just(rows.clone()).prop_shuffle();
        all.prop_map(move |rows| rows[..count].to_vec())
    })
}

fn model() -> (Problem, Snapshot) {
    let problem = Problem::random(7, true, 1.0, 0.05);
    let model = problem.model(57, 200, 0.0);
    let snapshot = snapshot(&problem, &model, quality(1e-9));
    (problem, snapshot)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn boosts_and_pins_give_the_list_of_a_full_sort(
        subject in subjects(),
        boosted in some_rows(ITEMS),
        pins in some_rows(4),
        excluded in some_rows(2),
        size in prop::sample::select(vec![0.05, 1.0, 100.0]),
        exclude_seen in any::<bool>(),
        (k, offset) in (1..=ITEMS, 0..ITEMS),
    ) {
        let (_, snapshot) = model();
        let selection = Selection {
            exclude: excluded.into_iter().map(item).collect(),
            ..Selection::default()
        };
        let plain = RecommendQuery {
            exclude_seen,
            selection,
            ..RecommendQuery::new(subject, 1_000)
        };
        let whole = scores(&snapshot.recommend(&plain, None, None));
        // Some twice as large as others, some negative, and equal ones among them.
        let boosts = boosted.into_iter().enumerate();
        let boosts: Vec<(usize, f64)> = boosts
            .map(|(at, row)| (row, size * [0.5, 1.0, -0.5, 0.5][at % 4]))
            .collect();
        let arrangement = Arrangement {
            boosts: boosts.iter().map(|(row, boost)| (item(*row), *boost)).collect(),
            pins: pins.iter().copied().map(item).collect(),
            diversity: 0.0,
        };
        let expected = by_hand(&whole, &boosts, &pins);
        let query = RecommendQuery { arrangement, k, offset, ..plain };
        let answer = snapshot.recommend(&query, None, None);
        let page: Vec<_> = expected.into_iter().skip(offset).take(k).collect();
        prop_assert_eq!(scores(&answer), page);
        for found in &answer.items {
            let row = row(&found.item);
            let boost = boosts.iter().find(|(boosted, _)| *boosted == row);
            prop_assert_eq!(found.boost, boost.map(|(_, boost)| *boost));
            prop_assert_eq!(found.is_pinned, pins.contains(&row));
        }
    }

    /// However it is cut into pages, it is one list, of the same items with the same scores.
    #[test]
    fn a_diverse_list_holds_the_same_items_on_pages_of_any_length(
        subject in subjects(),
        pins in some_rows(3),
        diversity in 0.01..=1.0_f64,
        lengths in prop::collection::vec(1..5_usize, ITEMS),
    ) {
        let (_, snapshot) = model();
        let plain = RecommendQuery {
            exclude_seen: false,
            arrangement: Arrangement {
                pins: pins.into_iter().map(item).collect(),
                ..Arrangement::default()
            },
            ..RecommendQuery::new(subject, 1_000)
        };
        let mut diverse = plain.clone();
        diverse.arrangement.diversity = diversity;
        let whole = scores(&snapshot.recommend(&diverse, None, None));
        let (mut ours, mut theirs) = (whole.clone(), scores(&snapshot.recommend(&plain, None, None)));
        ours.sort_by_key(|(row, _)| *row);
        theirs.sort_by_key(|(row, _)| *row);
        prop_assert_eq!(ours, theirs);
        let mut paged = Vec::new();
        for k in lengths {
            let page = RecommendQuery { k, offset: paged.len(), ..diverse.clone() };
            paged.extend(scores(&snapshot.recommend(&page, None, None)));
        }
        prop_assert_eq!(paged, whole);
    }
}

/// What the question adds and pins moves both models alike: what is said to be proven is true of the
/// minimiser, boosted and pinned as the question says.
#[test]
fn what_is_proven_of_an_arranged_list_is_true_of_the_minimiser() {
    let mut proven = [0, 0];
    for seed in 0..8_u64 {
        let problem = Problem::random(seed, true, 1.0, 0.2);
        let x = problem.minimiser();
        for (sweeps, noise) in [(20, 0.003), (60, 1e-5), (3_000, 0.0)] {
            let model = problem.model(seed + 50, sweeps, noise);
            let gap = duality_gap(&model, &problem.matrix, &GapOptions::default());
            let snapshot = snapshot(&problem, &model, quality(gap.frobenius));
            for person in (0..USERS).filter(|u| !problem.matrix.user(*u as u32).is_empty()) {
                let boosts = [(2, 0.1), (5, -0.2), (8, 0.1), (1, 9.0)];
                let pins = [9, 3];
                let mut x = x.clone();
                for (row, boost) in boosts {
                    x[(person, row)] += boost;
                }
                let mut expected = truth(&problem, &x, person);
                let first = pins.into_iter().filter(|pin| expected.contains(pin));
                let first: Vec<usize> = first.collect();
                expected.retain(|row| !first.contains(row));
                let expected = [first, expected].concat();
                for (diversity, k) in [(0.0, 1), (0.0, 4), (0.5, 4)] {
                    let query = RecommendQuery {
                        arrangement: Arrangement {
                            boosts: boosts.map(|(row, boost)| (item(row), boost)).to_vec(),
                            pins: pins.map(item).to_vec(),
                            diversity,
                        },
                        selection: Selection {
                            exclude: vec![item(1)],
                            ..Selection::default()
                        },
                        explain: true,
                        ..RecommendQuery::new(Subject::User(user(person)), k)
                    };
                    let answer = snapshot.recommend(&query, None, None);
                    let found = answer.explanation.as_ref().expect("it was asked for");
                    let served: Vec<usize> = scores(&answer).iter().map(|(row, _)| *row).collect();
                    let context = format!("seed {seed}, {sweeps} sweeps, k {k}: {found:?}");
                    let whole = if found.top_k_proven { served.len() } else { 0 };
                    for set in [found.leading_set_proven, whole] {
                        let (ours, theirs) = (&served[..set], &expected[..set]);
                        assert_eq!(sorted(ours.to_vec()), sorted(theirs.to_vec()), "{context}");
                    }
                    let positions = found.leading_positions_proven;
                    assert_eq!(served[..positions], expected[..positions], "{context}");
                    let Some(bound) = found.score_bound else {
                        continue;
                    };
                    for (row, score) in scores(&answer) {
                        let moved = f64::from(score) - x[(person, row)];
                        assert!(moved.abs() <= bound + 1e-9, "{moved} {context}");
                    }
                    let sum = |found: &recant_service::ScoredItem| {
                        let because = found.because.as_ref().expect("it was asked for");
                        let shares = because.items.iter().map(|said| said.share).sum::<f64>();
                        shares + because.others + found.boost.unwrap_or(0.0)
                    };
                    let off = |found| (sum(found) - f64::from(found.score)).abs();
                    assert!(answer.items.iter().all(|found| off(found) < 1e-12));
                    let is_diverse = usize::from(diversity > 0.0);
                    let pool = found.pool.is_some_and(|pool| pool.proven);
                    proven[is_diverse] += usize::from(found.top_k_proven && k == 4 || pool);
                    assert_eq!(found.pool.is_some(), diversity > 0.0);
                }
            }
        }
    }
    assert!(proven.iter().all(|count| *count > 40), "{proven:?}");
}

#[test]
fn pins_are_proven_without_a_certificate_and_hidden_ones_are_left_out() {
    let (problem, _) = model();
    let model = problem.model(57, 200, 0.0);
    let snapshot = snapshot(&problem, &model, Default::default());
    let stranger = ItemId::new("unknown").expect("an id");
    let arrangement = Arrangement {
        pins: vec![stranger, item(6), item(4), item(0)],
        ..Arrangement::default()
    };
    let query = RecommendQuery {
        arrangement,
        exclude_seen: false,
        explain: true,
        selection: Selection {
            exclude: vec![item(4)],
            ..Selection::default()
        },
        ..RecommendQuery::new(Subject::User(user(0)), 4)
    };
    let ask = |k| snapshot.recommend(&RecommendQuery { k, ..query.clone() }, None, None);
    let answer = ask(4);
    let rows: Vec<usize> = scores(&answer).iter().map(|(row, _)| *row).collect();
    assert_eq!(rows[..2], [6, 0]);
    let found = answer.explanation.expect("it was asked for");
    assert_eq!(
        (found.top_k_proven, found.leading_positions_proven),
        (false, 2)
    );
    assert_eq!(found.reason, Reason::NoCertificate);
    let found = ask(2).explanation.expect("it was asked for");
    assert_eq!((found.top_k_proven, found.reason), (true, Reason::Pinned));
}
