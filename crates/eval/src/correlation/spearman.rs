//! Spearman's rank correlation.

/// Spearman's rank correlation of two equally long lists of numbers: Pearson's correlation of
/// their ranks, where equal values share the mean of the ranks they take. `None` when the lists
/// are shorter than 2 or one of them holds a single value throughout, for it is undefined then.
/// Numbers must not be NaN. Cost: two sorts.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "a correlation is of pairs");
    let (a, b) = (ranks(a), ranks(b));
    // Ranks have the same mean in both: (n + 1) / 2.
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let sum = |pairs: &mut dyn Iterator<Item = (&f64, &f64)>| -> f64 {
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let covariance = sum(&mut a.iter().zip(&b));
    let variances = sum(&mut a.iter().zip(&a)) * sum(&mut b.iter().zip(&b));
    (variances > 0.0).then(|| (covariance / variances.sqrt()).clamp(-1.0, 1.0))
}

/// The rank of each value, from 1, ascending; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|a, b| values[*a as usize] == values[*b as usize]) {
        // Ranks start + 1 to start + length.
        let shared = start as f64 + (group.len() as f64 + 1.0) / 2.0;
        for row in group {
            ranks[*row as usize] = shared;
        }
        start += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By counting: one more than the smaller values, and half of the other equal ones.
    fn counted_ranks(values: &[f64]) -> Vec<f64> {
        let count = |of: &dyn Fn(&f64) -> bool| values.iter().filter(|v| of(v)).count() as f64;
        values
            .iter()
            .map(|value| {
                count(&|other| other < value) + (count(&|other| other == value) + 1.0) / 2.0
            })
            .collect()
    }

    fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
        let n = a.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
        for (a, b) in a.iter().zip(b) {
            both += (a - mean_a) * (b - mean_b);
            of_a += (a - mean_a).powi(2);
            of_b += (b - mean_b).powi(2);
        }
        (of_a * of_b > 0.0).then(|| both / (of_a * of_b).sqrt())
    }

    proptest! {
        /// Few different values, so that ties abound, both zeros among them.
        #[test]
        fn it_is_the_correlation_of_counted_ranks(
            pairs in prop::collection::vec((-3i8..4, -3i8..4), 0..25),
        ) {
            let value = |v: i8| if v == -3 { -0.0 } else { f64::from(v) / 2.0 };
            let a: Vec<f64> = pairs.iter().map(|pair| value(pair.0)).collect();
            let b: Vec<f64> = pairs.iter().map(|pair| value(pair.1)).collect();
            let expected = pearson(&counted_ranks(&a), &counted_ranks(&b));
            match (spearman(&a, &b), expected) {
                (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-12),
                (found, expected) => prop_assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn the_same_order_gives_one_and_the_opposite_minus_one() {
        assert_eq!(spearman(&[1.0, 2.0, 9.0], &[0.1, 0.2, 0.3]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 9.0], &[0.3, 0.2, 0.1]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
    }
}
