//! Kendall's rank correlation.

/// Kendall's τ-b of two equally long lists of numbers:
/// `(C − D) / √((n₀ − t_a)(n₀ − t_b))` with C concordant and D discordant pairs of positions, n₀
/// all pairs, and t_a, t_b those with equal values in one list (Kendall 1945). `None` when the
/// lists are shorter than 2 or one of them holds a single value throughout, for it is undefined
/// then. Numbers must not be NaN.
///
/// By Knight's method (1966): sorted by the first list, the exchanges that a merge sort by the
/// second makes are the discordant pairs. Cost: two sorts, O(n log n).
///
/// # Panics
/// When the lengths differ.
pub(crate) fn kendall(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "a correlation is of pairs");
    let mut pairs: Vec<(f64, f64)> = a
        .iter()
        .zip(b)
        // Adding zero makes both zeros one.
        .map(|(a, b)| (a + 0.0, b + 0.0))
        .collect();
    pairs.sort_unstable_by(|x, y| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1)));
    let tied_in_first = tied(pairs.chunk_by(|x, y| x.0 == y.0));
    let tied_in_both = tied(pairs.chunk_by(|x, y| x == y));
    let mut second: Vec<f64> = pairs.into_iter().map(|pair| pair.1).collect();
    let discordant = sort_counting(&mut second);
    let tied_in_second = tied(second.chunk_by(|x, y| x == y));
    let all = pairs_of(a.len());
    // Whatever is tied in neither list is concordant or discordant.
    let decided = all + tied_in_both - tied_in_first - tied_in_second;
    let difference = decided as f64 - 2.0 * discordant as f64;
    let scale = (all - tied_in_first) as f64 * (all - tied_in_second) as f64;
    (scale > 0.0).then(|| (difference / scale.sqrt()).clamp(-1.0, 1.0))
}

/// Pairs of `count` things.
fn pairs_of(count: usize) -> u64 {
    let count = count as u64;
    count * count.saturating_sub(1) / 2
}

/// Pairs within the groups.
fn tied<'a, T: 'a>(groups: impl Iterator<Item = &'a [T]>) -> u64 {
    groups.map(|group| pairs_of(group.len())).sum()
}

/// Sorts, bottom up by merging, and counts the pairs that stood in the wrong order.
fn sort_counting(values: &mut Vec<f64>) -> u64 {
    let mut merged = Vec::with_capacity(values.len());
    let (mut exchanges, mut width) = (0, 1);
    while width < values.len() {
        merged.clear();
        for block in values.chunks(2 * width) {
            let (left, right) = block.split_at(width.min(block.len()));
            exchanges += merge(left, right, &mut merged);
        }
        std::mem::swap(values, &mut merged);
        width *= 2;
    }
    exchanges
}

/// Appends both sorted lists in order; counts the pairs that a value of `right` overtakes.
fn merge(left: &[f64], right: &[f64], into: &mut Vec<f64>) -> u64 {
    let (mut i, mut j, mut overtaken) = (0, 0, 0);
    while i < left.len() && j < right.len() {
        if right[j] < left[i] {
            overtaken += (left.len() - i) as u64;
            into.push(right[j]);
            j += 1;
        } else {
            into.push(left[i]);
            i += 1;
        }
    }
    into.extend_from_slice(&left[i..]);
    into.extend_from_slice(&right[j..]);
    overtaken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pair by pair, as the definition reads.
    fn naive(a: &[f64], b: &[f64]) -> Option<f64> {
        let (mut sum, mut differ_a, mut differ_b) = (0.0, 0.0, 0.0);
        for i in 0..a.len() {
            for j in 0..i {
                let sign = |d: f64| if d == 0.0 { 0.0 } else { d.signum() };
                let (x, y) = (sign(a[i] - a[j]), sign(b[i] - b[j]));
                sum += x * y;
                differ_a += x.abs();
                differ_b += y.abs();
            }
        }
        let scale: f64 = differ_a * differ_b;
        (scale > 0.0).then(|| sum / scale.sqrt())
    }

    proptest! {
        /// Few different values, so that ties abound, both zeros among them.
        #[test]
        fn it_is_that_of_all_pairs(
            pairs in prop::collection::vec((-3i8..4, -3i8..4), 0..40),
        ) {
            let value = |v: i8| if v == -3 { -0.0 } else { f64::from(v) / 2.0 };
            let a: Vec<f64> = pairs.iter().map(|pair| value(pair.0)).collect();
            let b: Vec<f64> = pairs.iter().map(|pair| value(pair.1)).collect();
            match (kendall(&a, &b), naive(&a, &b)) {
                (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-12),
                (found, expected) => prop_assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn the_same_order_gives_one_and_the_opposite_minus_one() {
        assert_eq!(kendall(&[1.0, 2.0, 9.0], &[0.1, 0.2, 0.3]), Some(1.0));
        assert_eq!(kendall(&[1.0, 2.0, 9.0], &[0.3, 0.2, 0.1]), Some(-1.0));
        assert_eq!(kendall(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(kendall(&[], &[]), None);
    }
}
