//! What scores are judged by: the loss of a group of examples, its gradient by the scores and its Hessian.

use recant_types::Loss;

/// `1 / (1 + e^−x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The logistic loss of one example, with its derivatives by the score.
#[derive(Debug, Clone, Copy)]
pub struct Logistic {
    /// ℓ, the loss.
    pub loss: f32,
    /// ℓ′.
    pub derivative: f32,
    /// ℓ″.
    pub second_derivative: f32,
}

impl Logistic {
    /// The logistic loss of a score.
    pub fn new(score: f32, is_positive: bool) -> Self {
        let probability = sigmoid(score);
        Self {
            loss: softplus(if is_positive { -score } else { score }),
            derivative: probability - f32::from(u8::from(is_positive)),
            second_derivative: probability * (1.0 - probability),
        }
    }
}

/// Whether the place of a group holds an example, and not the positive again for want of a
/// negative.
pub fn is_taken(group: &[u32], place: usize) -> bool {
    place == 0 || group[place] != group[0]
}

/// The loss of a group; its derivatives by the scores go `into`. Empty places get zero.
pub fn gradient(loss: Loss, group: &[u32], scores: &[f32], into: &mut [f32]) -> f64 {
    into.fill(0.0);
    let mut sum = 0.0;
    for place in (0..group.len()).filter(|place| is_taken(group, *place)) {
        match loss {
            Loss::Logistic => {
                let point = Logistic::new(scores[place], place == 0);
                into[place] = point.derivative;
                sum += f64::from(point.loss);
            }
            Loss::Bpr if place > 0 => {
                let lead = scores[0] - scores[place];
                let derivative = sigmoid(-lead);
                into[0] -= derivative;
                into[place] += derivative;
                sum += f64::from(softplus(-lead));
            }
            Loss::Bpr => {}
        }
    }
    sum
}

/// The Hessian of a group's loss by its scores, which is positive semi-definite, times
/// `tangents`.
pub fn hessian_vector_product(
    loss: Loss,
    group: &[u32],
    scores: &[f32],
    tangents: &[f32],
    into: &mut [f32],
) {
    into.fill(0.0);
    for place in (0..group.len()).filter(|place| is_taken(group, *place)) {
        match loss {
            Loss::Logistic => {
                into[place] =
                    Logistic::new(scores[place], place == 0).second_derivative * tangents[place];
            }
            Loss::Bpr if place > 0 => {
                let probability = sigmoid(scores[place] - scores[0]);
                let curvature = probability * (1.0 - probability);
                let product = curvature * (tangents[0] - tangents[place]);
                into[0] += product;
                into[place] -= product;
            }
            Loss::Bpr => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The loss of a group as its definition reads, in f64.
    fn by_definition(loss: Loss, scores: &[f64]) -> f64 {
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let negatives = scores[1..].iter();
        match loss {
            Loss::Logistic => {
                -sigma(scores[0]).ln() - negatives.map(|s| (1.0 - sigma(*s)).ln()).sum::<f64>()
            }
            Loss::Bpr => -negatives.map(|s| sigma(scores[0] - s).ln()).sum::<f64>(),
        }
    }

    fn moved(scores: &[f32], along: &[f32], step: f64) -> Vec<f64> {
        let places = scores.iter().zip(along);
        places
            .map(|(score, direction)| f64::from(*score) + step * f64::from(*direction))
            .collect()
    }

    proptest! {
        /// The gradient against central differences, the Hessian against second differences.
        #[test]
        fn derivatives_are_those_of_the_definition(
            scores in prop::collection::vec(-4.0f32..4.0, 4),
            along in prop::collection::vec(-1.0f32..1.0, 4),
            is_bpr in any::<bool>(),
        ) {
            let loss = if is_bpr { Loss::Bpr } else { Loss::Logistic };
            let group = [7, 1, 2, 3];
            let mut by_scores = [0.0; 4];
            let value = gradient(loss, &group, &scores, &mut by_scores);
            let at = |step: f64| by_definition(loss, &moved(&scores, &along, step));
            prop_assert!((value - at(0.0)).abs() < 1e-4);
            let h = 1e-4;
            let directional: f32 = by_scores.iter().zip(&along).map(|(a, b)| a * b).sum();
            prop_assert!((f64::from(directional) - (at(h) - at(-h)) / (2.0 * h)).abs() < 1e-4);
            let mut product = [0.0; 4];
            hessian_vector_product(loss, &group, &scores, &along, &mut product);
            let curvature: f32 = product.iter().zip(&along).map(|(a, b)| a * b).sum();
            let second = (at(h) - 2.0 * at(0.0) + at(-h)) / (h * h);
            prop_assert!((f64::from(curvature) - second).abs() < 1e-4);
        }
    }

    #[test]
    fn empty_places_count_for_nothing() {
        let (group, scores) = ([7, 1, 7], [0.3, -0.2, 9.0]);
        for loss in [Loss::Logistic, Loss::Bpr] {
            let (mut with, mut without) = ([0.0; 3], [0.0; 2]);
            let value = gradient(loss, &group, &scores, &mut with);
            assert_eq!(
                value,
                gradient(loss, &group[..2], &scores[..2], &mut without)
            );
            assert_eq!(with, [without[0], without[1], 0.0]);
        }
    }
}
