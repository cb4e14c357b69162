//! Which items of a history a score comes from.

use faer::Mat;

use crate::model::gramian::Gramian;
use crate::model::interactions::Entry;
use crate::optim::fold_in::System;
use crate::topk::PagedRows;
use recant_types::IalsHyperparameters;

/// Splits one user's scores for the items `listed` over the entries of the history. What `of_item`
/// makes of the shares of an item, one for each entry, is returned, an item after the other.
///
/// With the items fixed, the user's factors are `p = H⁻¹ Σ_j c_j t_j q_j`, where
/// `H = Σ_j c_j q_j q_jᵀ + α₀ QᵀQ + λ I` (Hu, Koren & Volinsky 2008, §5). So the score of item i is a
/// sum over the history,
///
/// ```text
/// q_i·p = Σ_j s_ij,   s_ij = c_j t_j · q_iᵀ H⁻¹ q_j
/// ```
///
/// and `s_ij` is what entry j brings to it. An entry of target 0 brings nothing itself; it changes H.
/// The sums are the scores that [`fold_in`](crate::optim::fold_in) gives, in f64. `gramian` and
/// `active_items` are as there, and an item may be named once in the history. Rows that `items` does
/// not have bring nothing, and listed ones get nothing.
///
/// Cost: `|history|·d² + d³/3 + |listed|·(d² + |history|·d)` multiply-adds in f64. H is symmetric, so each
/// listed item is solved for once, and not each of the history.
pub fn score_shares<T>(
    hyper: &IalsHyperparameters,
    history: &[Entry],
    items: &PagedRows,
    gramian: &Gramian,
    active_items: usize,
    listed: &[u32],
    mut of_item: impl FnMut(&[f64]) -> T,
) -> Vec<T> {
    let system = System::of(hyper, history, items, gramian, active_items);
    let right = Mat::from_fn(hyper.dim, listed.len(), |k, at| {
        let row = Some(listed[at]).filter(|row| (*row as usize) < items.rows());
        row.map_or(0.0, |row| f64::from(items.row(row)[k]))
    });
    let solved = system.solved_in_f64(right);
    let share_of = |entry: &Entry, direction: &[f64]| {
        let is_known = (entry.index as usize) < items.rows();
        if !is_known || entry.target == 0.0 {
            return 0.0;
        }
        let row = items.row(entry.index).iter();
        let along: f64 = row.zip(direction).map(|(q, h)| f64::from(*q) * h).sum();
        f64::from(entry.weight) * f64::from(entry.target) * along
    };
    let mut shares = Vec::with_capacity(history.len());
    let made = (0..listed.len()).map(|at| {
        let direction = solved.col_as_slice(at);
        shares.clear();
        shares.extend(history.iter().map(|entry| share_of(entry, direction)));
        of_item(&shares)
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use faer::linalg::solvers::Solve;
    use proptest::prelude::*;

    use super::*;
    use crate::model::factors::Factors;
    use crate::model::side::Side;
    use crate::optim::fold_in;

    const ITEMS: usize = 30;

    /// Random items, as f32 and as the Gram matrix of the same numbers.
    fn items(dim: usize, seed: u64) -> (PagedRows, Gramian) {
        let mut factors = Factors::random(ITEMS, dim, seed, Side::Items);
        let values = factors.as_mut_slice().iter_mut();
        values.for_each(|value| *value = f64::from((*value * 10.0) as f32));
        let rows = PagedRows::from_rows(ITEMS, dim, |row, values| {
            for (value, factor) in values.iter_mut().zip(factors.row(row)) {
                *value = *factor as f32;
            }
        });
        (rows, Gramian::from_factors(&factors))
    }

    /// The system written down item by item and inverted densely, and each share as the formula reads.
    fn dense_shares(
        hyper: &IalsHyperparameters,
        history: &[Entry],
        items: &PagedRows,
        listed: &[u32],
    ) -> Vec<Vec<f64>> {
        let row = |index: u32| Mat::from_fn(hyper.dim, 1, |k, _| f64::from(items.row(index)[k]));
        let lambda = hyper.regularisation(history.len(), ITEMS);
        let mut hessian = lambda * Mat::<f64>::identity(hyper.dim, hyper.dim);
        for index in 0..ITEMS as u32 {
            let said = history.iter().find(|entry| entry.index == index);
            let weight = said.map_or(0.0, |entry| f64::from(entry.weight));
            hessian += (weight + hyper.alpha0) * row(index) * row(index).transpose();
        }
        let inverse = hessian
            .partial_piv_lu()
            .solve(Mat::<f64>::identity(hyper.dim, hyper.dim));
        let share = |item: u32, entry: &Entry| {
            let product = row(item).transpose() * &inverse * row(entry.index);
            f64::from(entry.weight) * f64::from(entry.target) * product[(0, 0)]
        };
        let of_item = |item: &u32| history.iter().map(|entry| share(*item, entry)).collect();
        listed.iter().map(of_item).collect()
    }

    fn any_history() -> impl Strategy<Value = Vec<Entry>> {
        let entry = (0.1_f32..5.0, 0_u8..5);
        prop::collection::btree_map(0..ITEMS as u32, entry, 1..20).prop_map(|history| {
            let entries = history.into_iter();
            entries
                .map(|(index, (weight, quarters))| Entry {
                    index,
                    weight,
                    target: f32::from(quarters) / 4.0,
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Three ways to the same shares: the solved systems, the dense inverse, and the score that is
        /// left when every other target is taken to be 0, for a score is linear in the targets.
        #[test]
        fn shares_are_those_of_the_inverse_and_add_up_to_the_score(
            dim in prop::sample::select(vec![1_usize, 3, 16, 33]),
            nu in prop::sample::select(vec![0.0, 1.0]),
            history in any_history(),
            seed in any::<u64>(),
        ) {
            let hyper = IalsHyperparameters { dim, alpha0: 0.3, lambda: 0.05, nu };
            let (items, gramian) = items(dim, seed);
            let listed: Vec<u32> = (0..ITEMS as u32).step_by(3).collect();
            let shares = score_shares(&hyper, &history, &items, &gramian, ITEMS, &listed, <[f64]>::to_vec);
            let dense = dense_shares(&hyper, &history, &items, &listed);
            let largest = dense.iter().flatten().fold(0.0_f64, |most, s| most.max(s.abs()));
            prop_assert_eq!((shares.len(), shares[0].len()), (listed.len(), history.len()));
            for (found, expected) in shares.iter().flatten().zip(dense.iter().flatten()) {
                prop_assert!((found - expected).abs() <= 1e-9 * largest, "{} {}", found, expected);
            }
            // What is folded in was rounded to f32, and so were its d products at most.
            let score = |history: &[Entry], item: u32| -> (f64, f64) {
                let user = fold_in(&hyper, history, &items, &gramian, ITEMS);
                let products = items.row(item).iter().zip(&user);
                let products = products.map(|(q, p)| f64::from(*q) * f64::from(*p));
                products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()))
            };
            for (item, shares) in listed.iter().zip(&shares) {
                let (whole, size) = score(&history, *item);
                let sum: f64 = shares.iter().sum();
                prop_assert!((sum - whole).abs() <= 1e-5 * size + 1e-12, "{} {}", sum, whole);
            }
            for (at, entry) in history.iter().enumerate() {
                let mut alone = history.clone();
                let others = alone.iter_mut().filter(|other| other.index != entry.index);
                others.for_each(|other| other.target = 0.0);
                let (whole, size) = score(&alone, listed[0]);
                prop_assert!((shares[0][at] - whole).abs() <= 1e-5 * size + 1e-12);
                prop_assert!(entry.target > 0.0 || shares[0][at] == 0.0);
            }
        }
    }

    #[test]
    fn rows_that_are_not_there_bring_and_get_nothing() {
        let hyper = IalsHyperparameters {
            dim: 4,
            ..IalsHyperparameters::default()
        };
        let (items, gramian) = items(4, 3);
        let unknown = ITEMS as u32;
        let history = [Entry::wanted(2, 1.0), Entry::wanted(unknown, 1.0)];
        let split = |history: &[Entry], listed: &[u32]| {
            score_shares(
                &hyper,
                history,
                &items,
                &gramian,
                ITEMS,
                listed,
                <[f64]>::to_vec,
            )
        };
        let shares = split(&history, &[5, unknown]);
        assert!(shares[0][0] != 0.0 && shares[0][1] == 0.0, "{shares:?}");
        assert_eq!(shares[1], [0.0, 0.0]);
        assert_eq!(split(&[], &[5]), vec![Vec::<f64>::new()]);
    }
}
