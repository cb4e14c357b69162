//! Two models of the same interactions side by side.

use faer::Mat;
use rayon::prelude::*;

use super::correlation::spearman;
use super::lists::{USERS_PER_TASK, best, scores};
use super::ranking::jaccard;
use recant_core::model::{Ials, InteractionMatrix};

/// How two models differ, over all users and items that have an interaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Users compared.
    pub users: usize,
    /// Items compared.
    pub items: usize,
    /// Mean over users of the Jaccard similarity of their lists, see [`jaccard`]; 1 without users.
    pub jaccard: f64,
    /// The least of them.
    pub jaccard_least: f64,
    /// Mean over users of Spearman's correlation of the scores of all items, see `spearman`;
    /// `None` when it is defined for nobody.
    pub spearman: Option<f64>,
    /// Largest `|x_ui − y_ui|`.
    pub largest: f64,
    /// `‖X − Y‖_F`.
    pub frobenius: f64,
    /// `‖X − Y‖_F / √(users·items)`.
    pub root_mean_square: f64,
}

/// What some users add to a comparison.
#[derive(Debug, Clone, Copy)]
struct Sums {
    users: usize,
    jaccard: f64,
    jaccard_least: f64,
    correlated: usize,
    spearman: f64,
    largest: f64,
    squared: f64,
}

impl Sums {
    const NOTHING: Self = Self {
        users: 0,
        jaccard: 0.0,
        jaccard_least: 1.0,
        correlated: 0,
        spearman: 0.0,
        largest: 0.0,
        squared: 0.0,
    };

    fn plus(self, other: Self) -> Self {
        Self {
            users: self.users + other.users,
            jaccard: self.jaccard + other.jaccard,
            jaccard_least: self.jaccard_least.min(other.jaccard_least),
            correlated: self.correlated + other.correlated,
            spearman: self.spearman + other.spearman,
            largest: self.largest.max(other.largest),
            squared: self.squared + other.squared,
        }
    }
}

/// Compares the scores of two models of `matrix`, and the lists of the `k` best items each user
/// does not have. `observe` is told, from any thread, how many more users are done.
///
/// The dimensions may differ, the rows may not. Cost: `users·items·(d + d')` multiply-adds and two
/// sorts of the items a user. The same for any number of threads.
///
/// # Panics
/// When a model has fewer rows than the matrix.
pub fn compare(
    a: &Ials,
    b: &Ials,
    matrix: &InteractionMatrix,
    k: usize,
    observe: &(dyn Fn(usize) + Sync),
) -> Comparison {
    let items: Vec<u32> = (0..matrix.item_rows() as u32)
        .filter(|item| !matrix.item(*item).is_empty())
        .collect();
    let tasks: Vec<Sums> = (0..matrix.user_rows())
        .into_par_iter()
        .step_by(USERS_PER_TASK)
        .map(|first| {
            let of = |model: &Ials| scores(&model.users, &model.items, first);
            let sums = compared(&of(a), &of(b), matrix, &items, k, first);
            observe(sums.users);
            sums
        })
        .collect();
    let sums = tasks.into_iter().fold(Sums::NOTHING, Sums::plus);
    let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
    let frobenius = sums.squared.sqrt();
    Comparison {
        users: sums.users,
        items: items.len(),
        jaccard: mean(sums.jaccard, sums.users).unwrap_or(1.0),
        jaccard_least: sums.jaccard_least,
        spearman: mean(sums.spearman, sums.correlated),
        largest: sums.largest,
        frobenius,
        root_mean_square: frobenius / ((sums.users * items.len()).max(1) as f64).sqrt(),
    }
}

