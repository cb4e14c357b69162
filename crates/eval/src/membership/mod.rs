//! Membership inference: whether erased pairs can still be told from pairs never trained on.
//!
//! The attacker sees scores and takes a high one as a sign that the pair was trained on (the
//! threshold attack of Yeom et al. 2018). How well that works is a matter of the two lists of
//! scores alone.

mod controls;

pub use controls::{ControlKind, Controls, controls};

/// Fewest scores on each side for a rate at 1 % false positives to mean anything.
pub(crate) const SCORES_MIN_FOR_RATE: usize = 100;

/// Area under the receiver operating characteristic: the chance that the score of a random member
/// is above that of a random non-member, an equal one counting half (Hanley & McNeil 1982).
/// `None` when one of the lists is empty. Numbers must not be NaN.
/// Cost: one sort.
pub fn area_under_curve(members: &[f64], others: &[f64]) -> Option<f64> {
    if members.is_empty() || others.is_empty() {
        return None;
    }
    // Each value with whether it is a member's.
    let mut values: Vec<(f64, bool)> = members
        .iter()
        .map(|value| (value + 0.0, true))
        .chain(others.iter().map(|value| (value + 0.0, false)))
        .collect();
    values.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
    let (mut below, mut won) = (0.0, 0.0);
    for equal in values.chunk_by(|x, y| x.0 == y.0) {
        let own = equal.iter().filter(|value| value.1).count() as f64;
        let against = equal.len() as f64 - own;
        won += own * (below + 0.5 * against);
        below += against;
    }
    Some(won / (members.len() as f64 * others.len() as f64))
}

/// The largest share of members with a score of at least t, over all thresholds t that at most a
/// share `false_positives` of the others reaches (Carlini et al. 2022 on why low rates matter).
/// `None` when either list has fewer than `SCORES_MIN_FOR_RATE` scores. Cost: one sort.
pub fn true_positive_rate(members: &[f64], others: &[f64], false_positives: f64) -> Option<f64> {
    if members.len().min(others.len()) < SCORES_MIN_FOR_RATE {
        return None;
    }
    let mut falling = others.to_vec();
    falling.sort_unstable_by(|x, y| y.total_cmp(x));
    let allowed = (false_positives * others.len() as f64).floor() as usize;
    // With a threshold above this one, at most `allowed` of the others are taken for members.
    let caught = |member: &&f64| falling.get(allowed).is_none_or(|limit| *member > limit);
    let caught = members.iter().filter(caught).count();
    Some(caught as f64 / members.len() as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scores(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec((-6i8..7).prop_map(|v| f64::from(v) / 4.0), length)
    }

    proptest! {
        #[test]
        fn the_area_is_the_share_of_pairs_won(members in scores(1..30), others in scores(1..30)) {
            let mut won = 0.0;
            for member in &members {
                for other in &others {
                    won += match member.partial_cmp(other).expect("numbers") {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            let expected = won / (members.len() * others.len()) as f64;
            let found = area_under_curve(&members, &others).expect("both have scores");
            prop_assert!((found - expected).abs() < 1e-12);
        }

        /// Every value as a threshold, and one above all.
        #[test]
        fn the_rate_is_the_best_of_all_thresholds(
            members in scores(100..140),
            others in scores(100..140),
            allowed in 0.0f64..0.5,
        ) {
            let reach = |list: &[f64], t: f64| {
                list.iter().filter(|score| **score >= t).count() as f64 / list.len() as f64
            };
            let mut best = 0.0f64;
            for t in members.iter().chain(&others) {
                if reach(&others, *t) <= allowed {
                    best = best.max(reach(&members, *t));
                }
            }
            prop_assert_eq!(true_positive_rate(&members, &others, allowed), Some(best));
        }
    }

    #[test]
    fn few_scores_have_no_rate_and_none_have_no_area() {
        let few = [1.0; SCORES_MIN_FOR_RATE - 1];
        assert_eq!(true_positive_rate(&few, &[0.0; 200], 0.01), None);
        assert_eq!(area_under_curve(&few, &[]), None);
        assert_eq!(area_under_curve(&few, &[0.5]), Some(1.0));
    }
}
