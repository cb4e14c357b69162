//! Finished cells put together: one table for each data set, model and deletion, one line for each
//! approach, with the mean and the range over the seeds.

mod column;
mod figure;

pub use column::{COLUMNS, Column, Section};
pub use figure::{figure, spread};

use serde::Serialize;

use super::cell::{Approach, Cell, Checkpoint, Measured, Outcome};
use super::results::Results;
use super::watch::CurvePoint;
use recant_eval::cohort::Group;

/// The values of one figure over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub least: f64,
    /// The largest.
    pub largest: f64,
    /// How many.
    pub count: usize,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        (count > 0).then(|| Self {
            mean: values.iter().sum::<f64>() / count as f64,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            largest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            count,
        })
    }
}

/// All approaches to one deletion from one model.
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

/// One approach with its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The approach, as tables call it.
    pub label: String,
    /// Which approach.
    pub approach: &'a Approach,
    /// One for each seed that was measured.
    pub runs: Vec<Run<'a>>,
    /// Why the others failed.
    pub failures: Vec<&'a str>,
}

/// A measured cell beside those it is judged by.
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

/// One checkpoint of a run beside those it is judged by.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    own: &'a Checkpoint,
    reference: Option<&'a Checkpoint>,
    retrain: Option<&'a Checkpoint>,
    nothing: Option<&'a Checkpoint>,
    measured: &'a Measured,
    group: Group,
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

    /// The distance along the way.
    pub fn curve(&self) -> &'a [CurvePoint] {
        &self.measured.curve
    }
}

impl View<'_> {
    /// The first time, along the way, at which the distance is at most `distance`.
    fn seconds_to(&self, distance: f64) -> Option<f64> {
        let mut points = self.measured.curve.iter();
        let reached = points.find(|point| point.distance <= distance)?;
        Some(reached.seconds)
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

    /// The line of an approach that every comparison has.
    pub fn line(&self, approach: &Approach) -> Option<&Line<'_>> {
        self.lines.iter().find(|line| line.approach == approach)
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
        Spread::of(&values)
    }
}

/// Puts the cells of `results` together, in the order of the recipe.
pub fn comparisons(results: &Results) -> Vec<Comparison<'_>> {
    let recipe = &results.recipe;
    let mut found = Vec::new();
    for data in &recipe.data {
        for model in &recipe.model {
            for deletion in &recipe.deletion {
                let of_this = |cell: &&Cell| {
                    let key = &cell.key;
                    key.data == data.name && key.model == *model && key.deletion == *deletion
                };
                let cells: Vec<&Cell> = results.cells.iter().filter(of_this).collect();
                if !cells.is_empty() {
                    found.push(Comparison {
                        data: data.name.clone(),
                        model: model.label(),
                        deletion: deletion.label(),
                        temperature: model.temperature(),
                        lines: lines(&cells),
                    });
                }
            }
        }
    }
    found
}

fn lines<'a>(cells: &[&'a Cell]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for cell in cells {
        let approach = &cell.key.approach;
        let at = lines.iter().position(|line| line.approach == approach);
        let at = at.unwrap_or_else(|| {
            lines.push(Line {
                label: approach.label(),
                approach,
                runs: Vec::new(),
                failures: Vec::new(),
            });
            lines.len() - 1
        });
        match &cell.outcome {
            Outcome::Failed(reason) => lines[at].failures.push(reason),
            Outcome::Measured(measured) => {
                let beside = |approach| measured_of(cells, cell.key.seed, approach);
                lines[at].runs.push(Run {
                    seed: cell.key.seed,
                    measured,
                    reference: beside(&Approach::Reference),
                    retrain: beside(&Approach::Retrain),
                    nothing: beside(&Approach::Nothing),
                });
            }
        }
    }
    lines
}

fn measured_of<'a>(cells: &[&'a Cell], seed: u64, approach: &Approach) -> Option<&'a Measured> {
    let is_it = |cell: &&&Cell| cell.key.seed == seed && cell.key.approach == *approach;
    match &cells.iter().find(is_it)?.outcome {
        Outcome::Measured(measured) => Some(measured),
        Outcome::Failed(_) => None,
    }
}
