//! Measures of ranked lists: how much two have in common, and how well one finds what is relevant.

/// Jaccard similarity of two lists seen as sets, `|A ∩ B| / |A ∪ B|`; 1 when both are empty.
/// No list may name an item twice. Cost: `O(|A| log |A| + |B| log |B|)`.
pub fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (a, b) = (sorted(a), sorted(b));
    let common = a
        .iter()
        .filter(|item| b.binary_search(item).is_ok())
        .count();
    match a.len() + b.len() - common {
        0 => 1.0,
        union => common as f64 / union as f64,
    }
}

fn sorted(list: &[u32]) -> Vec<u32> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Normalised discounted cumulative gain of the first `k` of `ranked` (best first), with binary
/// relevance: `Σ 1/log₂(position + 1)` over the positions, from 1, that hold a relevant item,
/// divided by the same sum over the first `min(k, |relevant|)` positions (Järvelin & Kekäläinen
/// 2002). `relevant` is sorted. `None` when nothing is relevant or k is 0.
pub fn ndcg(ranked: &[u32], relevant: &[u32], k: usize) -> Option<f64> {
    let best = k.min(relevant.len());
    let discount = |position: usize| 1.0 / (position as f64 + 2.0).log2();
    let ideal: f64 = (0..best).map(discount).sum();
    let gained: f64 = hits(ranked, relevant, k).map(discount).sum();
    (best > 0).then(|| gained / ideal)
}

/// Relevant items among the first `k` of `ranked`, as a share of those that could be there:
/// `hits / min(k, |relevant|)`, the form of Liang et al. (2018) and Rendle et al. (2021).
/// `relevant` is sorted. `None` when nothing is relevant or k is 0.
pub fn recall(ranked: &[u32], relevant: &[u32], k: usize) -> Option<f64> {
    let best = k.min(relevant.len());
    (best > 0).then(|| hits(ranked, relevant, k).count() as f64 / best as f64)
}

/// Relevant items among the first `k` of `ranked`, as a share of all relevant ones:
/// `hits / |relevant|`, the form of Wang et al. (NGCF, 2019) and He et al. (LightGCN, 2020).
/// `relevant` is sorted. `None` when nothing is relevant or k is 0.
pub(crate) fn recall_of_all(ranked: &[u32], relevant: &[u32], k: usize) -> Option<f64> {
    let found = || hits(ranked, relevant, k).count() as f64;
    (k > 0 && !relevant.is_empty()).then(|| found() / relevant.len() as f64)
}

/// 1 when a relevant item is among the first `k` of `ranked`, else 0; its mean over users is the
/// hit rate. `relevant` is sorted. `None` when nothing is relevant or k is 0.
pub(crate) fn hit(ranked: &[u32], relevant: &[u32], k: usize) -> Option<f64> {
    let found = || hits(ranked, relevant, k).next().is_some();
    (k > 0 && !relevant.is_empty()).then(|| f64::from(u8::from(found())))
}

/// Positions, from 0, among the first `k` that hold a relevant item.
fn hits<'a>(ranked: &'a [u32], relevant: &'a [u32], k: usize) -> impl Iterator<Item = usize> + 'a {
    debug_assert!(relevant.is_sorted());
    let first = ranked.iter().take(k).enumerate();
    first
        .filter(|(_, item)| relevant.binary_search(item).is_ok())
        .map(|(position, _)| position)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn distinct() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::btree_set(0u32..30, 0..20)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>())
            .prop_shuffle()
    }

    proptest! {
        #[test]
        fn jaccard_is_that_of_sets(a in distinct(), b in distinct()) {
            let (left, right): (BTreeSet<_>, BTreeSet<_>) =
                (a.iter().collect(), b.iter().collect());
            let union = left.union(&right).count();
            let expected = match union {
                0 => 1.0,
                union => left.intersection(&right).count() as f64 / union as f64,
            };
            prop_assert_eq!(jaccard(&a, &b), expected);
        }

        /// Position by position, as the definitions read; the ideal list is made and measured.
        #[test]
        fn gain_and_recall_follow_their_definitions(
            ranked in distinct(),
            relevant in prop::collection::btree_set(0u32..30, 0..20),
            k in 0usize..25,
        ) {
            let gain = |list: &[u32]| {
                let mut sum = 0.0;
                for (index, item) in list.iter().enumerate() {
                    let position = index + 1;
                    if position <= k && relevant.contains(item) {
                        sum += 1.0 / ((position + 1) as f64).log2();
                    }
                }
                sum
            };
            let sorted: Vec<u32> = relevant.iter().copied().collect();
            let (found, share) = (ndcg(&ranked, &sorted, k), recall(&ranked, &sorted, k));
            let of_all = recall_of_all(&ranked, &sorted, k);
            let any = hit(&ranked, &sorted, k);
            if relevant.is_empty() || k == 0 {
                prop_assert_eq!((found, share, of_all, any), (None, None, None, None));
            } else {
                let expected = gain(&ranked) / gain(&sorted);
                prop_assert!((found.expect("defined") - expected).abs() < 1e-12);
                let listed: BTreeSet<u32> = ranked.iter().copied().take(k).collect();
                let hits = listed.intersection(&relevant).count() as f64;
                let possible = relevant.len().min(k) as f64;
                prop_assert_eq!(share, Some(hits / possible));
                prop_assert_eq!(of_all, Some(hits / relevant.len() as f64));
                prop_assert_eq!(any, Some(hits.min(1.0)));
            }
        }
    }

    #[test]
    fn the_best_list_has_gain_one_and_a_later_hit_counts_less() {
        assert_eq!(ndcg(&[4, 7], &[4, 7, 9], 2), Some(1.0));
        let second = ndcg(&[1, 4], &[4], 2).expect("something is relevant");
        assert!((second - 1.0 / 3.0f64.log2()).abs() < 1e-15);
    }
}
