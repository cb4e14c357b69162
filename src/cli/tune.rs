//! `recant tune`: hyper-parameters by what is found of held-out interactions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::error::CliError;
use super::output::{print, print_json};
use super::progress::bar;
use super::settings::{StoreArgs, open_store, thread_pool};
use recant_core::optim::als::TrainingOptions;
use recant_jobs::tuning::{Grid, LIST_LENGTH, Stage, TIE_SHARE, Trial, Tuned, TuningOptions, tune};
use recant_types::IalsHyperparameters;

/// Settings tried unless `--trials` says otherwise.
const TRIALS_DEFAULT: u64 = 56;

/// Flags of `recant tune`. An absent flag leaves the configured value.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A fifth of the history of every user with at least 5 interactions is held out. Most settings are
scouted with a few sweeps; the best are finished: trained to the certificate. Of finished settings
within 1 % of the best accuracy, one whose certificate closes is preferred. Nothing is stored.

Examples:
  recant tune --data-dir recant-data --dim 64
  recant tune --data-dir recant-data --grid alpha0=0.1,0.3 --grid lambda=0.01,0.02,0.04")]
pub(crate) struct TuneArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Most latent dimensions the model may have
    #[arg(long, value_name = "D")]
    pub dim: Option<usize>,
    /// Try these settings and no others, each trained to the certificate: alpha0, lambda, nu or
    /// dim with values for it; may be repeated, and every combination is tried
    #[arg(long, value_name = "NAME=VALUE,...")]
    pub grid: Vec<String>,
    /// Most settings to try [default: 56, or the size of the grid]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub trials: Option<u64>,
    /// Begin no new setting after so many seconds; what is found then depends on the machine
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub budget: Option<u64>,
    /// Seed of the split and of the initial factors
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

impl TuneArgs {
    fn grid(&self) -> Result<Option<Grid>, CliError> {
        if self.grid.is_empty() {
            return Ok(None);
        }
        let lines = self.grid.iter().map(String::as_str);
        let grid = Grid::parse(lines);
        let problem = |error| CliError::usage(format!("--grid: {error}"));
        grid.map(Some).map_err(problem)
    }
}

/// Searches and prints the table, the choice, and the line to train with.
pub(super) fn run(args: &TuneArgs) -> Result<(), CliError> {
    let grid = args.grid()?;
    let settings = args.store.settings(Vec::new())?;
    if let Some(model) = settings.model.neural() {
        return Err(CliError::usage(format!(
            "tuning is for model.kind = \"ials\", and {} is configured: compare settings of it by \
             recant eval",
            model.kind()
        )));
    }
    let configured = settings.model.hyperparameters();
    let start = IalsHyperparameters {
        dim: args.dim.unwrap_or(configured.dim),
        ..configured
    };
    let start = start.checked().map_err(CliError::usage)?;
    let size = grid.as_ref().map(|grid| grid.settings(start).len() as u64);
    let trials_max = args.trials.or(size).unwrap_or(TRIALS_DEFAULT);
    let options = TuningOptions {
        start,
        grid,
        trials_max: trials_max as usize,
        budget: args.budget.map(Duration::from_secs),
        training: TrainingOptions {
            seed: args.seed.unwrap_or(settings.model.seed),
            tolerance: settings.training.tolerance,
            max_sweeps: settings.training.max_sweeps as usize,
            ..TrainingOptions::default()
        },
        target: settings.certificate.target,
    };
    let store = open_store(&settings)?;
    let pool = thread_pool(&settings)?;
    let began = Instant::now();
    let bar = bar(
        trials_max,
        "tuning [{bar:30}] {pos}/{len} {msg}, {eta} left",
    );
    let tuned = pool.install(|| {
        tune(&store, &options, &mut |now| {
            bar.set_position(now.tried as u64);
            bar.set_message(format!("best NDCG@{LIST_LENGTH} {:.4}", now.best_ndcg));
        })
    });
    bar.finish_and_clear();
    let tuned = tuned.map_err(CliError::failed)?;
    let (seed, directory) = (options.training.seed, &settings.store.data_dir);
    let summary = Summary::new(&tuned, seed, directory, began.elapsed());
    if args.json {
        print_json(&summary)
    } else {
        print(&summary.to_string())
    }
}

