//! L-BFGS: quasi-Newton steps from the last changes of the gradient.
//!
//! Nocedal & Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5, with the number of
//! examples of each parameter as the initial scale, and Armijo's line search.

use std::collections::VecDeque;

use crate::objective::{Objective, norm};
use crate::optimise::Divergence;
use crate::optimise::newton_cg::SolverReport;
use crate::optimise::selection::Selection;
use crate::optimise::vectors::{add_scaled, divided, dot};
use crate::parameters::Parameters;

/// Share of the decrease that the slope promises which a step must bring (Armijo).
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
    bend: Vec<f32>,
    inverse: f64,
}

/// Minimises the objective over the selection, from `at` on. After every step `observe` is told the
/// report so far and the parameters; when it returns false the solver ends there. Cost: a gradient a
/// step, rarely more, and one curvature product at the start.
pub fn lbfgs(
    objective: &Objective<'_>,
    at: &mut Parameters,
    selection: &Selection,
    options: &LbfgsOptions,
    observe: &mut dyn FnMut(&SolverReport, &Parameters) -> bool,
) -> Result<SolverReport, Divergence> {
    let block = selection.block;
    let scales = selection.scales(objective, at);
    let mut slope = Parameters::zeros(*at.layout());
    let mut value = objective.at(at).gradient(block, &mut slope);
    selection.restrict(&mut slope);
    let mut report = SolverReport {
        steps: 0,
        products: 0,
        value,
        gradient: norm(slope.block(block)),
    };
    let enough = options.tolerance * report.gradient;
    let mut memory: VecDeque<Change> = VecDeque::with_capacity(options.memory);
    while report.steps < options.steps_max && report.gradient > enough {
        check(value + report.gradient)?;
        let mut way = Parameters::zeros(*at.layout());
        let direction = descent(&memory, slope.block(block), &scales);
        way.block_mut(block).copy_from_slice(&direction);
        let mut promise = -dot(slope.block(block), &direction);
        if promise <= 0.0 {
            // Rounding has spoilt the memory: begin anew.
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
                .at(at)
                .curvature_product(block, &way, &mut product);
            report.products += 1;
            let curvature = dot(way.block(block), product.block(block));
            step = if curvature > 0.0 {
                promise / curvature
            } else {
                1.0
            };
        }
        promise *= ARMIJO;
        let before = at.block(block).to_vec();
        let previous = slope.clone();
        let found = (0..HALVINGS_MAX).find_map(|_| {
            let moved = at.block_mut(block);
            moved.copy_from_slice(&before);
            add_scaled(moved, step, &direction);
            let reached = objective.at(at).gradient(block, &mut slope);
            let falls = reached <= value - step * promise;
            step *= if falls { 1.0 } else { 0.5 };
            falls.then_some(reached)
        });
        let Some(reached) = found else {
            at.block_mut(block).copy_from_slice(&before);
            if memory.is_empty() {
                break;
            }
            memory.clear();
            slope = previous;
            continue;
        };
        selection.restrict(&mut slope);
        value = reached;
        remember(
            &mut memory,
            options.memory,
            at.block(block),
            &before,
            slope.block(block),
            previous.block(block),
        );
        report.steps += 1;
        report.value = value;
        report.gradient = norm(slope.block(block));
        if !observe(&report, at) {
            break;
        }
    }
    check(report.value + report.gradient)?;
    Ok(report)
}

/// `−H g` by the two loops over the remembered changes.
fn descent(memory: &VecDeque<Change>, slope: &[f32], scales: &[f32]) -> Vec<f32> {
    let mut way = slope.to_vec();
    let mut weights = Vec::with_capacity(memory.len());
    for change in memory.iter().rev() {
        let weight = change.inverse * dot(&change.step, &way);
        add_scaled(&mut way, -weight, &change.bend);
        weights.push(weight);
    }
    way = divided(&way, scales);
    if let Some(last) = memory.back() {
        let scaled = divided(&last.bend, scales);
        let ratio = 1.0 / (last.inverse * dot(&last.bend, &scaled));
        way.iter_mut().for_each(|value| *value *= ratio as f32);
    }
    for (change, weight) in memory.iter().zip(weights.into_iter().rev()) {
        let other = change.inverse * dot(&change.bend, &way);
        add_scaled(&mut way, weight - other, &change.step);
    }
    way.iter_mut().for_each(|value| *value = -*value);
    way
}

/// Keeps a change whose curvature is positive, and at most `most` of them.
fn remember(
    memory: &mut VecDeque<Change>,
    most: usize,
    at: &[f32],
    before: &[f32],
    slope: &[f32],
    previous: &[f32],
) {
    let difference =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>();
    let (step, bend) = (difference(at, before), difference(slope, previous));
    let curvature = dot(&step, &bend);
    if curvature <= 1e-10 * dot(&bend, &bend).sqrt() * dot(&step, &step).sqrt() {
        return;
    }
    if memory.len() == most.max(1) {
        memory.pop_front();
    }
    memory.push_back(Change {
        step,
        bend,
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
