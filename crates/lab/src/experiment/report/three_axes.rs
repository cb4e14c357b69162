//! Consistency, accuracy and efficiency side by side.

use super::chart::{Drawing, Frame};
use super::curves::heading_text;
use super::scale::Scale;
use crate::experiment::run_record::Arm;
use crate::experiment::summary::{Column, Comparison, Line, Spread};
use recant_eval::Group;

const WIDTH: f64 = 900.0;
const TOP: f64 = 34.0;
const LINE_HEIGHT: f64 = 24.0;

/// Where the names end and the panels lie.
const NAMES: f64 = 262.0;
const PANELS: [(f64, f64); 3] = [(276.0, 466.0), (490.0, 680.0), (704.0, 890.0)];

/// One of the three axes.
struct Axis {
    title: &'static str,
    column: &'static str,
    name: &'static str,
    is_logarithmic: bool,
}

const AXES: [Axis; 3] = [
    Axis {
        title: "consistency",
        column: "distance",
        name: "relative distance",
        is_logarithmic: true,
    },
    Axis {
        title: "accuracy",
        column: "NDCG@20 change",
        name: "change of NDCG@20",
        is_logarithmic: false,
    },
    Axis {
        title: "efficiency",
        column: "seconds",
        name: "seconds",
        is_logarithmic: true,
    },
];

/// The plot at the last checkpoint; empty where nothing was measured.
pub(super) fn plot(comparison: &Comparison<'_>, nth: usize) -> String {
    let last = comparison.checkpoints().len().saturating_sub(1);
    let lines: Vec<&Line<'_>> = comparison
        .lines
        .iter()
        .filter(|line| !matches!(line.arm, Arm::Reference) && !line.runs.is_empty())
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let bottom = TOP + LINE_HEIGHT * lines.len() as f64;
    let mut drawing = Drawing::new(WIDTH, bottom + 44.0);
    for (row, line) in lines.iter().enumerate() {
        drawing.text("legend", (NAMES, middle(row) + 4.0), "end", &line.label);
    }
    for (axis, (left, right)) in AXES.iter().zip(PANELS) {
        let frame = Frame {
            left,
            right,
            top: TOP - 6.0,
            bottom,
        };
        let column = Column::named(axis.column);
        let spreads: Vec<Option<Spread>> = lines
            .iter()
            .map(|line| line.spread(column, last, Group::All))
            .collect();
        panel(&mut drawing, frame, axis, &spreads);
    }
    let title = format!(
        "Consistency, accuracy, efficiency: {}",
        heading_text(comparison)
    );
    let description = "Three panels with one line for each arm: the relative distance to the \
                       retrained model, the relative change of NDCG@20 against it, and the seconds \
                       it took; a mark for the mean over the seeds and a bar for their range. \
                       Further to the left is better in the first and the last.";
    drawing.finish(&format!("axes-{nth}"), &title, description)
}

fn middle(row: usize) -> f64 {
    TOP + LINE_HEIGHT * (row as f64 + 0.5)
}

fn panel(drawing: &mut Drawing, frame: Frame, axis: &Axis, spreads: &[Option<Spread>]) {
    let values = spreads
        .iter()
        .flatten()
        .flat_map(|s| [s.least, s.mean, s.largest]);
    let scale = if axis.is_logarithmic {
        Scale::logarithmic(values, frame.left, frame.right)
    } else {
        Scale::linear(values, frame.left, frame.right)
    };
    drawing.text("panel", (frame.left, frame.top - 8.0), "start", axis.title);
    let Some(scale) = scale else {
        return;
    };
    drawing.x_axis(frame, &scale, axis.name);
    if !axis.is_logarithmic {
        let zero = scale.place(0.0);
        drawing.line("axis", (zero, frame.top), (zero, frame.bottom));
    }
    for (row, spread) in spreads.iter().enumerate() {
        let Some(spread) = spread.filter(|s| !axis.is_logarithmic || s.mean > 0.0) else {
            continue;
        };
        let at = |value: f64| (scale.place(value), middle(row));
        drawing.line("range", at(spread.least), at(spread.largest));
        drawing.mark(0, at(spread.mean));
    }
}
