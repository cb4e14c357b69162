//! Limited-memory BFGS: Nocedal & Wright, "Numerical Optimization", 2nd edition, algorithms 7.4
//! and 7.5.

use std::collections::VecDeque;

use super::Joint;
use super::vector::{add_scaled, difference, dot, scale};

/// Pairs of differences that are remembered.
const MEMORY: usize = 10;

/// Sufficient decrease and curvature, equations 3.7.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// Trial steps of one line search.
const TRIALS_MAX: usize = 12;

/// The rounding of the objective, relative to it: smaller rises say nothing.
const ROUNDING: f64 = 1e-14;

struct Memory(VecDeque<(Vec<f64>, Vec<f64>, f64)>);

impl Memory {
    /// `−H g` by the two-loop recursion.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction = gradient.to_vec();
        let mut shares = Vec::new();
        for (step, change, product) in self.0.iter().rev() {
            let share = dot(step, &direction) / product;
            add_scaled(&mut direction, -share, change);
            shares.push(share);
        }
        if let Some((_, change, product)) = self.0.back() {
            scale(&mut direction, product / dot(change, change));
        }
        for ((step, change, product), share) in self.0.iter().zip(shares.iter().rev()) {
            let other = dot(change, &direction) / product;
            add_scaled(&mut direction, share - other, step);
        }
        scale(&mut direction, -1.0);
        direction
    }

    fn remember(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let product = dot(&step, &change);
        if product <= 0.0 {
            return;
        }
        if self.0.len() == MEMORY {
            self.0.pop_front();
        }
        self.0.push_back((step, change, product));
    }
}

/// At most `steps` steps from `start`, along directions that meet the Wolfe conditions. `first` is
/// the length of the first step, which no curvature is known for. Ends early where no step
/// descends any more.
pub fn minimise(joint: &Joint, start: &[f64], first: f64, steps: usize) -> Vec<f64> {
    let mut memory = Memory(VecDeque::new());
    let mut residuals = joint.residuals();
    let (mut point, mut gradient) = (start.to_vec(), vec![0.0; start.len()]);
    let mut value = joint.evaluate(&point, &mut residuals, &mut gradient);
    for _ in 0..steps {
        let direction = memory.direction(&gradient);
        let slope = dot(&direction, &gradient);
        let mut length = if memory.0.is_empty() {
            first / dot(&direction, &direction).sqrt()
        } else {
            1.0
        };
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut accepted = None;
        // Bisection between a step too short and one too long meets both conditions in the end.
        for _ in 0..TRIALS_MAX {
            let mut trial = point.clone();
            add_scaled(&mut trial, length, &direction);
            let mut trial_gradient = vec![0.0; trial.len()];
            let found = joint.evaluate(&trial, &mut residuals, &mut trial_gradient);
            let rise = found - value - DECREASE * length * slope;
            if rise > ROUNDING * value.abs() {
                high = length;
            } else {
                let flat = dot(&direction, &trial_gradient) >= CURVATURE * slope;
                accepted = Some((trial, trial_gradient, found));
                if flat {
                    break;
                }
                low = length;
            }
            length = if high.is_finite() {
                0.5 * (low + high)
            } else {
                4.0 * length
            };
        }
        let Some((next, next_gradient, found)) = accepted else {
            break;
        };
        memory.remember(
            difference(&next, &point),
            difference(&next_gradient, &gradient),
        );
        (point, gradient, value) = (next, next_gradient, found);
    }
    point
}
