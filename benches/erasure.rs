//! One interaction erased from a trained model: the arithmetic alone, and a whole service.
//!
//! `cargo bench --bench erasure [-- --dim D --alpha0 A --lambda L --tol T --erasures N]`; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data.

mod support;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Ials, InteractionMatrix, RowSets};
use recant_core::optim::als;
use recant_core::optim::als::{CholeskyCache, TrainingOptions};
use recant_core::unlearn::{UpdateOptions, update};
use recant_http::LearningSettings;
use recant_service::Service;
use recant_store::{Store, StoreOptions};
use recant_types::{ErasureStatus, ErasureTarget, IalsHyperparameters, ItemId, UserId};
use support::table::{Table, Times, median, shown};

/// Erasures that are followed to convergence, which takes sweeps over everything.
const COMPARED: usize = 5;

/// Users whose predictions are compared.
const USERS_COMPARED: usize = 500;

/// What the model is converged to for comparison, relative to the tolerance of training.
const CONVERGED: f64 = 0.1;

fn main() {
    let hyper = IalsHyperparameters {
        dim: support::argument("--dim", 128.0) as usize,
        alpha0: support::argument("--alpha0", 0.3),
        lambda: support::argument("--lambda", 0.01),
        nu: 1.0,
    };
    let tolerance = support::argument("--tol", LearningSettings::default().tolerance);
    let erasures = support::argument("--erasures", 100.0) as usize;
    let (name, mut matrix) = support::matrix();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    support::stored::store_and_train(&path, &name, &matrix, hyper);
    println!("\nstage 1 alone, one pair erased each time, {erasures} times");
    alone(hyper, &mut matrix, tolerance, erasures);
    println!("\na service, {erasures} single erasures each");
    let pairs = pairs_to_erase(&matrix, 2 * erasures);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(end_to_end(&path, hyper, pairs, tolerance));
}

fn alone(
    hyper: IalsHyperparameters,
    matrix: &mut InteractionMatrix,
    tolerance: f64,
    erasures: usize,
) {
    let mut table = Table::new(&[
        "median",
        "p95",
        "blocks",
        "residual trained",
        "erased",
        "updated",
        "distance before",
        "after",
    ]);
    let options = TrainingOptions {
        tolerance,
        ..Default::default()
    };
    let observe = &mut |_: &_| ControlFlow::Continue(());
    let (model, _) = als::train(matrix, hyper, &options, observe).expect("training ends");
    table.row(stage_one(&model, matrix, tolerance, erasures));
    table.print();
}

fn update_options(tolerance: f64) -> UpdateOptions {
    UpdateOptions {
        budget: LearningSettings::default().budget(),
        tolerance,
        seed: 1,
    }
}

/// Erases one pair after another, each from the trained model, and puts it back.
fn stage_one(
    trained: &Ials,
    matrix: &mut InteractionMatrix,
    tolerance: f64,
    erasures: usize,
) -> Vec<String> {
    let mut random = ChaCha12Rng::seed_from_u64(3);
    let before = trained.measure(matrix).residual;
    let mut kept = kept_factors(trained, matrix);
    let (mut times, mut blocks) = (Times::default(), Vec::new());
    let [mut erased, mut updated, mut far, mut near] = [const { Vec::new() }; 4];
    for erasure in 0..erasures {
        let (user, item) = any_pair(matrix, &mut random);
        let Some(entry) = matrix.remove(user, item) else {
            continue;
        };
        let mut model = trained.clone();
        let touched = RowSets {
            users: vec![user],
            items: vec![item],
        };
        let started = Instant::now();
        let report = update(
            &mut model,
            matrix,
            &mut kept,
            &touched,
            &update_options(tolerance),
        );
        times.push(started.elapsed());
        blocks.push(report.blocks_solved as f64);
        if erasure < COMPARED {
            erased.push(trained.measure(matrix).residual);
            updated.push(model.measure(matrix).residual);
            let mut converged = model.clone();
            als::refine(
                &mut converged,
                matrix,
                &mut CholeskyCache::new(als::CACHE_BYTES_MAX),
                CONVERGED * tolerance,
                500,
                &|| false,
                &mut |_| ControlFlow::Continue(()),
            )
            .expect("refining ends");
            far.push(distance(trained, &converged));
            near.push(distance(&model, &converged));
        }
        matrix.insert(user, entry);
    }
    let number = |numbers| format!("{:.2e}", median(numbers));
    vec![
        shown(times.median()),
        shown(times.percentile(95)),
        format!("{:.0}", median(blocks)),
        format!("{before:.2e}"),
        number(erased),
        number(updated),
        number(far),
        number(near),
    ]
}

