//! The clock of a training or a method, and who is shown the model on its way.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use recant_eval::Scorer;

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

/// Is shown a model in the course of its training.
pub(super) struct EpochViewer<'a> {
    /// Whether it is to be shown after so many epochs.
    pub(super) wants: &'a dyn Fn(usize) -> bool,
    /// Takes the epochs and the seconds so far, and the model.
    pub(super) show: &'a mut dyn FnMut(usize, f64, &dyn Scorer),
}

/// Who looks at the model along the way.
enum Viewer<'a> {
    Nobody,
    /// Whenever the time has grown by [`STRETCH`], for the curve.
    Distance(DistanceTo<'a>),
    /// After the epochs it wants.
    Epochs(EpochViewer<'a>),
}

/// Takes the time of a training or a method, and shows its model now and then without counting that.
pub(super) struct Watch<'a> {
    elapsed: Duration,
    running_since: Option<Instant>,
    viewer: Viewer<'a>,
    curve: Vec<CurvePoint>,
}

impl<'a> Watch<'a> {
    /// A stopped clock; without `distance` there is no curve.
    pub(super) fn new(distance: Option<DistanceTo<'a>>) -> Self {
        Self::shown_to(distance.map_or(Viewer::Nobody, Viewer::Distance))
    }

    /// A stopped clock that shows the model of a training to `viewer`; there is no curve.
    pub(super) fn of_epochs(viewer: EpochViewer<'a>) -> Self {
        Self::shown_to(Viewer::Epochs(viewer))
    }

    fn shown_to(viewer: Viewer<'a>) -> Self {
        Self {
            elapsed: Duration::ZERO,
            running_since: None,
            viewer,
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

    /// The clock stands still while `work` runs.
    fn standing_still(&mut self, work: impl FnOnce(&mut Self)) {
        let was_running = self.running_since.is_some();
        self.pause();
        work(self);
        if was_running {
            self.running_since = Some(Instant::now());
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
        matches!(self.viewer, Viewer::Distance(_)) && self.seconds() >= STRETCH * last
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
            self.standing_still(|watch| watch.look_anyway(&make()));
        }
    }

    /// Like [`Watch::look_at`] when so many `epochs` of a training are done, for those too who look
    /// at certain epochs.
    pub(super) fn look_after_epoch<S: Scorer>(&mut self, epochs: usize, make: impl FnOnce() -> S) {
        match &self.viewer {
            Viewer::Epochs(viewer) if (viewer.wants)(epochs) => {
                self.standing_still(|watch| watch.show(epochs, &make()));
            }
            _ => self.look_at(make),
        }
    }

    fn show(&mut self, epochs: usize, model: &dyn Scorer) {
        let seconds = self.seconds();
        if let Viewer::Epochs(viewer) = &mut self.viewer {
            (viewer.show)(epochs, seconds, model);
        }
    }

    fn look_anyway(&mut self, model: &dyn Scorer) {
        let Viewer::Distance(distance) = self.viewer else {
            return;
        };
        self.standing_still(|watch| {
            if let Some(distance) = distance(model).filter(|distance| distance.is_finite()) {
                watch.curve.push(CurvePoint {
                    seconds: watch.elapsed.as_secs_f64(),
                    distance,
                });
            }
        });
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
    fn a_training_is_shown_after_the_epochs_that_are_wanted_and_time_stands_still_meanwhile() {
        let (mut shown, mut looked) = (Vec::new(), Duration::ZERO);
        let wants = |epochs: usize| epochs.is_multiple_of(2);
        let mut show = |epochs, seconds, model: &dyn Scorer| {
            let began = Instant::now();
            shown.push((epochs, seconds, model.scores(&[0])[(0, 0)]));
            while began.elapsed() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            looked += began.elapsed();
        };
        let mut watch = Watch::of_epochs(EpochViewer {
            wants: &wants,
            show: &mut show,
        });
        let began = Instant::now();
        watch.time(|watch| {
            for epoch in 1..=5 {
                watch.look_after_epoch(epoch, || Constant(epoch as f64));
                watch.look(&Constant(-1.0));
            }
        });
        let (all, (counted, curve)) = (began.elapsed(), watch.finish(&Constant(-1.0)));
        let looks: Vec<(usize, f64)> = shown.iter().map(|look| (look.0, look.2)).collect();
        assert_eq!(looks, [(2, 2.0), (4, 4.0)]);
        assert!(shown.is_sorted_by(|a, b| a.1 <= b.1) && shown[1].1 <= counted);
        let rest = (all - looked).as_secs_f64();
        assert!(counted <= rest, "{counted} of {rest}");
        assert_eq!(curve, []);
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
