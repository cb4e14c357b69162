//! Finished runs beside those they are judged by: one comparison for each data set, model and deletion,
//! one line for each arm.

use super::column::Column;
use super::spread::Spread;
use super::view::View;
use crate::experiment::results::Results;
use crate::experiment::run_record::{Arm, Measured, Outcome, RunRecord};
use crate::experiment::watch::CurvePoint;
use recant_eval::Group;

/// All arms of one deletion from one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'a> {
    /// Name of the data set.
    pub data: String,
    /// The model, as tables call it.
    pub model: String,
    /// The deletion, as tables call it.
    pub deletion: String,
    /// Temperature of the softmax.
    pub temperature: f64,
    /// The lines, in the order of the recipe: the retrains and the ceiling first.
    pub lines: Vec<Line<'a>>,
}

/// One arm with its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The arm, as tables call it.
    pub label: String,
    /// Which arm.
    pub arm: &'a Arm,
    /// One for each seed that was measured.
    pub runs: Vec<Run<'a>>,
    /// Why the others failed.
    pub failures: Vec<&'a str>,
}

/// A measured run beside those it is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run<'a> {
    /// Of which seed.
    pub seed: u64,
    /// What was measured.
    pub measured: &'a Measured,
    reference: Option<&'a Measured>,
    retrain: Option<&'a Measured>,
    nothing: Option<&'a Measured>,
}

impl<'a> Run<'a> {
    /// The run at its `nth` checkpoint, over one group of users.
    pub fn at(&self, nth: usize, group: Group) -> Option<View<'a>> {
        let at = |measured: Option<&'a Measured>| measured.and_then(|m| m.checkpoints.get(nth));
        Some(View {
            own: self.measured.checkpoints.get(nth)?,
            reference: at(self.reference),
            retrain: at(self.retrain),
            nothing: at(self.nothing),
            measured: self.measured,
            group,
        })
    }

    /// The distance while the method was at work.
    pub fn curve(&self) -> &'a [CurvePoint] {
        &self.measured.curve
    }
}

impl Comparison<'_> {
    /// Deletions at each checkpoint.
    pub fn checkpoints(&self) -> Vec<usize> {
        let longest = self.lines.iter().flat_map(|line| &line.runs).next();
        let checkpoints = longest.map_or(&[][..], |run| &run.measured.checkpoints);
        checkpoints
            .iter()
            .map(|checkpoint| checkpoint.deletions)
            .collect()
    }

    /// Whether the deletions came one after the other.
    pub fn is_sequence(&self) -> bool {
        self.checkpoints()
            .last()
            .is_some_and(|deletions| *deletions > 1)
    }

    /// The line of an arm that every comparison has.
    pub fn line(&self, arm: &Arm) -> Option<&Line<'_>> {
        self.lines.iter().find(|line| line.arm == arm)
    }
}

impl Line<'_> {
    /// One figure over the seeds, at the `nth` checkpoint, over one group of users.
    pub fn spread(&self, column: &Column, nth: usize, group: Group) -> Option<Spread> {
        let values: Vec<f64> = self
            .runs
            .iter()
            .filter_map(|run| column.value(&run.at(nth, group)?))
            .collect();
        Spread::from_values(&values)
    }
}

/// Puts the runs of `results` together, in the order of the recipe.
pub fn comparisons(results: &Results) -> Vec<Comparison<'_>> {
    let recipe = &results.recipe;
    let mut found = Vec::new();
    for data in &recipe.data {
        for model in &recipe.model {
            for deletion in &recipe.deletion {
                let of_this = |record: &&RunRecord| {
                    let key = &record.key;
                    key.data == data.name && key.model == *model && key.deletion == *deletion
                };
                let records: Vec<&RunRecord> = results.records.iter().filter(of_this).collect();
                if !records.is_empty() {
                    found.push(Comparison {
                        data: data.name.clone(),
                        model: model.label(),
                        deletion: deletion.label(),
                        temperature: model.temperature(),
                        lines: lines(&records),
                    });
                }
            }
        }
    }
    found
}

fn lines<'a>(records: &[&'a RunRecord]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for record in records {
        let arm = &record.key.arm;
        let at = lines.iter().position(|line| line.arm == arm);
        let at = at.unwrap_or_else(|| {
            lines.push(Line {
                label: arm.label(),
                arm,
                runs: Vec::new(),
                failures: Vec::new(),
            });
            lines.len() - 1
        });
        match &record.outcome {
            Outcome::Failed(reason) => lines[at].failures.push(reason),
            Outcome::Measured(measured) => {
                let beside = |arm| measured_of(records, record.key.seed, arm);
                lines[at].runs.push(Run {
                    seed: record.key.seed,
                    measured,
                    reference: beside(&Arm::Reference),
                    retrain: beside(&Arm::Retrain),
                    nothing: beside(&Arm::Nothing),
                });
            }
        }
    }
    lines
}

fn measured_of<'a>(records: &[&'a RunRecord], seed: u64, arm: &Arm) -> Option<&'a Measured> {
    let is_it = |record: &&&RunRecord| record.key.seed == seed && record.key.arm == *arm;
    match &records.iter().find(is_it)?.outcome {
        Outcome::Measured(measured) => Some(measured),
        Outcome::Failed(_) => None,
    }
}