fn compared(
    a: &Mat<f64>,
    b: &Mat<f64>,
    matrix: &InteractionMatrix,
    items: &[u32],
    k: usize,
    first: usize,
) -> Sums {
    let mut sums = Sums::NOTHING;
    let columns = a.ncols().min(matrix.user_rows() - first);
    for column in 0..columns {
        let history = matrix.user((first + column) as u32);
        if history.is_empty() {
            continue;
        }
        let of_items = |scores: &Mat<f64>| -> Vec<f64> {
            let scores = scores.col_as_slice(column);
            items.iter().map(|item| scores[*item as usize]).collect()
        };
        let (a, b) = (of_items(a), of_items(b));
        let unseen = |at: u32| {
            let item = items[at as usize];
            history
                .binary_search_by_key(&item, |entry| entry.index)
                .is_err()
        };
        let similarity = jaccard(&best(&a, k, unseen), &best(&b, k, unseen));
        let correlation = spearman(&a, &b);
        let differences = || a.iter().zip(&b).map(|(a, b)| (a - b).abs());
        sums = sums.plus(Sums {
            users: 1,
            jaccard: similarity,
            jaccard_least: similarity,
            correlated: usize::from(correlation.is_some()),
            spearman: correlation.unwrap_or(0.0),
            largest: differences().fold(0.0, f64::max),
            squared: differences()
                .map(|difference| difference * difference)
                .sum(),
        });
    }
    sums
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use recant_core::model::Entry;
    use recant_core::model::Factors;
    use recant_core::model::Side;
    use recant_types::IalsHyperparameters;

    const USERS: usize = 75;
    const ITEMS: usize = 20;

    fn model(dim: usize, seed: u64) -> Ials {
        let hyper = IalsHyperparameters {
            dim,
            ..IalsHyperparameters::default()
        };
        Ials::from_factors(
            hyper,
            Factors::random(USERS, dim, seed, Side::Users),
            Factors::random(ITEMS, dim, seed, Side::Items),
        )
    }

    /// Some users and items without interactions, in the middle and at the end.
    fn matrix() -> InteractionMatrix {
        let entry = |index| Entry::wanted(index, 1.0);
        let histories = (0..USERS as u32)
            .map(|user| (0..user % 5).map(|k| entry((k * 3 + user) % 18)).collect());
        let mut matrix = InteractionMatrix::from_histories(histories.collect(), ITEMS);
        matrix.remove_item(4);
        matrix
    }

    fn score(model: &Ials, user: usize, item: usize) -> f64 {
        let factors = model.users.row(user).iter().zip(model.items.row(item));
        factors.map(|(p, q)| p * q).sum()
    }

    #[test]
    fn every_figure_is_that_of_plain_loops() {
        let (a, b, matrix) = (model(3, 1), model(5, 2), matrix());
        let done = AtomicUsize::new(0);
        let observe = |users: usize| {
            done.fetch_add(users, Ordering::Relaxed);
        };
        let found = compare(&a, &b, &matrix, 4, &observe);
        let items: Vec<usize> = (0..ITEMS)
            .filter(|i| !matrix.item(*i as u32).is_empty())
            .collect();
        let users: Vec<usize> = (0..USERS)
            .filter(|u| !matrix.user(*u as u32).is_empty())
            .collect();
        let (mut largest, mut squared) = (0.0f64, 0.0);
        let (mut similarities, mut correlations) = (Vec::new(), Vec::new());
        for user in &users {
            for item in &items {
                let difference = score(&a, *user, *item) - score(&b, *user, *item);
                largest = largest.max(difference.abs());
                squared += difference * difference;
            }
            let list = |model: &Ials| {
                let seen = |item: usize| {
                    matrix
                        .user(*user as u32)
                        .iter()
                        .any(|e| e.index as usize == item)
                };
                let mut open: Vec<usize> = items.iter().copied().filter(|i| !seen(*i)).collect();
                open.sort_by(|i, j| {
                    score(model, *user, *j)
                        .partial_cmp(&score(model, *user, *i))
                        .expect("numbers")
                });
                open.truncate(4);
                open
            };
            let (one, other) = (list(&a), list(&b));
            let common = one.iter().filter(|item| other.contains(item)).count();
            similarities.push(common as f64 / (one.len() + other.len() - common) as f64);
            let all = |model: &Ials| {
                items
                    .iter()
                    .map(|i| score(model, *user, *i))
                    .collect::<Vec<_>>()
            };
            correlations.push(spearman(&all(&a), &all(&b)).expect("different scores"));
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        assert_eq!((found.users, found.items), (users.len(), items.len()));
        assert_eq!(done.into_inner(), users.len());
        let pairs = (users.len() * items.len()) as f64;
        for (found, expected) in [
            (found.jaccard, mean(&similarities)),
            (
                found.jaccard_least,
                similarities.iter().copied().fold(1.0, f64::min),
            ),
            (found.spearman.expect("defined"), mean(&correlations)),
            (found.largest, largest),
            (found.frobenius, squared.sqrt()),
            (found.root_mean_square, (squared / pairs).sqrt()),
        ] {
            assert!((found - expected).abs() < 1e-13, "{found} {expected}");
        }
    }

    #[test]
    fn a_model_equals_itself_and_nothing_equals_nothing() {
        let (a, matrix) = (model(3, 1), matrix());
        let found = compare(&a, &a, &matrix, 4, &|_| {});
        assert_eq!(
            (found.jaccard, found.jaccard_least, found.largest),
            (1.0, 1.0, 0.0)
        );
        assert_eq!((found.spearman, found.root_mean_square), (Some(1.0), 0.0));
        let empty = InteractionMatrix::new();
        let found = compare(&a, &a, &empty, 4, &|_| {});
        assert_eq!((found.users, found.jaccard, found.spearman), (0, 1.0, None));
        assert_eq!((found.frobenius, found.root_mean_square), (0.0, 0.0));
    }
}
