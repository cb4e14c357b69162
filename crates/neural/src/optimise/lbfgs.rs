//! L-BFGS: quasi-Newton steps from the last changes of the gradient.
//!
//! Nocedal & Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5, with the number of
//! examples of each parameter as the initial scale, and Armijo's line search.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::objective::Objective;
use crate::optimise::divergence::Divergence;
use crate::optimise::newton_cg::SolverReport;
use crate::optimise::selection::Selection;
use crate::parameters::Parameters;
use crate::vectors::{add_scaled, divided, norm, par_dot};

/// Share of the decrease that the directional derivative predicts which a step must bring (Armijo).
const ARMIJO: f64 = 1e-4;

/// Halvings of a step before the search is given up.
const HALVINGS_MAX: usize = 12;

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LbfgsOptions {
    /// Most steps.
    pub steps_max: usize,
    /// Changes remembered.
    pub memory: usize,
    /// Ends when the gradient, relative to that at the start, is at most this.
    pub tolerance: f64,
}

impl Default for LbfgsOptions {
    fn default() -> Self {
        Self {
            steps_max: 100,
            memory: 10,
            tolerance: 1e-3,
        }
    }
}

/// A step and the change of the gradient along it.
struct Change {
    step: Vec<f32>,
    gradient_change: Vec<f32>,
    inverse: f64,
}

/// Minimises the objective over the selection, from `at` on. After every step `observe` is told the
/// report so far and the parameters; it may end the solver there. Cost: a gradient a
/// step, rarely more, and one Gauss–Newton product at the start.
pub fn lbfgs(
    objective: &Objective<'_>,
    at: &mut Parameters,
    selection: &Selection,
    options: &LbfgsOptions,
    observe: &mut dyn FnMut(&SolverReport, &Parameters) -> ControlFlow<()>,
) -> Result<SolverReport, Divergence> {
    let block = selection.block;
    let scales = selection.scales(objective, at);
    let mut gradient = Parameters::zeros(*at.layout());
    let mut value = objective.prepare(at).gradient(block, &mut gradient);
    selection.restrict(&mut gradient);
    let mut report = SolverReport {
        steps: 0,
        products: 0,
        value,
        gradient: norm(gradient.block(block)),
    };
    let enough = options.tolerance * report.gradient;
    let mut memory: VecDeque<Change> = VecDeque::with_capacity(options.memory);
    while report.steps < options.steps_max && report.gradient > enough {
        check(value + report.gradient)?;
        let mut padded = Parameters::zeros(*at.layout());
        let direction = descent(&memory, gradient.block(block), &scales);
        padded.block_mut(block).copy_from_slice(&direction);
        let directional_derivative = par_dot(gradient.block(block), &direction);
        if directional_derivative >= 0.0 {
            // Rounding has poisoned the memory: begin anew.
            if memory.is_empty() {
                break;
            }
            memory.clear();
            continue;
        }
        let mut step = 1.0;
        if memory.is_empty() {
            let mut product = Parameters::zeros(*at.layout());
            objective
                .prepare(at)
                .gauss_newton_product(block, &padded, &mut product);
            report.products += 1;
            let curvature = par_dot(padded.block(block), product.block(block));
            step = if curvature > 0.0 {
                -directional_derivative / curvature
            } else {
                1.0
            };
        }
        let before = at.block(block).to_vec();
        let previous = gradient.clone();
        let found = (0..HALVINGS_MAX).find_map(|_| {
            let moved = at.block_mut(block);
            moved.copy_from_slice(&before);
            add_scaled(moved, step, &direction);
            let reached = objective.prepare(at).gradient(block, &mut gradient);
            let falls = reached <= value + step * (ARMIJO * directional_derivative);
            step *= if falls { 1.0 } else { 0.5 };
            falls.then_some(reached)
        });
        let Some(reached) = found else {
            at.block_mut(block).copy_from_slice(&before);
            if memory.is_empty() {
                break;
            }
            memory.clear();
            gradient = previous;
            continue;
        };
        selection.restrict(&mut gradient);
        value = reached;
        remember(
            &mut memory,
            options.memory,
            at.block(block),
            &before,
            gradient.block(block),
            previous.block(block),
        );
        report.steps += 1;
        report.value = value;
        report.gradient = norm(gradient.block(block));
        if observe(&report, at).is_break() {
            break;
        }
    }
    check(report.value + report.gradient)?;
    Ok(report)
}

/// `−H g` by the two loops over the remembered changes.
fn descent(memory: &VecDeque<Change>, gradient: &[f32], scales: &[f32]) -> Vec<f32> {
    let mut direction = gradient.to_vec();
    let mut weights = Vec::with_capacity(memory.len());
    for change in memory.iter().rev() {
        let weight = change.inverse * par_dot(&change.step, &direction);
        add_scaled(&mut direction, -weight, &change.gradient_change);
        weights.push(weight);
    }
    direction = divided(&direction, scales);
    if let Some(last) = memory.back() {
        let scaled = divided(&last.gradient_change, scales);
        let ratio = 1.0 / (last.inverse * par_dot(&last.gradient_change, &scaled));
        direction
            .iter_mut()
            .for_each(|value| *value *= ratio as f32);
    }
    for (change, weight) in memory.iter().zip(weights.into_iter().rev()) {
        let other = change.inverse * par_dot(&change.gradient_change, &direction);
        add_scaled(&mut direction, weight - other, &change.step);
    }
    direction.iter_mut().for_each(|value| *value = -*value);
    direction
}

/// Keeps a change whose curvature is positive, and at most `most` of them.
fn remember(
    memory: &mut VecDeque<Change>,
    most: usize,
    at: &[f32],
    before: &[f32],
    gradient: &[f32],
    previous: &[f32],
) {
    let difference =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>();
    let (step, gradient_change) = (difference(at, before), difference(gradient, previous));
    let curvature = par_dot(&step, &gradient_change);
    if curvature
        <= 1e-10 * par_dot(&gradient_change, &gradient_change).sqrt() * par_dot(&step, &step).sqrt()
    {
        return;
    }
    if memory.len() == most.max(1) {
        memory.pop_front();
    }
    memory.push_back(Change {
        step,
        gradient_change,
        inverse: 1.0 / curvature,
    });
}

fn check(number: f64) -> Result<(), Divergence> {
    if number.is_finite() {
        return Ok(());
    }
    Err(Divergence::NotFinite {
        optimiser: "L-BFGS",
        what: "the objective",
    })
}
