//! One interaction erased from a trained model: the arithmetic alone, and a whole service.
//!
//! `cargo bench --bench erasure [-- --tol T --erasures N]`; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data.

mod support;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant::config::{CertificateSettings, LearningSettings};
use recant::erasure::ErasureStatus;
use recant::event::ErasureTarget;
use recant::ids::{ItemId, UserId};
use recant::model::hyper::IalsHyperparameters;
use recant::model::ials::Ials;
use recant::model::interactions::InteractionMatrix;
use recant::optim::als::{self, KeptFactors, TrainingOptions};
use recant::service::Service;
use recant::service::load::{load, whole_model};
use recant::service::start::ServiceOptions;
use recant::service::trainer::Trainer;
use recant::service::worker::WorkerOptions;
use recant::store::log::LogPosition;
use recant::store::records::ModelHeader;
use recant::store::{Store, StoreOptions};
use recant::unlearn::update::{Touched, UpdateOptions, update};
use support::table::{Table, Times, median, shown};

const DIMENSIONS: [usize; 2] = [64, 128];

/// Erasures that are followed to convergence, which takes sweeps over everything.
const COMPARED: usize = 5;

/// Users whose predictions are compared.
const USERS_COMPARED: usize = 500;

/// What the model is converged to for comparison, relative to the tolerance of training.
const CONVERGED: f64 = 0.1;

fn main() {
    let tolerance = support::argument("--tol", 1e-5);
    let erasures = support::argument("--erasures", 100.0) as usize;
    let (name, matrix) = support::matrix();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    support::stored::store(&path, &matrix);
    let store = Store::open(&path, &StoreOptions::default()).expect("a store");
    let hyper = IalsHyperparameters::default();
    let mut trainer = load(&store, hyper, 1).expect("a readable store").trainer;
    println!(
        "{name}: {} pairs, {} users, {} items; trained to {tolerance:.0e}, {} threads",
        matrix.interactions(),
        matrix.active_users(),
        matrix.active_items(),
        rayon::current_num_threads()
    );
    println!("\nstage 1 alone, one pair erased each time, {erasures} times");
    let mut table = Table::new(&[
        "d",
        "median",
        "p95",
        "blocks",
        "residual trained",
        "erased",
        "updated",
        "distance before",
        "after",
    ]);
    for dim in DIMENSIONS.into_iter().rev() {
        let hyper = IalsHyperparameters { dim, ..hyper };
        let options = TrainingOptions {
            tolerance,
            ..Default::default()
        };
        let (model, _) = als::train(&trainer.matrix, hyper, &options, &mut |_| {
            ControlFlow::Continue(())
        })
        .expect("training ends");
        table.row(stage_one(&model, &mut trainer.matrix, tolerance, erasures));
        trainer.model = model;
    }
    table.print();
    println!(
        "\na service, d = {}, {erasures} single erasures",
        trainer.model.hyper.dim
    );
    commit_model(&store, &trainer, tolerance);
    let pairs = pairs_to_erase(&trainer, 2 * erasures);
    drop((store, trainer));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(end_to_end(&path, pairs, tolerance));
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
        let Some(weight) = matrix.remove(user, item) else {
            continue;
        };
        let mut model = trained.clone();
        let touched = Touched {
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
            als::polish(
                &mut converged,
                matrix,
                &mut KeptFactors::new(als::KEPT_BYTES_MAX),
                CONVERGED * tolerance,
                500,
                &|| false,
                &mut |_| ControlFlow::Continue(()),
            )
            .expect("polishing ends");
            far.push(distance(trained, &converged));
            near.push(distance(&model, &converged));
        }
        matrix.insert(user, item, weight);
    }
    let number = |numbers| format!("{:.2e}", median(numbers));
    vec![
        trained.hyper.dim.to_string(),
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

/// What a service that has polished before steps with.
fn kept_factors(trained: &Ials, matrix: &InteractionMatrix) -> KeptFactors {
    let mut kept = KeptFactors::new(als::KEPT_BYTES_MAX);
    let mut model = trained.clone();
    als::polish(
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

fn commit_model(store: &Store, trainer: &Trainer, tolerance: f64) {
    let measured = trainer.model.measure(&trainer.matrix);
    let header = ModelHeader {
        version: 1,
        learnt: LogPosition::default(),
        hyperparameters: trainer.model.hyper,
        neural: None,
        seed: trainer.seed,
        residual: Some(measured.residual),
        objective: Some(measured.objective),
        measured_version: Some(1),
        certificate: Some(recant::model::certificate::Certificate::residual(
            measured.residual,
            tolerance,
        )),
    };
    let committed = store.commit(whole_model(trainer, &header)).wait();
    committed.expect("the model is stored");
}

fn pairs_to_erase(trainer: &Trainer, count: usize) -> Vec<(UserId, ItemId)> {
    let mut random = ChaCha12Rng::seed_from_u64(4);
    let ids = |(user, item)| {
        let user = trainer.users.directory().id(user).expect("a user").clone();
        let item = trainer.items.directory().id(item).expect("an item").clone();
        (user, item)
    };
    (0..count)
        .map(|_| ids(any_pair(&trainer.matrix, &mut random)))
        .collect()
}

/// Half of the erasures each come when the one before is certified and nothing runs, the other
/// half as soon as the one before is forgotten, while the service polishes.
async fn end_to_end(path: &Path, mut pairs: Vec<(UserId, ItemId)>, tolerance: f64) {
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let options = ServiceOptions {
        model: IalsHyperparameters::default().into(),
        seed: 1,
        queue_max: 1_000,
        receipt_issuer: "recant".into(),
        worker: WorkerOptions {
            update_budget: update_options(tolerance).budget,
            tolerance,
            certificate_target: CertificateSettings::default().target,
            threads: 0,
        },
    };
    let (service, guard) = Service::start(store, options).await.expect("it starts");
    let mut table = Table::new(&[
        "when",
        "accepted p50",
        "p95",
        "accepted to forgotten p50",
        "p95",
        "largest",
    ]);
    // The first one sees a service that has just started; it is not counted.
    let (user, item) = pairs[0].clone();
    erase(&service, user, item, true).await;
    let busy = pairs.split_off(pairs.len() / 2);
    for (name, pairs, rest) in [("idle", pairs, true), ("polishing", busy, false)] {
        let (mut accepted, mut forgotten) = (Times::default(), Times::default());
        for (user, item) in pairs {
            let (acceptance, forgetting) = erase(&service, user, item, rest).await;
            accepted.push(acceptance);
            forgotten.push(forgetting);
        }
        table.row(vec![
            name.to_owned(),
            shown(accepted.median()),
            shown(accepted.percentile(95)),
            shown(forgotten.median()),
            shown(forgotten.percentile(95)),
            shown(forgotten.percentile(100)),
        ]);
    }
    guard.stop().await;
    table.print();
}

/// Erases a pair and returns how long acceptance took, and from there until it was forgotten; with
/// `rest`, returns only when it is certified too.
async fn erase(service: &Service, user: UserId, item: ItemId, rest: bool) -> (Duration, Duration) {
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
    loop {
        let record = service.erasure(record.id).await.expect("readable");
        if !rest || record.is_some_and(|record| record.status == ErasureStatus::Certified) {
            return (accepted, forgotten);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
