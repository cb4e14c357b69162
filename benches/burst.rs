//! Many erasures at once, and what one costs as the data grows.
//!
//! `cargo bench --bench burst [-- --dim D --alpha0 A --lambda L --clients C --erasures N]`: a burst
//! of single pairs against a service in this process, each client sending the next one when its
//! last is forgotten; with `RECANT_BENCH_FILE=pairs.csv.gz` on real data. With `--growth 1
//! [--sweeps S]` instead: stage 1 of one erasure from synthetic data of MovieLens-1M's size, and of
//! ten times it.

mod support;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Ials, InteractionMatrix, RowSets};
use recant_core::optim::als;
use recant_core::optim::als::{CACHE_BYTES_MAX, CholeskyCache, TrainingOptions};
use recant_core::unlearn::{UpdateOptions, update};
use recant_http::LearningSettings;
use recant_service::Service;
use recant_store::{Store, StoreOptions};
use recant_types::{
    ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, IalsHyperparameters, ItemId, UserId,
};
use support::argument;
use support::table::{Table, Times, shown};

/// Longest that one erasure, or the certificate after all, may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between two looks at whether the last erasure is certified.
const LOOK: Duration = Duration::from_millis(5);

/// Most sweeps of the models that grow, unless `--sweeps` says otherwise.
const GROWTH_SWEEPS: f64 = 30.0;

/// Erasures of the models that grow.
const GROWTH_ERASURES: usize = 50;

fn main() {
    let hyper = IalsHyperparameters {
        dim: argument("--dim", 64.0) as usize,
        alpha0: argument("--alpha0", 0.3),
        lambda: argument("--lambda", 0.02),
        nu: 1.0,
    };
    if argument("--growth", 0.0) > 0.0 {
        growth(hyper)
    } else {
        burst(hyper)
    }
}

/// Trains in a store of its own, and sends the erasures.
fn burst(hyper: IalsHyperparameters) {
    let (name, matrix) = support::matrix();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    support::stored::store_and_train(&path, &name, &matrix, hyper);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(send(&path, hyper, pairs_to_erase(&matrix)));
}

/// Different pairs at random, with the ids that the store gave them.
fn pairs_to_erase(matrix: &InteractionMatrix) -> Vec<(UserId, ItemId)> {
    let mut pairs: Vec<(u32, u32)> = (0..matrix.user_rows() as u32)
        .flat_map(|user| matrix.user(user).iter().map(move |e| (user, e.index)))
        .collect();
    let erasures = argument("--erasures", 2_000.0) as usize;
    let mut random = ChaCha12Rng::seed_from_u64(4);
    // The first one sees a service that has just started; it is not counted.
    let (some, _) = pairs.partial_shuffle(&mut random, 1 + erasures);
    let ids = some
        .iter()
        .map(|(user, item)| support::stored::ids(*user, *item));
    ids.collect()
}

/// What one client saw of one erasure.
struct Seen {
    id: ErasureId,
    accepted: Duration,
    forgotten: Duration,
}

async fn send(path: &Path, hyper: IalsHyperparameters, mut pairs: Vec<(UserId, ItemId)>) {
    let clients = argument("--clients", 64.0) as usize;
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let options = support::stored::service_options(hyper);
    let (service, guard) = Service::start(store, options).await.expect("it starts");
    let first = pairs.pop().expect("one pair");
    let first = erase(&service, first).await;
    let opened = Instant::now();
    until_certified(&service, first.id).await;
    println!(
        "one erasure before, certified after {}",
        shown(opened.elapsed())
    );
    let (pairs, next) = (Arc::new(pairs), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let client = client(service.clone(), Arc::clone(&pairs), Arc::clone(&next));
            tokio::spawn(client)
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.extend(task.await.expect("a client ends"));
    }
    let burst = started.elapsed();
    report(clients, &seen, burst);
    for one in &seen {
        let record = until_certified(&service, one.id).await;
        assert!(
            record.certificate.is_some(),
            "certified without certificate"
        );
    }
    let restored = started.elapsed() - burst;
    let certificate = service.model().certificate;
    guard.stop().await;
    println!(
        "certified {} after the last was forgotten: {}",
        shown(restored),
        certificate.expect("there is one")
    );
}

/// Erases one pair after another until none is left.
async fn client(
    service: Service,
    pairs: Arc<Vec<(UserId, ItemId)>>,
    next: Arc<AtomicUsize>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
        seen.push(erase(&service, pair.clone()).await);
    }
    seen
}

