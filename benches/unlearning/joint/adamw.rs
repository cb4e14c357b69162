//! AdamW on the whole objective: Loshchilov & Hutter, "Decoupled Weight Decay Regularization",
//! 2019, algorithm 2.

use super::Joint;

const MEAN_DECAY: f64 = 0.9;
const SQUARE_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// `steps` steps from `start`, with a rate that falls linearly from `rate` to zero. Returns the
/// point and half the objective before its last step.
///
/// Gradients are those of all pairs, without sampling noise: near a minimum that is what is left
/// of it. The regularisation stays in the gradient and the decoupled decay is zero, because the
/// decoupled form has another fixed point than the objective.
pub fn minimise(joint: &Joint, start: &[f64], rate: f64, steps: usize) -> (Vec<f64>, f64) {
    let mut point = start.to_vec();
    let mut gradient = vec![0.0; point.len()];
    let mut residuals = joint.residuals();
    let mut moments = vec![(0.0, 0.0); point.len()];
    let mut value = f64::INFINITY;
    for step in 1..=steps {
        value = joint.evaluate(&point, &mut residuals, &mut gradient);
        let now = rate * (steps + 1 - step) as f64 / steps as f64;
        let mean_share = 1.0 - MEAN_DECAY.powi(step as i32);
        let square_share = 1.0 - SQUARE_DECAY.powi(step as i32);
        use rayon::prelude::*;
        point
            .par_iter_mut()
            .zip(&mut moments)
            .zip(&gradient)
            .with_min_len(1 << 15)
            .for_each(|((value, (mean, square)), half)| {
                let gradient = 2.0 * half;
                *mean = MEAN_DECAY * *mean + (1.0 - MEAN_DECAY) * gradient;
                *square = SQUARE_DECAY * *square + (1.0 - SQUARE_DECAY) * gradient * gradient;
                let size = (*square / square_share).sqrt() + EPSILON;
                *value -= now * (*mean / mean_share) / size;
            });
    }
    (point, value)
}
