//! The methods, each from the same trained model to the same deletion.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use recant_core::model::{Ials, InteractionMatrix};
use recant_core::optim::als;
use recant_core::optim::als::{CACHE_BYTES_MAX, TrainingOptions};
use recant_core::unlearn::{
    Convergence, Goal, REFINED_SHARE, UpdateOptions, Warm, cold, converge, update,
};
use recant_http::{CertificateSettings, LearningSettings, TrainingSettings};
use recant_types::IalsHyperparameters;

use crate::closeness::{Closeness, closeness};
use crate::deletion::Deletion;
use crate::joint::newton_cg::Preconditioner;
use crate::joint::{Joint, adamw, lbfgs, newton_cg};
use crate::support::table::shown;

/// Share of the certificate's target that training works to, as in the command `train`.
const TRAINING_SHARE: f64 = 0.5;

/// Seeds of the first training, of the reference, and of the retrain that is timed.
const SEEDS: [u64; 3] = [1, 2, 3];

/// What the reference is certified and converged to.
const REFERENCE_ROOT_MEAN_SQUARE: f64 = 4e-6;
const REFERENCE_RESIDUAL: f64 = 1e-7;

const SWEEPS_MAX: usize = 500;

/// Learning rates tried for AdamW; the one with the lowest objective is shown.
const RATES: [f64; 3] = [1e-4, 1e-3, 1e-2];

/// Conjugate gradient steps of one Newton step.
const PRODUCTS: usize = 12;

/// Length of the first step of L-BFGS, which has seen no curvature yet.
const FIRST_LENGTH: f64 = 1e-2;

/// What takes part.
pub struct Settings {
    /// Names of the methods.
    pub methods: Vec<&'static str>,
    /// Steps of AdamW and of L-BFGS.
    pub steps: usize,
}

/// What one method came to.
pub struct Outcome {
    /// The method's line in the table.
    pub line: usize,
    /// The method in words.
    pub name: String,
    /// From the deletion to the method's model.
    pub time: Duration,
    /// To the reference.
    pub closeness: Closeness,
}

/// The model before any deletion.
pub struct Start {
    model: Ials,
    /// What its training took.
    pub time: Duration,
}

fn train(matrix: &InteractionMatrix, hyper: IalsHyperparameters, seed: u64, goal: &Goal) -> Ials {
    let options = TrainingOptions {
        seed,
        tolerance: goal.residual,
        max_sweeps: goal.max_sweeps,
        ..TrainingOptions::default()
    };
    let target = goal.root_mean_square;
    let trained = cold::train(matrix, hyper, &options, target, &mut |_| {
        ControlFlow::Continue(())
    });
    let (model, convergence) = trained
        .expect("it does not diverge")
        .expect("nothing ends it");
    tell_if_open(&convergence, target);
    model
}

fn tell_if_open(convergence: &Convergence, target: f64) {
    let bound = convergence.gap.root_mean_square;
    if bound > target {
        println!("(certified to {bound:.1e} only, wanted {target:.1e})");
    }
}

/// What training and refining work to by default.
fn goal(share: f64) -> Goal {
    Goal {
        root_mean_square: share * CertificateSettings::default().target,
        residual: TrainingSettings::default().tolerance,
        max_sweeps: SWEEPS_MAX,
        seed: SEEDS[0],
    }
}

fn certify(model: &mut Ials, matrix: &InteractionMatrix, warm: &mut Warm, goal: &Goal) -> bool {
    let convergence = converge(model, matrix, warm, goal, &|| false, &mut |_| {
        ControlFlow::Continue(())
    });
    let convergence = convergence
        .expect("it does not diverge")
        .expect("nothing ends it");
    tell_if_open(&convergence, goal.root_mean_square);
    convergence.changed
}

impl Start {
    /// Trains on everything.
    pub fn train(matrix: &InteractionMatrix, hyper: IalsHyperparameters) -> Self {
        let started = Instant::now();
        let model = train(matrix, hyper, SEEDS[0], &goal(TRAINING_SHARE));
        Self {
            model,
            time: started.elapsed(),
        }
    }

    /// The model after one more sweep, and what a service that has refined it keeps.
    fn refined(&self, matrix: &InteractionMatrix) -> (Ials, Warm) {
        let (mut model, mut warm) = (self.model.clone(), Warm::new(CACHE_BYTES_MAX));
        als::refine(
            &mut model,
            matrix,
            &mut warm.cache,
            0.0,
            1,
            &|| false,
            &mut |_| ControlFlow::Continue(()),
        )
        .expect("a sweep ends");
        let changed = certify(&mut model, matrix, &mut warm, &goal(1.0));
        assert!(!changed, "the kept factors belong to other coordinates");
        (model, warm)
    }
}

/// All methods on one deletion.
pub struct Competition {
    /// The model that saw everything.
    trained: Ials,
    /// The same with exact zero rows where nothing is left.
    cleared: Ials,
    warm: Warm,
    deletion: Deletion,
    reference: Ials,
    outcomes: Vec<Outcome>,
    line: usize,
}

