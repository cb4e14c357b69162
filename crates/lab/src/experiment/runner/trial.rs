//! A trial: one model and one deletion, and the arms that are run on them.

use crate::experiment::data_set::DataSet;
use crate::experiment::deletion::{Deletion, Pair, cohort, touched, without};
use crate::experiment::measure::{Comparison, ComparisonOptions};
use crate::experiment::memory;
use crate::experiment::recipe::{DeletionSpec, MeasureOptions};
use crate::experiment::run_record::{Arm, Checkpoint, Measured, Outcome};
use crate::experiment::unlearner::{Change, MethodError, Precision, Subject, Trained, Unlearner};
use crate::experiment::watch::Watch;
use recant_core::model::InteractionMatrix;
use recant_eval::{Scorer, relative_distance};

/// What a trial is set up from.
pub(super) struct Setting<'a> {
    pub(super) data: &'a DataSet,
    pub(super) subject: &'a Subject,
    /// The model trained on everything.
    pub(super) original: &'a Trained,
    pub(super) deletion: &'a DeletionSpec,
    pub(super) measure: MeasureOptions,
    pub(super) temperature: f64,
    pub(super) seed: u64,
}

/// A setting with the retrained models to compare with.
pub(super) struct Trial<'a> {
    setting: Setting<'a>,
    deletion: Deletion,
    stops: Vec<Stop<'a>>,
}

/// A checkpoint: the model retrained there, and what its training took.
struct Stop<'a> {
    steps: usize,
    comparison: Comparison<'a>,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

impl<'a> Trial<'a> {
    /// Draws the deletion and retrains for each of its checkpoints.
    pub(super) fn new(setting: Setting<'a>) -> Result<Self, MethodError> {
        let drawn = Deletion::draw(setting.deletion, &setting.data.train, setting.seed);
        let deletion = drawn.expect("the plan has drawn it before");
        let stops = deletion.checkpoints.iter();
        let stops = stops.map(|steps| Stop::new(&setting, &deletion, *steps));
        Ok(Self {
            stops: stops.collect::<Result<_, _>>()?,
            setting,
            deletion,
        })
    }

    /// What comes of an arm.
    pub(super) fn outcome(&self, arm: &Arm) -> Outcome {
        let measured = match arm {
            Arm::Reference => self.reference(),
            _ => self.tried(arm),
        };
        match measured {
            Ok(measured) => Outcome::Measured(measured),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    /// The retrained models, each compared with itself.
    fn reference(&self) -> Result<Measured, MethodError> {
        let checkpoint = |stop: &Stop<'_>| {
            let model = stop.comparison.reference.scorer();
            stop.comparison.measure(model, stop.steps, stop.seconds)
        };
        let checkpoints: Result<_, _> = self.stops.iter().map(checkpoint).collect();
        Ok(Measured {
            checkpoints: checkpoints?,
            curve: Vec::new(),
            peak_memory_bytes: self
                .stops
                .iter()
                .filter_map(|stop| stop.peak_memory_bytes)
                .max(),
        })
    }

    fn tried(&self, arm: &Arm) -> Result<Measured, MethodError> {
        let Setting {
            data,
            subject,
            original,
            measure,
            seed,
            ..
        } = &self.setting;
        let last = self.stops.last().expect("every deletion has a checkpoint");
        let retained = &last.comparison.retained;
        let erased = self.deletion.until(last.steps);
        let looked_at = cohort(retained, &erased, measure.curve_users_max, *seed);
        let distance = |model: &dyn Scorer| {
            let reference = last.comparison.reference.scorer();
            relative_distance(model, reference, retained, &looked_at)
        };
        // A sequence has its checkpoints instead of a curve.
        let is_sequence = self.deletion.steps.len() > 1;
        let mut run = ArmRun {
            watch: Watch::new((!is_sequence).then_some(&distance)),
            unlearner: subject.unlearner(arm, original, &data.train, *seed)?,
            retained: data.train.clone(),
            done: 0,
            peak_memory_bytes: None,
        };
        let to = |stop: &Stop<'_>| run.to(stop, &self.deletion);
        let checkpoints: Result<_, _> = self.stops.iter().map(to).collect();
        let checkpoints = checkpoints?;
        let (_, curve) = run.watch.finish(run.unlearner.model());
        Ok(Measured {
            checkpoints,
            curve,
            peak_memory_bytes: run.peak_memory_bytes,
        })
    }
}

impl<'a> Stop<'a> {
    fn new(setting: &Setting<'a>, deletion: &Deletion, steps: usize) -> Result<Self, MethodError> {
        let erased = deletion.until(steps);
        let retained = without(&setting.data.train, &erased);
        let mut watch = Watch::new(None);
        memory::reset_peak();
        let reference = setting.subject.train(
            &retained,
            setting.subject.reference_seeds(setting.seed),
            Precision::Reference,
            &mut watch,
        )?;
        let peak_memory_bytes = memory::peak_bytes();
        let options = ComparisonOptions {
            users_max: setting.measure.users_max,
            temperature: setting.temperature,
            seed: setting.seed,
        };
        Ok(Self {
            steps,
            comparison: Comparison::new(setting.data, &erased, retained, reference, options),
            seconds: watch.seconds(),
            peak_memory_bytes,
        })
    }
}

/// An arm at work on a deletion.
struct ArmRun<'a> {
    watch: Watch<'a>,
    unlearner: Box<dyn Unlearner + 'a>,
    retained: InteractionMatrix,
    /// Steps erased so far.
    done: usize,
    peak_memory_bytes: Option<u64>,
}

impl ArmRun<'_> {
    /// Erases up to a checkpoint, and compares there.
    fn to(&mut self, stop: &Stop<'_>, deletion: &Deletion) -> Result<Checkpoint, MethodError> {
        let steps = &deletion.steps[self.done..stop.steps];
        memory::reset_peak();
        if self.unlearner.is_incremental() {
            steps.iter().try_for_each(|pairs| self.erase(pairs))?;
        } else {
            self.erase(&steps.concat())?;
        }
        self.done = stop.steps;
        self.peak_memory_bytes = self.peak_memory_bytes.max(memory::peak_bytes());
        let model = self.unlearner.model();
        stop.comparison
            .measure(model, stop.steps, self.watch.seconds())
    }

    fn erase(&mut self, pairs: &[Pair]) -> Result<(), MethodError> {
        for (user, item) in pairs {
            self.retained.remove(*user, *item);
        }
        let change = Change {
            retained: &self.retained,
            touched: touched(pairs),
            pairs,
        };
        self.unlearner.erase(&change, &mut self.watch)
    }
}
