//! The index of items against a scan over all rows: the same rows and the same bits, whatever the
//! factors, the filter, the way of computing, and the history of changes.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::topk::{
    Bitmap, Filter, ItemIndex, Kernel, PagedRows, Question, RowSet, Ties, scan,
};

/// How the factors of a case look.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Every value alike.
    Uniform,
    /// Norms over several orders of magnitude, a few directions that say most: as trained.
    Trained,
    /// Few different rows: ties in plenty.
    Repeated,
    /// Every row the same.
    Equal,
    /// Many rows of zeros.
    Sparse,
    /// Among ordinary rows some so large that products overflow, and some so small that they
    /// vanish.
    Extreme,
    /// All values below the smallest normal number.
    Denormal,
}

const SHAPES: [Shape; 7] = [
    Shape::Uniform,
    Shape::Trained,
    Shape::Repeated,
    Shape::Equal,
    Shape::Sparse,
    Shape::Extreme,
    Shape::Denormal,
];

fn fill(shape: Shape, random: &mut ChaCha12Rng, row: usize, values: &mut [f32]) {
    let mut uniform = || random.random_range(-1.0_f32..1.0);
    match shape {
        Shape::Uniform => values.iter_mut().for_each(|value| *value = uniform()),
        Shape::Trained => {
            let norm = (uniform() * 3.0).exp();
            for (column, value) in values.iter_mut().enumerate() {
                *value = norm * (uniform() + 0.3) / (1.0 + column as f32).sqrt();
            }
        }
        Shape::Repeated => {
            let kind = random.random_range(0..5_u64);
            let mut same = ChaCha12Rng::seed_from_u64(kind);
            let whole = |_: &mut f32| f32::from(same.random_range(-2_i8..=2));
            let mut whole = whole;
            values.iter_mut().for_each(|value| *value = whole(value));
        }
        Shape::Equal => values.fill(0.75),
        Shape::Sparse if row.is_multiple_of(3) => values.iter_mut().for_each(|v| *v = uniform()),
        Shape::Sparse => values.fill(if row.is_multiple_of(2) { -0.0 } else { 0.0 }),
        Shape::Extreme => {
            let scale = [1.0, 1.0, 1e-3, 1e3, 3e38, 1e20, 1e-20, 1e-42][row % 8];
            values
                .iter_mut()
                .for_each(|value| *value = scale * uniform());
        }
        Shape::Denormal => values.iter_mut().for_each(|v| *v = 1e-40 * uniform()),
    }
}

fn rows(shape: Shape, rows: usize, dim: usize, seed: u64) -> PagedRows {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    PagedRows::from_rows(rows, dim, |row, values| {
        fill(shape, &mut random, row, values)
    })
}

fn query(shape: Shape, dim: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha12Rng::seed_from_u64(seed ^ 0x5eed);
    let mut query = vec![0.0; dim];
    let row = random.random_range(0..8);
    fill(shape, &mut random, row, &mut query);
    query
}

/// Rows and bits of scores.
fn bits(list: &[(u32, f32)]) -> Vec<(u32, u32)> {
    list.iter()
        .map(|(row, score)| (*row, score.to_bits()))
        .collect()
}

fn scanned(index: &ItemIndex, query: &[f32], k: usize, filter: &Filter) -> Vec<(u32, f32)> {
    let allowed: Option<BTreeSet<u32>> = filter
        .allowed
        .map(|allowed| allowed.rows().iter().copied().collect());
    let eligible = |row: u32| {
        index.is_active(row)
            && allowed
                .as_ref()
                .is_none_or(|allowed| allowed.contains(&row))
            && filter
                .hidden
                .is_none_or(|hidden| hidden.iter().all(|held| held != row))
    };
    scan::top_k(query, index.rows(), k, filter.excluded, eligible)
}

fn assert_exact(index: &ItemIndex, query: &[f32], k: usize, filter: &Filter) {
    let found = index.top_k(query, k, filter);
    let expected = scanned(index, query, k, filter);
    assert_eq!(bits(&found), bits(&expected));
}

/// Every row with the chance of `share`.
fn some_rows(rows: usize, share: f64, seed: u64) -> Vec<u32> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    (0..rows as u32)
        .filter(|_| random.random_bool(share))
        .collect()
}

/// A name for every row, each once, in an order that has nothing to do with theirs.
fn some_names(rows: usize, seed: u64) -> Vec<u64> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    (0..rows as u64)
        .map(|row| random.random_range(0..1_000) * 10_000 + row)
        .collect()
}

