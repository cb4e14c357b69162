//! `recant audit`: the stored live model against one trained from scratch.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::error::CliError;
use super::output::{print, print_json};
use super::progress::{TrainingBar, bar};
use super::settings::{StoreArgs, open_store, thread_pool};
use recant_jobs::audit::{Audit, AuditOptions, AuditProgress, Audited, LIST_LENGTH, audit};

/// Flags of `recant audit`. An absent flag leaves the configured value.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Needs the store to itself: stop the server first, or audit a backup of it. Nothing is changed.
Exit code 1 means that a certificate was wrong, or that there was nothing to audit.

Example:
  recant audit --data-dir recant-data --seed 7")]
pub(crate) struct AuditArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Seed of the model trained from scratch [default: the one after the live model's]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Most sweeps of the training from scratch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_sweeps: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Audits and prints what was found. Fails when the certified bound did not hold.
pub(super) fn run(args: &AuditArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let options = AuditOptions {
        seed: args.seed,
        tolerance: settings.training.tolerance,
        max_sweeps: args.max_sweeps.unwrap_or(settings.training.max_sweeps) as usize,
        target: settings.certificate.target,
    };
    let store = open_store(&settings)?;
    let pool = thread_pool(&settings)?;
    let began = Instant::now();
    let training = TrainingBar::new("retraining", options.tolerance);
    let comparing = bar(0, "comparing [{bar:30}] {pos}/{len} users, {eta} left");
    let audited = pool.install(|| {
        let observe = &mut |now: AuditProgress<'_>| {
            match now {
                AuditProgress::Training(now) => training.show(now),
                AuditProgress::Comparing(users) => {
                    training.end();
                    comparing.set_length(users as u64);
                }
            }
            ControlFlow::Continue(())
        };
        audit(&store, &options, observe, &|users| {
            comparing.inc(users as u64)
        })
    });
    training.end();
    comparing.finish_and_clear();
    let audit = audited.map_err(CliError::failed)?;
    let summary = Summary::new(&audit, began.elapsed());
    if args.json {
        print_json(&summary)?
    } else {
        print(&summary.to_string())?
    }
    match summary.bound_held {
        Some(false) => Err(CliError::Failed(String::from(
            "the certified bound did not hold: keep the store as it is and report this as a bug",
        ))),
        _ => Ok(()),
    }
}

/// What a person or a program wants to know after an audit.
#[derive(Debug, Serialize)]
struct Summary {
    bound_held: Option<bool>,
    distance_frobenius: f64,
    distance_allowed: Option<f64>,
    model_version: u64,
    dim: usize,
    alpha0: f64,
    lambda: f64,
    nu: f64,
    users: usize,
    items: usize,
    interactions: usize,
    live: ModelSummary,
    /// The bound on record for exactly the stored version; null when there is none.
    live_bound_on_record: Option<f64>,
    retrained: ModelSummary,
    retraining_sweeps: usize,
    jaccard_at_10: f64,
    jaccard_at_10_least: f64,
    spearman: Option<f64>,
    score_difference_largest: f64,
    score_difference_root_mean_square: f64,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct ModelSummary {
    seed: u64,
    rank: Option<usize>,
    /// Null when nothing is proven.
    bound_frobenius: Option<f64>,
    bound_root_mean_square: Option<f64>,
}

impl From<Audited> for ModelSummary {
    fn from(model: Audited) -> Self {
        let finite = |bound: f64| bound.is_finite().then_some(bound);
        Self {
            seed: model.seed,
            rank: model.rank,
            bound_frobenius: finite(model.bound),
            bound_root_mean_square: finite(model.bound_root_mean_square),
        }
    }
}

impl Summary {
    fn new(audit: &Audit, elapsed: Duration) -> Self {
        let (hyper, comparison) = (audit.hyperparameters, audit.comparison);
        Self {
            bound_held: audit.bound_held(),
            distance_frobenius: comparison.frobenius,
            distance_allowed: Some(audit.allowed()).filter(|allowed| allowed.is_finite()),
            model_version: audit.version,
            dim: hyper.dim,
            alpha0: hyper.alpha0,
            lambda: hyper.lambda,
            nu: hyper.nu,
            users: comparison.users,
            items: comparison.items,
            interactions: audit.interactions,
            live: audit.live.into(),
            live_bound_on_record: audit.on_record,
            retrained: audit.retrained.into(),
            retraining_sweeps: audit.sweeps,
            jaccard_at_10: comparison.jaccard,
            jaccard_at_10_least: comparison.jaccard_least,
            spearman: comparison.spearman,
            score_difference_largest: comparison.largest,
            score_difference_root_mean_square: comparison.root_mean_square,
            seconds: elapsed.as_secs_f64(),
        }
    }
}

impl fmt::Display for ModelSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)?;
        if let Some(rank) = self.rank {
            write!(f, ", rank {rank}")?;
        }
        match (self.bound_frobenius, self.bound_root_mean_square) {
            (Some(frobenius), Some(root_mean_square)) => write!(
                f,
                ", within {frobenius:.2e} of the unique minimiser (root mean square \
                 {root_mean_square:.1e})"
            ),
            _ => write!(f, ", no bound"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "live model {}, d = {}, alpha0 = {}, lambda = {}, nu = {}: {}",
            self.model_version, self.dim, self.alpha0, self.lambda, self.nu, self.live
        )?;
        if let Some(bound) = self.live_bound_on_record {
            writeln!(f, "its certificate on record says {bound:.2e}")?;
        }
        writeln!(
            f,
            "trained from scratch on {} interactions in {} sweeps: {}",
            self.interactions, self.retraining_sweeps, self.retrained
        )?;
        writeln!(f, "over {} users and {} items:", self.users, self.items)?;
        writeln!(
            f,
            "  Jaccard of the {LIST_LENGTH} best   {:.6}, least {:.3}",
            self.jaccard_at_10, self.jaccard_at_10_least
        )?;
        if let Some(spearman) = self.spearman {
            writeln!(f, "  Spearman, all items     {spearman:.6}")?;
        }
        writeln!(
            f,
            "  score difference        largest {:.2e}, root mean square {:.2e}",
            self.score_difference_largest, self.score_difference_root_mean_square
        )?;
        let distance = self.distance_frobenius;
        match (self.bound_held, self.distance_allowed) {
            (Some(true), Some(allowed)) => writeln!(
                f,
                "the certified bound held: the models are {distance:.2e} apart, {allowed:.2e} are \
                 allowed ({:.1} s)",
                self.seconds
            ),
            (Some(false), Some(allowed)) => writeln!(
                f,
                "THE CERTIFIED BOUND DID NOT HOLD: the models are {distance:.2e} apart, \
                 {allowed:.2e} are allowed ({:.1} s)",
                self.seconds
            ),
            _ => writeln!(
                f,
                "no bound is certified, so none could fail: the models are {distance:.2e} apart \
                 ({:.1} s)",
                self.seconds
            ),
        }
    }
}
