//! Distance to the retrained model against time.

use super::distances::Distances;
use crate::experiment::run_record::Arm;
use crate::experiment::summary::{Column, Comparison, Line};
use recant_eval::Group;

/// The plot of a deletion that was made at once; empty where nothing was measured.
pub(super) fn plot(comparison: &Comparison<'_>, nth: usize) -> String {
    let lines: Vec<(usize, &Line<'_>)> = comparison
        .lines
        .iter()
        .filter(|line| is_drawn(line))
        .enumerate()
        .collect();
    let points = || {
        let runs = lines.iter().flat_map(|(_, line)| &line.runs);
        runs.flat_map(|run| run.curve())
    };
    let levels = levels(comparison);
    let distances = points()
        .map(|point| point.distance)
        .chain(levels.iter().map(|l| l.1));
    let seconds = points().map(|point| point.seconds);
    let name = "seconds since the deletion";
    let Some(mut plot) = Distances::new(&lines, seconds, distances, name) else {
        return String::new();
    };
    for (name, distance) in &levels {
        plot.level(*distance, name);
    }
    for (series, line) in &lines {
        for run in &line.runs {
            let places: Vec<(f64, f64)> = run
                .curve()
                .iter()
                .map(|point| plot.place(point.seconds, point.distance))
                .collect();
            plot.path(*series, &places);
            if let Some(end) = places.last() {
                plot.mark(*series, *end);
            }
        }
    }
    let title = format!(
        "Distance to the retrained model against time: {}",
        heading_text(comparison)
    );
    let description = "Both axes are logarithmic. One line for each seed of each method, with a mark \
                       where the method ends; level lines show what two retrains differ by and what \
                       doing nothing leaves. The figures are in the tables below.";
    plot.finish(&format!("curves-{nth}"), &title, description)
}

/// Retrains and methods have an end to show; the reference and doing nothing have none.
fn is_drawn(line: &Line<'_>) -> bool {
    let without_end = matches!(line.arm, Arm::Reference | Arm::Nothing);
    !without_end && line.runs.iter().any(|run| !run.curve().is_empty())
}

/// Noise floors and ceiling.
pub(super) fn levels(comparison: &Comparison<'_>) -> Vec<(&'static str, f64)> {
    let last = comparison.checkpoints().len().saturating_sub(1);
    let level = |arm, name| {
        let line = comparison.line(&arm)?;
        let spread = line.spread(Column::named("distance"), last, Group::All)?;
        (spread.mean > 0.0).then_some((name, spread.mean))
    };
    [
        level(Arm::Retrain, "noise floor: two retrains"),
        level(Arm::RetrainSameStart, "two retrains, same start"),
        level(Arm::RetrainSameExamples, "two retrains, same negatives"),
        level(Arm::Nothing, "ceiling: nothing done"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The heading as plain text.
pub(super) fn heading_text(comparison: &Comparison<'_>) -> String {
    let Comparison {
        data,
        model,
        deletion,
        ..
    } = comparison;
    format!("{data}, {model}, {deletion}")
}
