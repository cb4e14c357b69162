//! Lists with diversity, of more items than the pool holds: what they choose from, and in which order.

use std::sync::LazyLock;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::explanation::{item, quality, row, snapshot, user};
use recant_core::model::{Entry, Factors, Ials, InteractionMatrix, Side};
use recant_service::{
    Arrangement, RecommendQuery, ScoredItem, Selection, SimilarQuery, Snapshot, Subject,
};
use recant_testkit::convex::Problem;
use recant_types::{IalsHyperparameters, UserId};

/// So many of the best are ordered anew: what the documents say.
const POOL: usize = 400;

const USERS: usize = 8;

/// More than the pool, also without what a question leaves out.
const ITEMS: usize = 460;

/// A model of this many items that each have somebody.
fn wide() -> &'static Snapshot {
    static WIDE: LazyLock<Snapshot> = LazyLock::new(|| {
        let mut random = ChaCha12Rng::seed_from_u64(11);
        let mut histories = vec![Vec::new(); USERS];
        for item in 0..ITEMS {
            histories[item % USERS].push(Entry::wanted(item as u32, 1.0));
            let other = random.random_range(0..USERS - 1);
            let other = (item % USERS + 1 + other) % USERS;
            histories[other].push(Entry::wanted(item as u32, random.random_range(0.5..2.0)));
        }
        let hyper = IalsHyperparameters {
            dim: 5,
            alpha0: 0.2,
            lambda: 0.1,
            nu: 1.0,
        };
        let matrix = InteractionMatrix::from_histories(histories, ITEMS);
        let users = Factors::random(USERS, hyper.dim, 3, Side::Users);
        let items = Factors::random(ITEMS, hyper.dim, 3, Side::Items);
        let model = Ials::from_factors(hyper, users, items);
        snapshot(&Problem { hyper, matrix }, &model, quality(1e-9))
    });
    &WIDE
}

/// What a list is asked of.
#[derive(Debug, Clone)]
enum Asked {
    Recommend(Subject),
    Similar(usize),
}

/// A question for a page of a list of everything but `excluded`.
#[derive(Debug, Clone)]
struct Page {
    asked: Asked,
    excluded: Vec<usize>,
    diversity: f64,
    k: usize,
    offset: usize,
}

impl Page {
    fn list(&self) -> Vec<ScoredItem> {
        let selection = Selection {
            exclude: self.excluded.iter().copied().map(item).collect(),
            ..Selection::default()
        };
        match &self.asked {
            Asked::Recommend(subject) => {
                let query = RecommendQuery {
                    offset: self.offset,
                    exclude_seen: false,
                    selection,
                    arrangement: Arrangement {
                        diversity: self.diversity,
                        ..Arrangement::default()
                    },
                    ..RecommendQuery::new(subject.clone(), self.k)
                };
                wide().recommend(&query, None, None).items
            }
            Asked::Similar(row) => {
                let query = SimilarQuery {
                    item: item(*row),
                    k: self.k,
                    offset: self.offset,
                    user: None,
                    selection,
                    diversity: self.diversity,
                };
                wide().similar(&query, None).expect("it is known").items
            }
        }
    }

    /// The rows of the list, with their scores.
    fn rows(&self) -> Vec<(usize, f32)> {
        let list = self.list();
        list.iter()
            .map(|found| (row(&found.item), found.score))
            .collect()
    }

    /// The whole list in the order of scores, added up and sorted here.
    fn by_score(&self) -> Vec<(usize, f64)> {
        let snapshot = wide();
        let excluded = |row: &usize| self.excluded.contains(row);
        let rows = (0..ITEMS).filter(|row| !excluded(row));
        let score = |row: usize| match &self.asked {
            Asked::Similar(to) => cosine(*to, row),
            Asked::Recommend(Subject::User(user)) => match snapshot.users.row(user) {
                Some(user) => dot(snapshot.user_factors.row(user), factors(row)),
                None => f64::from(snapshot.popular.count(row as u32)),
            },
            Asked::Recommend(Subject::History(_)) => unreachable!("no session is asked for"),
        };
        let itself = |row: &usize| matches!(self.asked, Asked::Similar(to) if to == *row);
        let rows = rows.filter(|row| !itself(row));
        let mut scored: Vec<(usize, f64)> = rows.map(|row| (row, score(row))).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scored
    }
}

