//! The clock of a method, and the curve of how near it has come.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::eval::scorer::Scorer;

/// A look that comes less than this factor of time after the last one is left out: a curve is
/// drawn over the logarithm of time, and each look costs a comparison.
const STRETCH: f64 = 1.15;

/// How far a method was after some time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Since the deletion; looking is not counted.
    pub seconds: f64,
    /// Relative Frobenius distance of the scores to the retrained model's.
    pub distance: f64,
}

/// Measures the distance of a model to the retrained one.
pub(super) type DistanceTo<'a> = &'a dyn Fn(&dyn Scorer) -> Option<f64>;

/// Takes a method's time, and looks at its model now and then without counting that.
pub(super) struct Watch<'a> {
    elapsed: Duration,
    running_since: Option<Instant>,
    distance: Option<DistanceTo<'a>>,
    curve: Vec<CurvePoint>,
}

impl<'a> Watch<'a> {
    /// A stopped clock; without `distance` there is no curve.
    pub(super) fn new(distance: Option<DistanceTo<'a>>) -> Self {
        Self {
            elapsed: Duration::ZERO,
            running_since: None,
            distance,
            curve: Vec::new(),
        }
    }

    /// Runs the clock while `work` runs.
    pub(super) fn time<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.running_since = Some(Instant::now());
        let done = work(self);
        self.pause();
        done
    }

    fn pause(&mut self) {
        if let Some(since) = self.running_since.take() {
            self.elapsed += since.elapsed();
        }
    }

    /// Seconds counted so far.
    pub(super) fn seconds(&self) -> f64 {
        let running = self
            .running_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        (self.elapsed + running).as_secs_f64()
    }

    /// Whether [`Watch::look`] would look: for callers to whom showing the model is work.
    pub(super) fn is_due(&self) -> bool {
        let last = self.curve.last().map_or(0.0, |point| point.seconds);
        self.distance.is_some() && self.seconds() >= STRETCH * last
    }

    /// Looks at the model if it is time to; the clock stands still meanwhile.
    pub(super) fn look(&mut self, model: &dyn Scorer) {
        if self.is_due() {
            self.look_anyway(model);
        }
    }

    /// Looks at the model, which `make` makes, if it is time to; the clock stands still meanwhile.
    pub(super) fn look_at<S: Scorer>(&mut self, make: impl FnOnce() -> S) {
        if self.is_due() {
            let was_running = self.running_since.is_some();
            self.pause();
            let model = make();
            self.look_anyway(&model);
            if was_running {
                self.running_since = Some(Instant::now());
            }
        }
    }

    fn look_anyway(&mut self, model: &dyn Scorer) {
        let was_running = self.running_since.is_some();
        self.pause();
        let distance = self.distance.and_then(|distance| distance(model));
        if let Some(distance) = distance.filter(|distance| distance.is_finite()) {
            self.curve.push(CurvePoint {
                seconds: self.elapsed.as_secs_f64(),
                distance,
            });
        }
        if was_running {
            self.running_since = Some(Instant::now());
        }
    }

    /// The time and the curve, with the finished model as its last point.
    pub(super) fn finish(mut self, model: &dyn Scorer) -> (f64, Vec<CurvePoint>) {
        self.pause();
        self.look_anyway(model);
        (self.elapsed.as_secs_f64(), self.curve)
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;

    struct Constant(f64);

    impl Scorer for Constant {
        fn user_rows(&self) -> usize {
            1
        }

        fn item_rows(&self) -> usize {
            1
        }

        fn scores(&self, users: &[u32]) -> Mat<f64> {
            Mat::from_fn(1, users.len(), |_, _| self.0)
        }
    }

    #[test]
    fn the_curve_rises_in_time_and_ends_with_the_finished_model() {
        let distance = |model: &dyn Scorer| Some(model.scores(&[0])[(0, 0)]);
        let mut watch = Watch::new(Some(&distance));
        watch.time(|watch| {
            for step in 0..200 {
                watch.look(&Constant(f64::from(200 - step)));
                std::hint::black_box((0..2_000).sum::<u64>());
            }
        });
        let (seconds, curve) = watch.finish(&Constant(0.25));
        assert!(curve.is_sorted_by(|a, b| a.seconds <= b.seconds));
        assert_eq!(curve.last().map(|point| point.distance), Some(0.25));
        assert_eq!(curve.last().map(|point| point.seconds), Some(seconds));
    }

    #[test]
    fn what_is_no_number_makes_no_point() {
        let distance = |model: &dyn Scorer| Some(model.scores(&[0])[(0, 0)]);
        let (_, curve) = Watch::new(Some(&distance)).finish(&Constant(f64::NAN));
        assert_eq!(curve, []);
        let (_, curve) = Watch::new(None).finish(&Constant(1.0));
        assert_eq!(curve, []);
    }
}