fn shape() -> impl Strategy<Value = Shape> {
    prop::sample::select(&SHAPES[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_list_is_that_of_a_scan_on_every_path(
        shape in shape(),
        query_shape in shape(),
        dim in prop_oneof![1_usize..20, 40_usize..100],
        count in prop_oneof![0_usize..70, 100_usize..900],
        k in prop_oneof![0_usize..30, Just(1_000)],
        excluded in prop_oneof![Just(0.0), Just(0.3), Just(0.97)],
        inactive in prop_oneof![Just(0.0), Just(0.2)],
        seed in any::<u64>(),
    ) {
        let rows = rows(shape, count, dim, seed);
        let inactive: BTreeSet<u32> = some_rows(count, inactive, seed ^ 1).into_iter().collect();
        let excluded = some_rows(count, excluded, seed ^ 2);
        let filter = Filter { excluded: &excluded, ..Filter::default() };
        for kernel in Kernel::available() {
            let index = ItemIndex::with_kernel(rows.clone(), |row| !inactive.contains(&row), *kernel);
            assert_exact(&index, &query(query_shape, dim, seed), k, &filter);
        }
    }

    #[test]
    fn filters_of_any_selectivity_are_exact(
        shape in shape(),
        dim in 1_usize..80,
        count in 300_usize..6_000,
        k in 1_usize..40,
        allowed in prop_oneof![Just(0.0), Just(0.001), Just(0.05), Just(0.5), Just(1.0)],
        excluded in prop_oneof![Just(0.0), Just(0.1), Just(0.9)],
        hidden in prop_oneof![Just(0.0), Just(0.01), Just(0.5)],
        seed in any::<u64>(),
    ) {
        let index = ItemIndex::new(rows(shape, count, dim, seed), |row| row % 11 != 3);
        // Rows behind the last one may be named: an item newer than the version.
        let allowed = RowSet::new(some_rows(count + 50, allowed, seed ^ 1));
        let excluded = some_rows(count + 50, excluded, seed ^ 2);
        let hidden: Bitmap = some_rows(count + 50, hidden, seed ^ 3).into_iter().collect();
        let filter = Filter {
            excluded: &excluded,
            allowed: Some(&allowed),
            hidden: Some(&hidden),
        };
        assert_exact(&index, &query(Shape::Trained, dim, seed), k, &filter);
        let filter = Filter { allowed: None, ..filter };
        assert_exact(&index, &query(Shape::Trained, dim, seed), k, &filter);
    }

    /// An order of rows decides between equal scores alone, at the cut too, on every path.
    #[test]
    fn ties_go_by_the_order_that_a_question_names(
        shape in prop::sample::select(&[Shape::Repeated, Shape::Equal, Shape::Sparse, Shape::Extreme][..]),
        dim in 1_usize..40,
        count in 1_usize..900,
        k in prop_oneof![1_usize..30, Just(1_000)],
        allowed in prop::option::of(prop_oneof![Just(0.02), Just(0.6)]),
        seed in any::<u64>(),
    ) {
        let names = some_names(count, seed ^ 7);
        let by_name = |a: u32, b: u32| names[a as usize].cmp(&names[b as usize]);
        let ties = Ties::by(&by_name);
        let rows = rows(shape, count, dim, seed);
        let query = query(Shape::Repeated, dim, seed);
        let allowed = allowed.map(|share| RowSet::new(some_rows(count, share, seed ^ 1)));
        let may = |row: u32| allowed.as_ref().is_none_or(|allowed| allowed.contains(row));
        let sorted = |mut all: Vec<(u32, f32)>| {
            // By scores they are in order already.
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| by_name(a.0, b.0)));
            all.truncate(k);
            all
        };
        let expected = sorted(scan::top_k(&query, &rows, count, &[], may));
        let scanned = scan::top_k_tied(&query, &rows, k, &[], may, ties);
        prop_assert_eq!(bits(&scanned), bits(&expected));
        let filter = Filter { allowed: allowed.as_ref(), ..Filter::default() };
        let question = Question { query: &query, k, filter, ties };
        for kernel in Kernel::available() {
            let index = ItemIndex::with_kernel(rows.clone(), |_| true, *kernel);
            prop_assert_eq!(bits(&index.answer(&question)), bits(&expected));
            let batch = index.top_k_batch(&[question, question]);
            prop_assert_eq!(bits(&batch[1]), bits(&expected));
        }
        let cosines = |k, ties| scan::top_k_cosine(&query, &rows, k, &[], may, ties);
        prop_assert_eq!(bits(&cosines(k, ties)), bits(&sorted(cosines(count, Ties::BY_ROW))));
    }

    #[test]
    fn a_batch_gives_each_what_it_would_get_alone(
        shape in shape(),
        dim in 1_usize..70,
        count in 0_usize..3_000,
        seed in any::<u64>(),
    ) {
        let index = ItemIndex::new(rows(shape, count, dim, seed), |_| true);
        let allowed = RowSet::new(some_rows(count, 0.4, seed));
        let queries: Vec<Vec<f32>> = (0..12)
            .map(|at| query(SHAPES[at % SHAPES.len()], dim, seed ^ at as u64))
            .collect();
        let excluded: Vec<Vec<u32>> = (0..12).map(|at| some_rows(count, 0.1, at)).collect();
        let questions: Vec<Question> = (0..12)
            .map(|at| Question {
                query: &queries[at],
                k: at * 3,
                filter: Filter {
                    excluded: &excluded[at],
                    allowed: (at % 3 == 0).then_some(&allowed),
                    ..Filter::default()
                },
                ties: Ties::BY_ROW,
            })
            .collect();
        for (question, found) in questions.iter().zip(index.top_k_batch(&questions)) {
            let alone = index.top_k(question.query, question.k, &question.filter);
            prop_assert_eq!(bits(&found), bits(&alone));
        }
    }

    /// A version made from the one before answers like a scan of its rows, and the one before is
    /// left as it was.
    #[test]
    fn an_index_follows_its_rows_through_any_changes(
        shape in shape(),
        dim in prop_oneof![1_usize..20, 50_usize..70],
        count in 1_usize..1_500,
        steps in prop::collection::vec((shape(), 1_usize..400, 0_usize..80), 1..6),
        seed in any::<u64>(),
    ) {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut rows = rows(shape, count, dim, seed);
        let mut index = ItemIndex::new(rows.clone(), |row| row % 5 != 0);
        let query = query(Shape::Trained, dim, seed);
        for (shape, changed, added) in steps {
            let before = index.clone();
            let answer = before.top_k(&query, 20, &Filter::default());
            rows.grow(rows.rows() + added);
            let mut changed: Vec<(u32, bool)> = (0..changed)
                .map(|_| (random.random_range(0..rows.rows() as u32), random.random_bool(0.9)))
                .collect();
            changed.sort_unstable();
            changed.dedup_by_key(|(row, _)| *row);
            let mut values = vec![0.0; dim];
            for (row, _) in &changed {
                fill(shape, &mut random, *row as usize, &mut values);
                rows.set_row(*row, &values);
            }
            index = index.updated(rows.clone(), &changed);
            for (row, active) in &changed {
                prop_assert_eq!(index.is_active(*row), *active);
            }
            let active = (0..rows.rows() as u32).filter(|row| index.is_active(*row)).count();
            prop_assert_eq!(index.active(), active);
            assert_exact(&index, &query, 20, &Filter::default());
            let again = before.top_k(&query, 20, &Filter::default());
            prop_assert_eq!(bits(&answer), bits(&again));
        }
    }
}

