//! The frame that distances to the retrained model are drawn in.

use super::chart::{Drawing, Frame};
use super::scale::Scale;
use crate::experiment::summary::Line;

const WIDTH: f64 = 900.0;
const FRAME: Frame = Frame {
    left: 70.0,
    right: 640.0,
    top: 14.0,
    bottom: 330.0,
};

/// A plot of distances against something, both axes logarithmic, with a legend at the right.
pub(super) struct Distances<'a> {
    /// The series, by number.
    names: Vec<(usize, &'a str)>,
    x: Scale,
    y: Scale,
    drawing: Drawing,
}

impl<'a> Distances<'a> {
    /// Axes for these values; `None` where there are none.
    pub(super) fn new(
        lines: &[(usize, &'a Line<'_>)],
        along: impl Iterator<Item = f64>,
        distances: impl Iterator<Item = f64>,
        along_name: &str,
    ) -> Option<Self> {
        let x = Scale::logarithmic(along, FRAME.left, FRAME.right)?;
        let y = Scale::logarithmic(distances, FRAME.bottom, FRAME.top)?;
        let height = (FRAME.bottom + 46.0).max(40.0 + 18.0 * lines.len() as f64);
        let mut drawing = Drawing::new(WIDTH, height);
        drawing.axes(
            FRAME,
            &x,
            &y,
            along_name,
            "relative distance to the retrain",
        );
        let names = lines.iter().map(|(n, line)| (*n, line.label.as_str()));
        Some(Self {
            names: names.collect(),
            x,
            y,
            drawing,
        })
    }

    /// Where a distance lies.
    pub(super) fn place(&self, along: f64, distance: f64) -> (f64, f64) {
        (self.x.place(along), self.y.place(distance))
    }

    /// A line across at a distance.
    pub(super) fn level(&mut self, distance: f64, name: &str) {
        let y = self.y.place(distance);
        self.drawing.level(FRAME, "level", y, name);
    }

    /// The line of a series.
    pub(super) fn path(&mut self, series: usize, places: &[(f64, f64)]) {
        self.drawing.path(series, places);
    }

    /// A mark of a series.
    pub(super) fn mark(&mut self, series: usize, place: (f64, f64)) {
        self.drawing.mark(series, place);
    }

    /// The figure.
    pub(super) fn finish(mut self, id: &str, title: &str, description: &str) -> String {
        let corner = (FRAME.right + 16.0, FRAME.top + 12.0);
        self.drawing.legend(corner, &self.names);
        self.drawing.finish(id, title, description)
    }
}