/// What a person or a program wants to know after tuning.
#[derive(Debug, Serialize)]
struct Summary {
    chosen: Chosen,
    train_command: String,
    seed: u64,
    users: usize,
    interactions_trained: usize,
    interactions_held_out: usize,
    diverged: usize,
    trials: Vec<Row>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Chosen {
    /// Place in `trials`, from 0.
    trial: usize,
    /// Place of the most accurate finished trial.
    most_accurate_trial: usize,
    dim: usize,
    alpha0: f64,
    lambda: f64,
    nu: f64,
    certifiable: bool,
    /// Where it is not: about the λ that would make it so.
    lambda_to_certify: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Row {
    stage: &'static str,
    alpha0: f64,
    lambda: f64,
    nu: f64,
    dim: usize,
    ndcg_at_20: f64,
    recall_at_20: f64,
    sweeps: usize,
    rank: Option<usize>,
    certifiable: Option<bool>,
    certified_root_mean_square: Option<f64>,
    seconds: f64,
}

impl From<&Trial> for Row {
    fn from(trial: &Trial) -> Self {
        let hyper = trial.hyperparameters;
        let certified = trial
            .certifiable
            .map(|certifiable| certifiable.root_mean_square);
        Self {
            stage: match trial.stage {
                Stage::Screened => "scouted",
                Stage::FullyTrained => "finished",
            },
            alpha0: hyper.alpha0,
            lambda: hyper.lambda,
            nu: hyper.nu,
            dim: hyper.dim,
            ndcg_at_20: trial.accuracy.ndcg,
            recall_at_20: trial.accuracy.recall,
            sweeps: trial.sweeps,
            rank: trial.rank,
            certifiable: trial.certifiable.map(|certifiable| certifiable.holds),
            certified_root_mean_square: certified.filter(|value| value.is_finite()),
            seconds: trial.seconds,
        }
    }
}

impl Summary {
    fn new(tuned: &Tuned, seed: u64, directory: &Path, elapsed: Duration) -> Self {
        let chosen = &tuned.trials[tuned.choice.trial];
        let hyper = tuned.recommended;
        Self {
            chosen: Chosen {
                trial: tuned.choice.trial,
                most_accurate_trial: tuned.choice.most_accurate,
                dim: hyper.dim,
                alpha0: hyper.alpha0,
                lambda: hyper.lambda,
                nu: hyper.nu,
                certifiable: chosen.is_certifiable(),
                lambda_to_certify: chosen
                    .certifiable
                    .and_then(|certifiable| certifiable.lambda),
            },
            train_command: train_command(&hyper, seed, directory),
            seed,
            users: tuned.users,
            interactions_trained: tuned.trained,
            interactions_held_out: tuned.held_out,
            diverged: tuned.diverged,
            trials: tuned.trials.iter().map(Row::from).collect(),
            seconds: elapsed.as_secs_f64(),
        }
    }
}

fn train_command(hyper: &IalsHyperparameters, seed: u64, directory: &Path) -> String {
    format!(
        "recant train --data-dir {} --dim {} --alpha0 {} --lambda {} --nu {} --seed {seed}",
        quoted(directory),
        hyper.dim,
        hyper.alpha0,
        hyper.lambda,
        hyper.nu
    )
}

/// The path as a shell takes it: as it is, or in single quotes.
fn quoted(path: &Path) -> String {
    let text = PathBuf::from(path).display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} users with held-out interactions; {} to train on, {} held out",
            self.users, self.interactions_trained, self.interactions_held_out
        )?;
        self.table(f)?;
        if self.diverged > 0 {
            writeln!(f, "{} settings diverged and are left out", self.diverged)?;
        }
        self.reason(f)?;
        writeln!(
            f,
            "{:.1} s; train with:\n  {}",
            self.seconds, self.train_command
        )
    }
}

impl Summary {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  stage       alpha0  lambda     nu    d  NDCG@20  recall@20  rank  certified rms  \
             sweeps  seconds"
        )?;
        for (place, row) in self.trials.iter().enumerate() {
            let mark = if place == self.chosen.trial { '*' } else { ' ' };
            let rank = row
                .rank
                .map_or_else(|| String::from("-"), |rank| rank.to_string());
            let certified = match (row.certifiable, row.certified_root_mean_square) {
                (Some(true), Some(value)) => format!("{value:.1e}"),
                (Some(false), Some(value)) => format!("open {value:.1e}"),
                (Some(_), None) => String::from("open"),
                (None, _) => String::from("-"),
            };
            writeln!(
                f,
                "{mark} {:<10} {:>7} {:>7} {:>6} {:>4}  {:>7.4}  {:>9.4}  {rank:>4}  \
                 {certified:>13}  {:>6}  {:>7.2}",
                row.stage,
                row.alpha0,
                row.lambda,
                row.nu,
                row.dim,
                row.ndcg_at_20,
                row.recall_at_20,
                row.sweeps,
                row.seconds
            )?;
        }
        Ok(())
    }

    fn reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = &self.chosen;
        let tie = TIE_SHARE * 100.0;
        match (
            chosen.certifiable,
            chosen.trial == chosen.most_accurate_trial,
        ) {
            (true, true) => writeln!(
                f,
                "chosen (*): the most accurate, and its certificate closes"
            ),
            (true, false) => writeln!(
                f,
                "chosen (*): its certificate closes, and its accuracy is within {tie} % of the best"
            ),
            (false, _) => {
                write!(
                    f,
                    "chosen (*): the most accurate; no setting within {tie} % of it has a \
                     certificate that closes below {} dimensions",
                    chosen.dim
                )?;
                match chosen.lambda_to_certify {
                    Some(lambda) => {
                        writeln!(f, "; lambda {lambda} or somewhat more would close it")
                    }
                    None => writeln!(f, ": a higher --dim may"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_ready_to_paste() {
        assert_eq!(quoted(Path::new("/srv/my-data_1.0")), "/srv/my-data_1.0");
        assert_eq!(quoted(Path::new("/srv/my data")), "'/srv/my data'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
