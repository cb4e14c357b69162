//! Distance to the retrained model against the number of deletions.

use super::chart::{Drawing, Frame};
use super::curves::heading_text;
use super::scale::Scale;
use crate::eval::cohort::Group;
use crate::experiment::cell::Approach;
use crate::experiment::summary::{Column, Comparison, Line};

const WIDTH: f64 = 900.0;
const FRAME: Frame = Frame {
    left: 70.0,
    right: 640.0,
    top: 14.0,
    bottom: 330.0,
};

/// The plot of deletions one after the other; empty where nothing was measured.
pub(super) fn plot(comparison: &Comparison<'_>, nth: usize) -> String {
    let deletions = comparison.checkpoints();
    let column = Column::named("distance");
    let lines: Vec<(usize, &Line<'_>)> = comparison
        .lines
        .iter()
        .filter(|line| !matches!(line.approach, Approach::Reference))
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
    let x = Scale::logarithmic(counts, FRAME.left, FRAME.right);
    let y = Scale::logarithmic(distances, FRAME.bottom, FRAME.top);
    let (Some(x), Some(y)) = (x, y) else {
        return String::new();
    };
    let height = (FRAME.bottom + 46.0).max(40.0 + 18.0 * lines.len() as f64);
    let mut drawing = Drawing::new(WIDTH, height);
    drawing.axes(
        FRAME,
        &x,
        &y,
        "deletions so far",
        "relative distance to the retrain",
    );
    for (series, line) in &lines {
        let place = |at: usize| {
            let distance = mean(line, at)?;
            Some((x.place(deletions[at] as f64), y.place(distance)))
        };
        let places: Vec<(f64, f64)> = (0..deletions.len()).filter_map(place).collect();
        drawing.path(*series, &places);
        places
            .into_iter()
            .for_each(|place| drawing.mark(*series, place));
    }
    let names: Vec<(usize, &str)> = lines
        .iter()
        .map(|(series, line)| (*series, line.label.as_str()))
        .collect();
    drawing.legend((FRAME.right + 16.0, FRAME.top + 12.0), &names);
    let title = format!(
        "Distance to the retrained model by deletions: {}",
        heading_text(comparison)
    );
    let description = "Both axes are logarithmic. One line for each method, the mean over the seeds; \
                       the model is compared with one retrained on what is left at each mark. A line \
                       that rises above the two retrains' drifts.";
    drawing.finish(&format!("sequence-{nth}"), &title, description)
}