fn factors(row: usize) -> &'static [f32] {
    wide().item_factors.row(row as u32)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn cosine(a: usize, b: usize) -> f64 {
    let (a, b) = (factors(a), factors(b));
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn asked() -> impl Strategy<Value = Asked> {
    let stranger = UserId::new("stranger").expect("an id");
    prop_oneof![
        (0..USERS).prop_map(|row| Asked::Recommend(Subject::User(user(row)))),
        Just(Asked::Recommend(Subject::User(stranger))),
        (0..ITEMS).prop_map(Asked::Similar),
    ]
}

fn page() -> impl Strategy<Value = Page> {
    let excluded = prop::collection::btree_set(0..ITEMS, 0..50);
    let diversity = prop_oneof![Just(1.0), 0.01..1.0_f64];
    (asked(), excluded, diversity, 1..60_usize, 0..ITEMS).prop_map(
        |(asked, excluded, diversity, k, offset)| Page {
            asked,
            excluded: excluded.into_iter().collect(),
            diversity,
            k,
            offset,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever page is asked for, what is in it of the first 400 places is of the 400 best by score, and
    /// what is after them stands where it stands without diversity.
    #[test]
    fn a_diverse_page_is_of_the_exact_pool(page in page()) {
        let best = page.by_score();
        let (pool, after) = best.split_at(POOL.min(best.len()));
        // Equal to the precision of a score at the end of the pool is as good.
        let least = pool.last().map_or(0.0, |(_, score)| score - 1e-6);
        let found = page.rows();
        prop_assert_eq!(found.len(), page.k.min(best.len().saturating_sub(page.offset)));
        for (place, (row, score)) in (page.offset..).zip(found) {
            let (_, own) = *best.iter().find(|(known, _)| *known == row).expect("it may be listed");
            prop_assert!((own - f64::from(score)).abs() < 1e-5, "{own} {score}");
            if place < POOL {
                prop_assert!(own >= least, "{row} at {place}: {own} is below {least}");
            } else {
                let (_, expected) = after[place - POOL];
                prop_assert!((own - expected).abs() < 1e-6, "{own} {expected}");
            }
        }
    }

    /// The whole list holds what it holds without, once, and each page is a part of it.
    #[test]
    fn a_diverse_list_is_the_same_items_whatever_the_page(page in page()) {
        let whole = Page { k: 1_000, offset: 0, ..page.clone() };
        let plain = Page { diversity: 0.0, ..whole.clone() };
        let (whole, plain) = (whole.rows(), plain.rows());
        let sorted = |list: &[(usize, f32)]| {
            let mut list = list.to_vec();
            list.sort_by_key(|(row, _)| *row);
            list
        };
        prop_assert_eq!(sorted(&whole[..POOL]), sorted(&plain[..POOL]));
        prop_assert_eq!(&whole[POOL..], &plain[POOL..]);
        let end = whole.len().min(page.offset + page.k);
        prop_assert_eq!(&whole[page.offset.min(end)..end], &page.rows()[..]);
    }

    /// Maximal marginal relevance as its definition reads: no item of the pool that comes later would have
    /// been better at an earlier place.
    #[test]
    fn each_place_has_the_item_of_largest_marginal_relevance(page in page()) {
        let whole = Page { k: 1_000, offset: 0, ..page.clone() }.rows();
        let pool = &whole[..POOL];
        let scores = || pool.iter().map(|(_, score)| f64::from(*score));
        let (least, most) = (scores().fold(f64::MAX, f64::min), scores().fold(f64::MIN, f64::max));
        let marginal = |at: usize, (row, score): (usize, f32)| {
            // A popular list may be one of equal counts.
            let relevance = (f64::from(score) - least) / (most - least).max(f64::MIN_POSITIVE);
            let nearest = pool[..at].iter().map(|(taken, _)| cosine(row, *taken));
            let nearest = nearest.reduce(f64::max).unwrap_or(0.0);
            (1.0 - page.diversity) * relevance - page.diversity * nearest
        };
        for at in 0..25 {
            let taken = marginal(at, pool[at]);
            for later in &pool[at..] {
                let other = marginal(at, *later);
                prop_assert!(other <= taken + 1e-6, "{other} {taken} at {at}");
            }
        }
    }
}
