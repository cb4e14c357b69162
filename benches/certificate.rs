//! The certificate: how long it takes, how tight it is along a training, and what it takes to have it
//! again after single erasures.
//!
//! `cargo bench --bench certificate [-- --dim D --alpha0 A --lambda L --erasures N --budget MS]`; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data.

mod support;

use std::ops::ControlFlow;
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Ials, InteractionMatrix, RowSets};
use recant_core::optim::als::{CACHE_BYTES_MAX, TrainingOptions};
use recant_core::unlearn::{
    Convergence, GapOptions, Goal, Progress, REFINED_SHARE, UpdateOptions, Warm, cold, converge,
    duality_gap, update,
};
use recant_http::LearningSettings;
use recant_types::IalsHyperparameters;
use support::argument;
use support::table::{Table, Times, shown};

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
    println!(
        "\nafter the erasure of one pair each time, a local update, and the refinement it needs"
    );
    let goal = Goal {
        root_mean_square: REFINED_SHARE * target,
        residual: options.tolerance,
        max_sweeps: options.max_sweeps,
        seed: options.seed,
    };
    single_erasures(model, matrix, &goal);
}

/// Erases pairs at random one after another, each from the model that the one before left.
fn single_erasures(mut model: Ials, mut matrix: InteractionMatrix, goal: &Goal) {
    let mut random = ChaCha12Rng::seed_from_u64(3);
    let mut warm = Warm::new(CACHE_BYTES_MAX);
    refine(&mut model, &matrix, &mut warm, goal);
    let mut table = Table::new(&["update", "refined", "sweeps", "rms bound", "residual"]);
    let (mut updates, mut refinements) = (Times::default(), Times::default());
    for _ in 0..argument("--erasures", 20.0) as usize {
        let user = random.random_range(0..matrix.user_rows() as u32);
        let Some(item) = matrix.user(user).first().map(|entry| entry.index) else {
            continue;
        };
        matrix.remove(user, item);
        let touched = RowSets {
            users: vec![user],
            items: vec![item],
        };
        let options = UpdateOptions {
            budget: support::budget(),
            tolerance: LearningSettings::default().tolerance,
            seed: goal.seed,
        };
        let started = Instant::now();
        update(&mut model, &matrix, &mut warm.cache, &touched, &options);
        let updated = started.elapsed();
        let convergence = refine(&mut model, &matrix, &mut warm, goal);
        let refined = started.elapsed() - updated;
        updates.push(updated);
        refinements.push(refined);
        table.row(vec![
            shown(updated),
            shown(refined),
            convergence.report.sweeps.to_string(),
            format!("{:.1e}", convergence.gap.root_mean_square),
            format!("{:.1e}", convergence.report.residual),
        ]);
    }
    table.print();
    println!(
        "update p50 {}, refined p50 {}, p90 {}",
        shown(updates.median()),
        shown(refinements.median()),
        shown(refinements.percentile(90)),
    );
}

fn refine(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    warm: &mut Warm,
    goal: &Goal,
) -> Convergence {
    let observe = &mut |_: Progress<'_>| ControlFlow::Continue(());
    let refined = converge(model, matrix, warm, goal, &|| false, observe);
    refined
        .expect("it does not diverge")
        .expect("nothing ends it")
}
