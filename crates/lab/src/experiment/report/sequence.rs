//! Distance to the retrained model against the number of deletions.

use super::curves::heading_text;
use super::distances::Distances;
use crate::experiment::run_record::Arm;
use crate::experiment::summary::{Column, Comparison, Line};
use recant_eval::Group;

/// The plot of deletions one after the other; empty where nothing was measured.
pub(super) fn plot(comparison: &Comparison<'_>, nth: usize) -> String {
    let deletions = comparison.checkpoints();
    let column = Column::named("distance");
    let lines: Vec<(usize, &Line<'_>)> = comparison
        .lines
        .iter()
        .filter(|line| !matches!(line.arm, Arm::Reference))
        .enumerate()
        .collect();
    let mean = |line: &Line<'_>, at: usize| {
        let spread = line.spread(column, at, Group::All);
        spread.map(|spread| spread.mean)
    };
    let distances = lines.iter().flat_map(|(_, line)| {
        let line = *line;
        (0..deletions.len()).filter_map(move |at| mean(line, at))
    });
    let counts = deletions.iter().map(|count| *count as f64);
    let name = "deletions so far";
    let Some(mut plot) = Distances::new(&lines, counts, distances, name) else {
        return String::new();
    };
    for (series, line) in &lines {
        let place = |at: usize| Some(plot.place(deletions[at] as f64, mean(line, at)?));
        let places: Vec<(f64, f64)> = (0..deletions.len()).filter_map(place).collect();
        plot.path(*series, &places);
        for place in places {
            plot.mark(*series, place);
        }
    }
    let title = format!(
        "Distance to the retrained model by deletions: {}",
        heading_text(comparison)
    );
    let description = "Both axes are logarithmic. One line for each method, the mean over the seeds; \
                       the model is compared with one retrained on what is left at each mark. A line \
                       that rises above the two retrains' drifts.";
    plot.finish(&format!("sequence-{nth}"), &title, description)
}
