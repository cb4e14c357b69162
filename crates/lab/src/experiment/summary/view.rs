//! One checkpoint of a run, as figures see it.

use crate::experiment::run_record::{Checkpoint, Measured};
use recant_eval::Group;

/// One checkpoint of a run beside those it is judged by.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub(super) own: &'a Checkpoint,
    pub(super) reference: Option<&'a Checkpoint>,
    pub(super) retrain: Option<&'a Checkpoint>,
    pub(super) nothing: Option<&'a Checkpoint>,
    pub(super) measured: &'a Measured,
    pub(super) group: Group,
}

impl View<'_> {
    /// The first time, while the method was at work, at which the distance is at most `distance`.
    pub(super) fn seconds_to(&self, distance: f64) -> Option<f64> {
        let mut points = self.measured.curve.iter();
        let reached = points.find(|point| point.distance <= distance)?;
        Some(reached.seconds)
    }
}
