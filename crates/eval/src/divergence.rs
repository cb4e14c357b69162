//! How far two lists of scores are from each other, seen as probabilities.

/// Kullback–Leibler and Jensen–Shannon divergence, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Divergence {
    /// `KL(p ‖ q) = Σ p ln(p/q)`.
    pub kullback_leibler: f64,
    /// `½ KL(p ‖ m) + ½ KL(q ‖ m)` with `m = ½(p + q)`; at most ln 2.
    pub jensen_shannon: f64,
}

/// The divergences of `q = softmax(approximate/temperature)` from
/// `p = softmax(reference/temperature)`. `None` without scores.
///
/// Logarithms of probabilities are formed from the scores directly, so that small divergences keep
/// their digits as far as the scores have them, and no exponential overflows. Cost: O(n).
///
/// # Panics
/// When the lengths differ.
pub(crate) fn softmax_divergence(
    reference: &[f64],
    approximate: &[f64],
    temperature: f64,
) -> Option<Divergence> {
    assert_eq!(reference.len(), approximate.len(), "one score each an item");
    if reference.is_empty() {
        return None;
    }
    let (p, q) = (
        log_softmax(reference, temperature),
        log_softmax(approximate, temperature),
    );
    let (mut kullback_leibler, mut jensen_shannon) = (0.0, 0.0);
    for (p, q) in p.into_iter().zip(q) {
        let mean = log_of_mean(p, q);
        kullback_leibler += p.exp() * (p - q);
        jensen_shannon += 0.5 * (p.exp() * (p - mean) + q.exp() * (q - mean));
    }
    // Rounding may leave a zero a little below it.
    Some(Divergence {
        kullback_leibler: kullback_leibler.max(0.0),
        jensen_shannon: jensen_shannon.max(0.0),
    })
}

/// `ln softmax(scores/temperature)`.
fn log_softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shifted = |score: &f64| (score - largest) / temperature;
    let sum: f64 = scores.iter().map(|score| shifted(score).exp()).sum();
    scores
        .iter()
        .map(|score| shifted(score) - sum.ln())
        .collect()
}

/// `ln ½(eᵃ + eᵇ)`.
fn log_of_mean(a: f64, b: f64) -> f64 {
    let (larger, smaller) = if a > b { (a, b) } else { (b, a) };
    larger + (smaller - larger).exp().ln_1p() - std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
        let powers: Vec<f64> = scores.iter().map(|s| (s / temperature).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    }

    fn entropy(p: &[f64]) -> f64 {
        p.iter().map(|p| -p * p.ln()).sum()
    }

    proptest! {
        /// By probabilities and entropies: KL is the cross entropy less the entropy, JS the entropy
        /// of the mean less the mean of the entropies.
        #[test]
        fn they_are_differences_of_entropies(
            pairs in prop::collection::vec((-3.0f64..3.0, -3.0f64..3.0), 1..30),
            temperature in 0.3f64..3.0,
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let (p, q) = (softmax(&a, temperature), softmax(&b, temperature));
            let crossed: f64 = p.iter().zip(&q).map(|(p, q)| -p * q.ln()).sum();
            let mean: Vec<f64> = p.iter().zip(&q).map(|(p, q)| 0.5 * (p + q)).collect();
            let found = softmax_divergence(&a, &b, temperature).expect("there are scores");
            let expected = crossed - entropy(&p);
            prop_assert!((found.kullback_leibler - expected).abs() < 1e-10);
            let expected = entropy(&mean) - 0.5 * (entropy(&p) + entropy(&q));
            prop_assert!((found.jensen_shannon - expected).abs() < 1e-10);
            prop_assert!(found.jensen_shannon <= std::f64::consts::LN_2 + 1e-12);
        }

        /// A constant added to all scores changes nothing, however large.
        #[test]
        fn only_differences_of_scores_count(
            scores in prop::collection::vec(-3.0f64..3.0, 1..20),
            shift in -800.0f64..800.0,
        ) {
            let shifted: Vec<f64> = scores.iter().map(|score| score + shift).collect();
            let found = softmax_divergence(&scores, &shifted, 1.0).expect("there are scores");
            prop_assert!(found.kullback_leibler < 1e-10 && found.jensen_shannon < 1e-10);
        }
    }

    #[test]
    fn without_scores_there_is_no_divergence() {
        assert_eq!(softmax_divergence(&[], &[], 1.0), None);
    }

    #[test]
    fn opposite_certainties_are_ln_2_apart() {
        let found = softmax_divergence(&[0.0, 900.0], &[900.0, 0.0], 1.0).expect("scores");
        assert!((found.jensen_shannon - std::f64::consts::LN_2).abs() < 1e-12);
        assert!((found.kullback_leibler - 900.0).abs() < 1e-9);
    }
}