/// Codes must leave out most of the work on factors as training makes them: an index that is exact
/// because it looks at everything would pass all other tests.
#[test]
fn few_rows_are_scored_on_factors_as_trained() {
    let (count, dim) = (20_000, 64);
    let index = ItemIndex::new(rows(Shape::Trained, count, dim, 1), |_| true);
    let mut scored = 0;
    for seed in 0..20 {
        let (list, work) =
            index.top_k_counted(&query(Shape::Trained, dim, seed), 10, &Filter::default());
        assert_eq!(list.len(), 10);
        scored += work.scored;
        assert!(work.pages * 64 <= count / 2, "{work:?}");
    }
    assert!(scored / 20 <= count / 50, "{scored}");
}

#[test]
fn a_few_allowed_rows_are_the_only_ones_looked_at() {
    let index = ItemIndex::new(rows(Shape::Uniform, 20_000, 16, 1), |_| true);
    let allowed: RowSet = (0..20).map(|at| at * 900).collect();
    let filter = Filter {
        excluded: &[900],
        allowed: Some(&allowed),
        ..Filter::default()
    };
    let (list, work) = index.top_k_counted(&query(Shape::Uniform, 16, 1), 10, &filter);
    assert_eq!((list.len(), work.scored, work.pages), (10, 19, 0));
}

/// What did not change is not made anew, and shares its memory.
#[test]
fn a_small_change_leaves_the_order_as_it_is() {
    let mut rows = rows(Shape::Trained, 5_000, 32, 3);
    let index = ItemIndex::new(rows.clone(), |_| true);
    let changed: Vec<(u32, bool)> = (0..30).map(|at| (at * 150, true)).collect();
    for (row, _) in &changed {
        let values: Vec<f32> = rows.row(*row).iter().map(|value| value * 1.01).collect();
        rows.set_row(*row, &values);
    }
    let next = index.updated(rows, &changed);
    assert!(next.pages_shared_with(&index) >= index.pages() - changed.len());
    assert_exact(&next, &query(Shape::Trained, 32, 1), 50, &Filter::default());
}
