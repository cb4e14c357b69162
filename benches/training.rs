//! Training: the time of a sweep, and of a whole training to the tolerance.
//!
//! `cargo bench --bench training [-- --dim D --alpha0 A --lambda L --tol T]`; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data.

mod support;

use std::ops::ControlFlow;
use std::time::Instant;

use recant_core::model::{Factors, Ials, Side};
use recant_core::optim::als;
use recant_core::optim::als::TrainingOptions;
use recant_types::IalsHyperparameters;

fn main() {
    let (name, matrix) = support::matrix();
    println!(
        "{name}: {} pairs, {} threads",
        matrix.interactions(),
        rayon::current_num_threads()
    );
    for dim in [64, 128] {
        let hyper = IalsHyperparameters {
            dim,
            alpha0: 0.3,
            lambda: 0.01,
            nu: 1.0,
        };
        let users = Factors::random(matrix.user_rows(), dim, 1, Side::Users);
        let items = Factors::random(matrix.item_rows(), dim, 1, Side::Items);
        let mut model = Ials::from_factors(hyper, users, items);
        let mut seconds: Vec<f64> = (0..8)
            .map(|_| {
                let started = Instant::now();
                als::sweep(&mut model, &matrix, &|| false);
                started.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        println!(
            "sweep d={dim}: median {:.3} s, best {:.3} s",
            seconds[4], seconds[0]
        );
    }
    let hyper = IalsHyperparameters {
        dim: support::argument("--dim", 64.0) as usize,
        alpha0: support::argument("--alpha0", 0.3),
        lambda: support::argument("--lambda", 0.02),
        nu: 1.0,
    };
    let options = TrainingOptions {
        tolerance: support::argument("--tol", 1e-5),
        ..Default::default()
    };
    let started = Instant::now();
    let (_, report) = als::train(&matrix, hyper, &options, &mut |report| {
        if report.sweep % 10 == 0 {
            let seconds = started.elapsed().as_secs_f64();
            println!(
                "  {:4}  {:.6}  {:.2e}  {seconds:.1} s",
                report.sweep, report.objective, report.residual
            );
        }
        ControlFlow::Continue(())
    })
    .expect("training ends");
    println!(
        "cold training d={}: {:.2} s, {} sweeps, residual {:.2e}",
        hyper.dim,
        started.elapsed().as_secs_f64(),
        report.sweeps,
        report.residual
    );
}
