//! Newton's method without a Hessian: steps by conjugate gradients, damped and searched along.
//!
//! Martens, "Deep learning via Hessian-free optimization" (ICML 2010), with the Gauss–Newton
//! curvature, Levenberg–Marquardt damping on the scale of the examples, and Armijo's line search.

use std::ops::ControlFlow;

use crate::objective::Objective;
use crate::optimise::conjugate_gradients::{Stopping, conjugate_gradients};
use crate::optimise::divergence::Divergence;
use crate::optimise::selection::Selection;
use crate::parameters::Parameters;
use crate::vectors::{add_scaled, norm, par_dot};

/// Share of the decrease that the directional derivative predicts which a step must bring (Armijo).
const ARMIJO: f64 = 1e-4;

/// Halvings of a step before it is given up and damping raised.
const HALVINGS_MAX: usize = 6;

/// Gains, of what the quadratic model predicted, beyond which damping changes (Martens, section 4.1).
const GAIN_GOOD: f64 = 0.75;
const GAIN_POOR: f64 = 0.25;

/// Conjugate gradients end at half of the gradient, or sooner (Nocedal & Wright, equation 7.3).
const FORCING_MAX: f64 = 0.5;

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewtonOptions {
    /// Most steps.
    pub steps_max: usize,
    /// Most Gauss–Newton products in one step.
    pub products_max: usize,
    /// First damping μ, per example.
    pub damping: f64,
    /// Ends when the gradient, relative to that at the start, is at most this.
    pub tolerance: f64,
}

impl Default for NewtonOptions {
    fn default() -> Self {
        Self {
            steps_max: 10,
            products_max: 20,
            damping: 1e-3,
            tolerance: 1e-3,
        }
    }
}

/// How a solver ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SolverReport {
    /// Steps taken.
    pub steps: usize,
    /// Gauss–Newton products.
    pub products: usize,
    /// Value of the objective.
    pub value: f64,
    /// ‖∇L‖ over the selection, at the last place where it was computed.
    pub gradient: f64,
}

/// Minimises the objective over the selection, from `at` on. After every step `observe` is told the
/// report so far and the parameters; it may end the solver there.
pub fn newton_cg(
    objective: &Objective<'_>,
    at: &mut Parameters,
    selection: &Selection,
    options: &NewtonOptions,
    observe: &mut dyn FnMut(&SolverReport, &Parameters) -> ControlFlow<()>,
) -> Result<SolverReport, Divergence> {
    let block = selection.block;
    let scales = selection.scales(objective, at);
    let mut gradient = Parameters::zeros(*at.layout());
    let mut damping = options.damping;
    let mut report = SolverReport {
        steps: 0,
        products: 0,
        value: 0.0,
        gradient: f64::INFINITY,
    };
    let mut first = None;
    while report.steps < options.steps_max {
        let point = objective.prepare(at);
        report.value = point.gradient(block, &mut gradient);
        selection.restrict(&mut gradient);
        report.gradient = norm(gradient.block(block));
        check(report.value + report.gradient)?;
        let start = *first.get_or_insert(report.gradient);
        if report.gradient <= options.tolerance * start || report.gradient == 0.0 {
            break;
        }
        let stopping = Stopping {
            products_max: options.products_max,
            tolerance: FORCING_MAX.min((report.gradient / start).sqrt()),
        };
        gradient
            .values_mut()
            .iter_mut()
            .for_each(|value| *value = -*value);
        let solution =
            conjugate_gradients(&point, selection, &scales, damping, &gradient, stopping);
        report.products += solution.products;
        // `gradient` is negated by now.
        let directional_derivative = -par_dot(gradient.block(block), solution.x.block(block));
        drop(point);
        let (value, step) = search(
            objective,
            at,
            selection,
            &solution.x,
            report.value,
            directional_derivative,
        );
        report.steps += 1;
        let gain = (report.value - value) / solution.decrease.max(f64::MIN_POSITIVE);
        damping *= match gain {
            gain if step == 0.0 || gain < GAIN_POOR => 4.0,
            gain if gain > GAIN_GOOD => 1.0 / 3.0,
            _ => 1.0,
        };
        let stuck = step == 0.0 && damping > 1e6 * options.damping;
        report.value = value;
        if stuck || observe(&report, at).is_break() {
            break;
        }
    }
    Ok(report)
}

/// Goes along `direction` by 1, ½, ¼, … until the objective falls by enough; by nothing when it never
/// does. Returns the value there, and the step.
fn search(
    objective: &Objective<'_>,
    at: &mut Parameters,
    selection: &Selection,
    direction: &Parameters,
    value: f64,
    directional_derivative: f64,
) -> (f64, f64) {
    let before = at.block(selection.block).to_vec();
    let mut step = 1.0;
    for _ in 0..HALVINGS_MAX {
        let moved = at.block_mut(selection.block);
        moved.copy_from_slice(&before);
        add_scaled(moved, step, direction.block(selection.block));
        let reached = objective.prepare(at).value();
        if reached <= value + ARMIJO * step * directional_derivative {
            return (reached, step);
        }
        step *= 0.5;
    }
    at.block_mut(selection.block).copy_from_slice(&before);
    (value, 0.0)
}

fn check(number: f64) -> Result<(), Divergence> {
    if number.is_finite() {
        return Ok(());
    }
    Err(Divergence::NotFinite {
        optimiser: "Newton-CG",
        what: "the objective",
    })
}