impl Competition {
    /// From the model of `start` to `deletion` from `matrix`; finds what to compare with.
    pub fn new(start: &Start, matrix: &InteractionMatrix, deletion: Deletion) -> Self {
        let (trained, warm) = start.refined(matrix);
        let mut cleared = trained.clone();
        cleared.clear_inactive(&deletion.matrix);
        let goal = Goal {
            root_mean_square: REFERENCE_ROOT_MEAN_SQUARE,
            residual: REFERENCE_RESIDUAL,
            ..goal(1.0)
        };
        let reference = if deletion.retrained {
            train(&deletion.matrix, trained.hyper, SEEDS[1], &goal)
        } else {
            let (mut model, mut fresh) = (cleared.clone(), Warm::new(CACHE_BYTES_MAX));
            certify(&mut model, &deletion.matrix, &mut fresh, &goal);
            model
        };
        Self {
            trained,
            cleared,
            warm,
            deletion,
            reference,
            outcomes: Vec::new(),
            line: 0,
        }
    }

    /// The outcomes, that of doing nothing first; besides it the stages alone unless `all`.
    pub fn run(mut self, settings: &Settings, all: bool) -> Vec<Outcome> {
        let has = |name| settings.methods.contains(&name);
        self.outcome("nothing", true, |this| this.trained.clone());
        self.outcome("cold retrain", all && has("cold"), |this| {
            let matrix = &this.deletion.matrix;
            train(matrix, this.trained.hyper, SEEDS[2], &goal(TRAINING_SHARE))
        });
        for sweeps in [1, 5] {
            let name = format!("ALS, {sweeps} exact sweeps");
            self.outcome(&name, all && has("sweeps"), |this| {
                let mut model = this.cleared.clone();
                for _ in 0..sweeps {
                    als::sweep(&mut model, &this.deletion.matrix, &|| false);
                }
                model
            });
        }
        self.adamw(settings.steps, all && has("adamw"));
        let name = format!("joint L-BFGS, {} steps", settings.steps);
        self.outcome(&name, all && has("lbfgs"), |this| {
            this.jointly(|joint, start| lbfgs::minimise(joint, start, FIRST_LENGTH, settings.steps))
        });
        for steps in [1, 5] {
            let name = format!("joint Newton-CG, {steps} × {PRODUCTS}");
            self.outcome(&name, all && has("newton-cg"), |this| {
                let (model, matrix) = (&this.cleared, &this.deletion.matrix);
                let preconditioner = Preconditioner::new(model, matrix, &this.warm.cache);
                this.jointly(|joint, start| {
                    newton_cg::minimise(joint, start, &preconditioner, steps, PRODUCTS)
                })
            });
        }
        self.stages(has("stages"));
        self.outcomes
    }

    /// Times a method, compares its model and returns it. A method that does not take part keeps
    /// its line.
    fn outcome(
        &mut self,
        name: &str,
        runs: bool,
        method: impl FnOnce(&mut Self) -> Ials,
    ) -> Option<Ials> {
        let line = self.line;
        self.line += 1;
        if !runs {
            return None;
        }
        let started = Instant::now();
        let model = method(self);
        let time = started.elapsed();
        let closeness = closeness(&model, &self.reference, &self.deletion.matrix);
        // The table comes when all is done, which takes minutes.
        eprintln!("{name}: {}, largest {:.1e}", shown(time), closeness.largest);
        self.outcomes.push(Outcome {
            line,
            name: name.to_owned(),
            time,
            closeness,
        });
        Some(model)
    }

    fn jointly(&self, minimise: impl FnOnce(&Joint, &[f64]) -> Vec<f64>) -> Ials {
        let joint = Joint::new(&self.cleared, &self.deletion.matrix);
        let point = minimise(&joint, &joint.point(&self.cleared));
        joint.model(&point)
    }

    /// The best of the learning rates; finding it is not timed.
    fn adamw(&mut self, steps: usize, runs: bool) {
        let mut rate = RATES[0];
        if runs {
            let joint = Joint::new(&self.cleared, &self.deletion.matrix);
            let start = joint.point(&self.cleared);
            let reached = |rate: f64| (adamw::minimise(&joint, &start, rate, steps).1, rate);
            let tried = RATES.into_iter().map(reached);
            let best = tried.min_by(|a, b| a.0.total_cmp(&b.0));
            rate = best.expect("some rate").1;
        }
        let name = format!("AdamW, {steps} steps at {rate:.0e}");
        self.outcome(&name, runs, |this| {
            this.jointly(|joint, start| adamw::minimise(joint, start, rate, steps).0)
        });
    }

    /// Stage 1, and stage 2 from where it ends. Both times count from the deletion.
    fn stages(&mut self, runs: bool) {
        let options = UpdateOptions {
            budget: crate::support::budget(),
            tolerance: LearningSettings::default().tolerance,
            seed: SEEDS[0],
        };
        // The service has no copy of the model to make.
        let mut model = self.trained.clone();
        let updated = self.outcome("recant, stage 1", runs, |this| {
            let (matrix, touched) = (&this.deletion.matrix, &this.deletion.touched);
            update(&mut model, matrix, &mut this.warm.cache, touched, &options);
            model
        });
        let first = self.outcomes.last().map(|outcome| outcome.time);
        self.outcome("recant, stage 1 + 2", updated.is_some(), |this| {
            let mut model = updated.expect("stage 1 ran");
            let (matrix, warm) = (&this.deletion.matrix, &mut this.warm);
            certify(&mut model, matrix, warm, &goal(REFINED_SHARE));
            model
        });
        if let (true, Some(first), Some(last)) = (runs, first, self.outcomes.last_mut()) {
            last.time += first;
        }
    }
}
