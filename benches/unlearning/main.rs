//! Ways to bring a trained model to what it would be without deleted data, side by side.
//!
//! `cargo bench --bench unlearning [-- --dim D --alpha0 A --lambda L --steps N --budget MS --only NAMES]`; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data. `--only` takes deletions (`pair`, `user`,
//! `pairs`, `users`) and methods (`cold`, `sweeps`, `adamw`, `lbfgs`, `newton-cg`, `stages`), with
//! commas between them; what is not named is left out, unless nothing of its kind is.

mod closeness;
mod deletion;
mod joint;
mod methods;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use closeness::Closeness;
use deletion::Deletion;
use methods::{Competition, Outcome, Settings, Start};
use recant_types::IalsHyperparameters;
use support::table::{Table, median, shown};
use support::{argument, text_argument};

const DELETIONS: [&str; 4] = ["pair", "user", "pairs", "users"];
const METHODS: [&str; 6] = ["cold", "sweeps", "adamw", "lbfgs", "newton-cg", "stages"];

/// Those of `names` that `--only` asks for; all of them when it names none of these.
fn chosen(names: &[&'static str]) -> Vec<&'static str> {
    let only = text_argument("--only").unwrap_or_default();
    let named = |name: &&&'static str| only.split(',').any(|one| one == **name);
    let chosen: Vec<_> = names.iter().filter(named).copied().collect();
    if chosen.is_empty() {
        names.to_vec()
    } else {
        chosen
    }
}

fn main() {
    let (name, matrix) = support::matrix();
    let hyper = IalsHyperparameters {
        dim: argument("--dim", 128.0) as usize,
        alpha0: argument("--alpha0", 0.3),
        lambda: argument("--lambda", 0.01),
        nu: 1.0,
    };
    let settings = Settings {
        methods: chosen(&METHODS),
        steps: argument("--steps", 100.0) as usize,
    };
    support::describe(&name, &matrix, hyper);
    let start = Start::train(&matrix, hyper);
    println!("trained to the certificate in {}", shown(start.time));
    for kind in chosen(&DELETIONS) {
        // Only the stages are repeated.
        let repetitions = if settings.methods.contains(&"stages") {
            usize::MAX
        } else {
            1
        };
        let competitions = Deletion::of(kind, &matrix)
            .into_iter()
            .take(repetitions)
            .enumerate()
            .map(|(nth, deletion)| {
                let competition = Competition::new(&start, &matrix, deletion);
                competition.run(&settings, nth == 0)
            })
            .collect();
        print(kind, competitions);
    }
}

/// One line a method, with medians over the repetitions that it took part in.
fn print(kind: &str, repetitions: Vec<Vec<Outcome>>) {
    println!("\n{}", deletion::described(kind));
    let mut table = Table::new(&[
        "method",
        "runs",
        "time",
        "largest",
        "rms",
        "jaccard@10",
        "closed",
    ]);
    for first in &repetitions[0] {
        let runs: Vec<(&Outcome, &Outcome)> = repetitions
            .iter()
            .filter_map(|run| Some((run.first()?, run.iter().find(|o| o.line == first.line)?)))
            .collect();
        let over = |value: &dyn Fn(&Closeness) -> f64| {
            median(runs.iter().map(|(_, one)| value(&one.closeness)).collect())
        };
        let seconds = median(runs.iter().map(|(_, one)| one.time.as_secs_f64()).collect());
        let closed = |(nothing, one): &(&Outcome, &Outcome)| {
            1.0 - one.closeness.largest / nothing.closeness.largest
        };
        table.row(vec![
            first.name.clone(),
            runs.len().to_string(),
            match first.line {
                0 => "–".to_owned(),
                _ => shown(Duration::from_secs_f64(seconds)),
            },
            format!("{:.1e}", over(&|found| found.largest)),
            format!("{:.1e}", over(&|found| found.root_mean_square)),
            format!("{:.5}", over(&|found| found.jaccard)),
            format!("{:.2} %", 100.0 * median(runs.iter().map(closed).collect())),
        ]);
    }
    table.print();
}
