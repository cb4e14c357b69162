//! Random data as adversary: whatever the weights, the pattern and the settings, what is claimed is
//! true.
//!
//! Sixty problems run with every `cargo test`. The long form:
//! `RECANT_ADVERSARIES=2000 cargo test --release -p recant-core --test core adversary -- --nocapture`;
//! `RECANT_ADVERSARY_FIRST=n` begins with problem n.

use std::ops::ControlFlow;
use std::time::Duration;

use rayon::prelude::*;
use recant_core::model::{Ials, RowSets};
use recant_core::optim::als;
use recant_core::optim::als::{CACHE_BYTES_MAX, TrainingOptions};
use recant_core::unlearn::{
    Convergence, Goal, Progress, UpdateOptions, Warm, cold, converge, update,
};
use recant_testkit::adversary::{Adversary, Reference};

/// The certified root mean square worked to, the default's.
const TARGET: f64 = 1e-4;

/// Changes of the data, each followed by a local update and a refinement.
const CHANGES: usize = 4;

/// What was claimed of a number of models, and what was true.
#[derive(Debug, Default)]
struct Tally {
    claims: usize,
    met: usize,
    nothing_proven: usize,
    /// The reference was no nearer to the truth than the claim.
    undecided: usize,
    false_claims: Vec<String>,
    /// The largest share of a claim that was true distance.
    tightest: f64,
}

impl Tally {
    fn plus(mut self, other: Self) -> Self {
        self.claims += other.claims;
        self.met += other.met;
        self.nothing_proven += other.nothing_proven;
        self.undecided += other.undecided;
        self.false_claims.extend(other.false_claims);
        self.tightest = self.tightest.max(other.tightest);
        self
    }

    /// A claim of `bound` about `model`.
    fn hold(
        &mut self,
        what: &str,
        adversary: &Adversary,
        model: &Ials,
        bound: f64,
        truth: &Reference,
    ) {
        if !bound.is_finite() {
            self.nothing_proven += 1;
            return;
        }
        self.claims += 1;
        let distance = adversary.distance(model, truth);
        if truth.error > 0.5 * bound {
            self.undecided += 1;
        } else {
            self.tightest = self.tightest.max(distance / bound);
        }
        // A distance that is NaN is within no bound.
        let held = distance <= bound + truth.error;
        if !held {
            let Adversary {
                hyper,
                pattern,
                weights,
                targets,
                ..
            } = adversary;
            self.false_claims.push(format!(
                "{what}: {distance:e} from the minimiser, {bound:e} claimed ({hyper:?} {pattern:?} {weights:?} {targets:?})"
            ));
        }
    }

    fn certified(
        &mut self,
        what: &str,
        adversary: &Adversary,
        model: &Ials,
        convergence: &Convergence,
    ) {
        let truth = adversary.solved();
        let gap = &convergence.gap;
        self.met += usize::from(gap.root_mean_square <= TARGET);
        self.hold(what, adversary, model, gap.frobenius, &truth);
        // As after a restart: the items are stored, the users are solved for.
        let users = adversary.matrix.user_rows();
        let mut loaded = Ials::from_item_factors(model.hyper, users, model.items.clone());
        als::solve_users_to_rounding(&mut loaded, &adversary.matrix);
        self.hold(
            &format!("{what}, loaded"),
            adversary,
            &loaded,
            gap.frobenius,
            &truth,
        );
    }
}

fn observe(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn run(number: u64) -> Tally {
    let mut tally = Tally::default();
    let mut adversary = Adversary::number(number);
    let options = TrainingOptions::default();
    let trained = cold::train(
        &adversary.matrix,
        adversary.hyper,
        &options,
        0.5 * TARGET,
        &mut observe,
    );
    let (mut model, convergence) = trained
        .unwrap_or_else(|error| panic!("problem {number}: {error}"))
        .expect("nothing ends it");
    tally.certified(
        &format!("problem {number}"),
        &adversary,
        &model,
        &convergence,
    );
    let mut warm = Warm::new(CACHE_BYTES_MAX);
    for change in 0..CHANGES {
        let (users, items) = adversary.change();
        let options = UpdateOptions {
            // The tolerance and the halving end it: no clock in a test.
            budget: Duration::from_secs(600),
            tolerance: 1e-3,
            seed: 1,
        };
        let touched = RowSets { users, items };
        let matrix = &adversary.matrix;
        update(&mut model, matrix, &mut warm.cache, &touched, &options);
        assert_finite(&model, number);
        let before = model.measure(matrix).objective;
        let goal = Goal {
            root_mean_square: 0.7 * TARGET,
            residual: 4e-6,
            max_sweeps: 500,
            seed: 1,
        };
        let refined = converge(
            &mut model,
            matrix,
            &mut warm,
            &goal,
            &|| false,
            &mut observe,
        );
        let convergence = refined
            .unwrap_or_else(|error| panic!("problem {number}, change {change}: {error}"))
            .expect("nothing ends it");
        assert_finite(&model, number);
        let after = model.measure(matrix).objective;
        if convergence.rank_overflows == 0 {
            assert!(
                after <= before * (1.0 + 1e-9) + 1e-12,
                "problem {number}: {before} {after}"
            );
        }
        tally.certified(
            &format!("problem {number}, change {change}"),
            &adversary,
            &model,
            &convergence,
        );
    }
    tally
}

fn assert_finite(model: &Ials, number: u64) {
    let values = model.users.as_slice().iter().chain(model.items.as_slice());
    assert!(
        values.into_iter().all(|value| value.is_finite()),
        "problem {number}"
    );
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_the_data_what_is_claimed_is_true() {
    let first = setting("RECANT_ADVERSARY_FIRST").unwrap_or(0);
    let problems = setting("RECANT_ADVERSARIES").unwrap_or(60);
    let tallies = (first..first + problems).into_par_iter().map(run);
    let tally = tallies.reduce(Tally::default, Tally::plus);
    println!(
        "{problems} problems: {} claims, {} false, {} without a bound, {} met the target, {} undecided; \
         at most {:.3} of a claim was distance",
        tally.claims,
        tally.false_claims.len(),
        tally.nothing_proven,
        tally.met,
        tally.undecided,
        tally.tightest,
    );
    assert!(
        tally.false_claims.is_empty(),
        "{}",
        tally.false_claims.join("\n")
    );
    assert!(tally.claims as u64 >= 6 * problems, "{tally:?}");
}