/// What a service that has refined before steps with.
fn kept_factors(trained: &Ials, matrix: &InteractionMatrix) -> CholeskyCache {
    let mut kept = CholeskyCache::new(als::CACHE_BYTES_MAX);
    let mut model = trained.clone();
    als::refine(
        &mut model,
        matrix,
        &mut kept,
        0.0,
        1,
        &|| false,
        &mut |_| ControlFlow::Continue(()),
    )
    .expect("a sweep ends");
    kept
}

fn any_pair(matrix: &InteractionMatrix, random: &mut ChaCha12Rng) -> (u32, u32) {
    loop {
        let user = random.random_range(0..matrix.user_rows() as u32);
        let history = matrix.user(user);
        if !history.is_empty() {
            return (user, history[random.random_range(0..history.len())].index);
        }
    }
}

/// `‖P Qᵀ − P′ Q′ᵀ‖ / ‖P′ Q′ᵀ‖` over some users and all items: what factors predict, whatever
/// the rotation they are written in.
fn distance(model: &Ials, reference: &Ials) -> f64 {
    let step = model.users.rows().div_ceil(USERS_COMPARED);
    let (mut difference, mut size) = (0.0, 0.0);
    for user in (0..model.users.rows()).step_by(step) {
        let scores = model.items.view().dot(&model.users.view().row(user));
        let wanted = reference
            .items
            .view()
            .dot(&reference.users.view().row(user));
        let off = &scores - &wanted;
        difference += off.dot(&off);
        size += wanted.dot(&wanted);
    }
    (difference / size).sqrt()
}

/// Pairs at random, with the ids that the store gave them.
fn pairs_to_erase(matrix: &InteractionMatrix, count: usize) -> Vec<(UserId, ItemId)> {
    let mut random = ChaCha12Rng::seed_from_u64(4);
    (0..count)
        .map(|_| any_pair(matrix, &mut random))
        .map(|(user, item)| support::stored::ids(user, item))
        .collect()
}

/// Half of the erasures each come when the one before is certified and nothing runs, the other
/// half as soon as the one before is forgotten, while the service refines.
async fn end_to_end(
    path: &Path,
    hyper: IalsHyperparameters,
    mut pairs: Vec<(UserId, ItemId)>,
    tolerance: f64,
) {
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let mut options = support::stored::service_options(hyper);
    options.worker.update_tolerance = tolerance;
    let (service, guard) = Service::start(store, options).await.expect("it starts");
    let mut table = Table::new(&[
        "when",
        "accepted p50",
        "p95",
        "accepted to forgotten p50",
        "p95",
        "p99",
        "to certified p50",
        "p95",
    ]);
    // The first one sees a service that has just started; it is not counted.
    let (user, item) = pairs[0].clone();
    erase(&service, user, item, true).await;
    let busy = pairs.split_off(pairs.len() / 2);
    for (name, pairs, rest) in [("idle", pairs, true), ("refining", busy, false)] {
        let [mut accepted, mut forgotten, mut certified] =
            std::array::from_fn(|_| Times::default());
        for (user, item) in pairs {
            let seen = erase(&service, user, item, rest).await;
            accepted.push(seen.accepted);
            forgotten.push(seen.forgotten);
            seen.certified
                .into_iter()
                .for_each(|time| certified.push(time));
        }
        let certification = |percentage| {
            if rest {
                shown(certified.percentile(percentage))
            } else {
                String::from("–")
            }
        };
        table.row(vec![
            name.to_owned(),
            shown(accepted.median()),
            shown(accepted.percentile(95)),
            shown(forgotten.median()),
            shown(forgotten.percentile(95)),
            shown(forgotten.percentile(99)),
            certification(50),
            certification(95),
        ]);
    }
    guard.stop().await;
    table.print();
}

/// What a client sees of one erasure: how long acceptance took, and how long it was from there until
/// the pair was forgotten, and until that was certified.
struct Seen {
    accepted: Duration,
    forgotten: Duration,
    certified: Option<Duration>,
}

/// Erases a pair; with `rest`, returns only when it is certified too.
async fn erase(service: &Service, user: UserId, item: ItemId, rest: bool) -> Seen {
    let started = Instant::now();
    let target = ErasureTarget::Pairs(vec![(user, item)]);
    let accepted = service.erase(target, None).await;
    let record = accepted.expect("it is accepted").record;
    let accepted = started.elapsed();
    let patience = Duration::from_secs(600);
    let waited = service.wait_forgotten(record.id, patience).await;
    let forgotten = started.elapsed() - accepted;
    let status = waited.expect("readable").expect("known").status;
    assert!(status >= ErasureStatus::Forgotten, "not forgotten in time");
    let mut seen = Seen {
        accepted,
        forgotten,
        certified: None,
    };
    while rest && seen.certified.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let record = service.erasure(record.id).await.expect("readable");
        if record.is_some_and(|record| record.status == ErasureStatus::Certified) {
            seen.certified = Some(started.elapsed() - accepted);
        }
    }
    seen
}