/// Erases a pair and waits until it is forgotten.
async fn erase(service: &Service, pair: (UserId, ItemId)) -> Seen {
    let started = Instant::now();
    let target = ErasureTarget::Pairs(vec![pair]);
    let accepted = service.erase(target, None).await;
    let id = accepted.expect("it is accepted").record.id;
    let accepted = started.elapsed();
    let waited = service.wait_forgotten(id, PATIENCE).await;
    let status = waited.expect("readable").expect("known").status;
    let done = matches!(status, ErasureStatus::Forgotten | ErasureStatus::Certified);
    assert!(done, "{status} and not forgotten");
    Seen {
        id,
        accepted,
        forgotten: started.elapsed() - accepted,
    }
}

async fn until_certified(service: &Service, id: ErasureId) -> ErasureRecord {
    let started = Instant::now();
    loop {
        let record = service.erasure(id).await.expect("readable").expect("known");
        if record.status == ErasureStatus::Certified {
            return record;
        }
        assert!(started.elapsed() < PATIENCE, "not certified in time");
        tokio::time::sleep(LOOK).await;
    }
}

fn report(clients: usize, seen: &[Seen], burst: Duration) {
    let (mut accepted, mut forgotten) = (Times::default(), Times::default());
    for one in seen {
        accepted.push(one.accepted);
        forgotten.push(one.forgotten);
    }
    let mut table = Table::new(&[
        "clients",
        "erasures",
        "seconds",
        "forgotten/s",
        "accepted p50",
        "p99",
        "accepted to forgotten p50",
        "p99",
    ]);
    table.row(vec![
        clients.to_string(),
        seen.len().to_string(),
        format!("{:.2}", burst.as_secs_f64()),
        format!("{:.0}", seen.len() as f64 / burst.as_secs_f64()),
        shown(accepted.median()),
        shown(accepted.percentile(99)),
        shown(forgotten.median()),
        shown(forgotten.percentile(99)),
    ]);
    table.print();
}

/// Stage 1 on data of two sizes, in which users and items have the same numbers of interactions.
fn growth(hyper: IalsHyperparameters) {
    let mut table = Table::new(&[
        "users",
        "items",
        "pairs",
        "residual",
        "kept matrices",
        "touched blocks alone, median",
        "p95",
        "default budget, median",
        "p95",
        "blocks",
    ]);
    for times in [1, 10] {
        let sizes = (6_040 * times, 3_700 * times, 720_000 * times);
        let mut matrix = support::synthetic(sizes.0, sizes.1, sizes.2, 1);
        table.row(stage_one(hyper, &mut matrix));
    }
    println!("stage 1 of one erased pair, d = {}", hyper.dim);
    table.print();
}

fn stage_one(hyper: IalsHyperparameters, matrix: &mut InteractionMatrix) -> Vec<String> {
    let options = TrainingOptions {
        max_sweeps: argument("--sweeps", GROWTH_SWEEPS) as usize,
        ..TrainingOptions::default()
    };
    let observe = &mut |_: &_| ControlFlow::Continue(());
    let (mut model, trained) = als::train(matrix, hyper, &options, observe).expect("it trains");
    let mut kept = CholeskyCache::new(CACHE_BYTES_MAX);
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
    let (users, items, pairs) = (
        matrix.active_users(),
        matrix.active_items(),
        matrix.interactions(),
    );
    let mut row = vec![users.to_string(), items.to_string(), pairs.to_string()];
    row.push(format!("{:.1e}", trained.residual));
    let is_fresh = kept.is_fresh(&model.item_gramian);
    row.push(if is_fresh { "serve" } else { "do not" }.to_owned());
    for budget in [Duration::ZERO, LearningSettings::default().budget()] {
        let (times, blocks) = erasures(&mut model, matrix, &mut kept, budget);
        row.extend([shown(times.median()), shown(times.percentile(95))]);
        if !budget.is_zero() {
            row.push(blocks.to_string());
        }
    }
    row
}

/// Erases one pair after another; returns the times, and the mean number of blocks solved.
fn erasures(
    model: &mut Ials,
    matrix: &mut InteractionMatrix,
    kept: &mut CholeskyCache,
    budget: Duration,
) -> (Times, usize) {
    let mut random = ChaCha12Rng::seed_from_u64(3);
    let options = UpdateOptions {
        budget,
        tolerance: LearningSettings::default().tolerance,
        seed: 1,
    };
    let (mut times, mut blocks) = (Times::default(), 0);
    while times.len() < GROWTH_ERASURES {
        let user = random.random_range(0..matrix.user_rows() as u32);
        let history = matrix.user(user);
        if history.is_empty() {
            continue;
        }
        let item = history[random.random_range(0..history.len())].index;
        matrix.remove(user, item);
        let touched = RowSets {
            users: vec![user],
            items: vec![item],
        };
        let started = Instant::now();
        let report = update(model, matrix, kept, &touched, &options);
        times.push(started.elapsed());
        blocks += report.blocks_solved;
    }
    (times, blocks / GROWTH_ERASURES)
}
