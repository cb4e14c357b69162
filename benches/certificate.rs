//! The certificate: how long it takes, and how tight it is along a training.
//!
//! `cargo bench --bench certificate [-- --dim D --alpha0 A --lambda L]`; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data.

mod support;

use std::ops::ControlFlow;
use std::time::Instant;

use recant_core::optim::als::TrainingOptions;
use recant_core::unlearn::{GapOptions, Progress, cold, duality_gap};
use recant_types::IalsHyperparameters;
use support::argument;

fn main() {
    let (name, matrix) = support::matrix();
    let hyper = IalsHyperparameters {
        dim: argument("--dim", 64.0) as usize,
        alpha0: argument("--alpha0", 0.3),
        lambda: argument("--lambda", 0.02),
        nu: 1.0,
    };
    println!("{name}: {} pairs, d = {}", matrix.interactions(), hyper.dim);
    println!("sweeps   seconds  residual   rms bound  scale-1  outside  entered  rank  pushed out");
    let started = Instant::now();
    let options = TrainingOptions {
        tolerance: argument("--tol", 1e-5),
        max_sweeps: argument("--max-sweeps", 300.0) as usize,
        ..TrainingOptions::default()
    };
    let target = argument("--target", 5e-5);
    let trained = cold::train(&matrix, hyper, &options, target, &mut |progress| {
        let Progress::Evaluation(evaluation) = progress else {
            return ControlFlow::Continue(());
        };
        let rank = evaluation
            .rank
            .map_or((0, 0, 0.0), |r| (r.entered, r.rank, r.dropped_share));
        println!(
            "{:6}  {:8.2}  {:8.1e}  {:10.1e}  {:7.1e}  {:7.4}  {:7}  {:4}  {:10.1e}",
            evaluation.sweeps,
            started.elapsed().as_secs_f64(),
            evaluation.residual,
            evaluation.root_mean_square,
            evaluation.scale - 1.0,
            evaluation.outside.unwrap_or(f64::NAN),
            rank.0,
            rank.1,
            rank.2,
        );
        ControlFlow::Continue(())
    });
    let (model, convergence) = trained
        .expect("it does not diverge")
        .expect("nothing ends it");
    println!(
        "cold training to the certificate: {:.2} s, {} sweeps, rms bound {:.1e}",
        started.elapsed().as_secs_f64(),
        convergence.report.sweeps,
        convergence.gap.root_mean_square,
    );
    let started = Instant::now();
    let gap = duality_gap(&model, &matrix, &GapOptions::default());
    println!(
        "one look takes {:.2} s: rms bound {:.1e}, scale - 1 = {:.1e}, outside {:.4}",
        started.elapsed().as_secs_f64(),
        gap.root_mean_square,
        gap.scale - 1.0,
        gap.complement,
    );
}
