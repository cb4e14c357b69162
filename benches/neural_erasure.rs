//! Interactions and users erased from a neural model in a service: from acceptance to the swapped model.
//!
//! `cargo bench --bench neural_erasure [-- --model neumf|lightgcn --epochs E --rounds R --lambda L
//! --erasures N]`; with `RECANT_BENCH_FILE=pairs.csv.gz` on real data. R rounds of refining end the
//! training and follow each erasure; with 0, as without the option, the model is held instead.

mod support;

use recant_neural::forget::RefinementOptions;
use recant_neural::model_of;
use recant_neural::optimise::AdamWOptions;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::InteractionMatrix;
use recant_service::Service;
use recant_service::{NeuralTraining, train_neural};
use recant_store::{Store, StoreOptions};
use recant_types::{
    ErasureStatus, ErasureTarget, LightGcn, ModelConfiguration, ModelSpecification, NeuMf,
};
use support::table::{Table, Times, shown};

/// How long a state is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let (name, matrix) = support::matrix();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    support::stored::store(&path, &matrix);
    let specification = specification();
    let trained = train(&path, &specification);
    println!(
        "{name}: {} pairs, {} users, {} items; {}, {} threads; trained in {}",
        matrix.interactions(),
        matrix.active_users(),
        matrix.active_items(),
        specification.kind(),
        rayon::current_num_threads(),
        shown(trained),
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(erase_all(&path, specification, &matrix));
}

fn specification() -> ModelSpecification {
    if std::env::args().any(|argument| argument == "lightgcn") {
        ModelSpecification::LightGcn(LightGcn {
            lambda: support::argument("--lambda", 1e-4),
            ..LightGcn::default()
        })
    } else {
        ModelSpecification::NeuMf(NeuMf {
            lambda: support::argument("--lambda", 1e-5),
            ..NeuMf::default()
        })
    }
}

fn train(path: &Path, specification: &ModelSpecification) -> Duration {
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let options = NeuralTraining {
        adamw: AdamWOptions {
            epochs: support::argument("--epochs", 20.0) as usize,
            ..AdamWOptions::for_model(model_of(specification))
        },
        refinement: RefinementOptions {
            tolerance: 1e-3,
            rounds_max: rounds(),
        },
    };
    let started = Instant::now();
    let observe = &mut |_| ControlFlow::Continue(());
    train_neural(&store, specification.clone(), &options, observe).expect("it trains");
    started.elapsed()
}

fn rounds() -> usize {
    support::argument("--rounds", 0.0) as usize
}

/// Single pairs and whole users at random, each as soon as the one before is forgotten.
async fn erase_all(path: &Path, specification: ModelSpecification, matrix: &InteractionMatrix) {
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let mut options = support::stored::service_options(Default::default());
    options.worker.refinement_rounds = rounds();
    options.model = ModelConfiguration::Neural(specification);
    let (service, guard) = Service::start(store, options).await.expect("it starts");
    let mut random = ChaCha12Rng::seed_from_u64(4);
    let count = support::argument("--erasures", 50.0) as usize;
    let mut table = Table::new(&["what", "accepted p50", "to forgotten p50", "p95", "max"]);
    for whole in [false, true] {
        let (mut accepted, mut forgotten) = (Times::default(), Times::default());
        for _ in 0..count {
            let times = erase(&service, target(matrix, whole, &mut random)).await;
            accepted.push(times.0);
            forgotten.push(times.1);
        }
        table.row(vec![
            String::from(if whole { "one user" } else { "one pair" }),
            shown(accepted.median()),
            shown(forgotten.median()),
            shown(forgotten.percentile(95)),
            shown(forgotten.percentile(100)),
        ]);
    }
    guard.stop().await;
    table.print();
}

fn target(matrix: &InteractionMatrix, whole: bool, random: &mut ChaCha12Rng) -> ErasureTarget {
    loop {
        let user = random.random_range(0..matrix.user_rows() as u32);
        let history = matrix.user(user);
        if !history.is_empty() {
            let item = history[random.random_range(0..history.len())].index;
            let (user, item) = support::stored::ids(user, item);
            return if whole {
                ErasureTarget::User(user)
            } else {
                ErasureTarget::Pairs(vec![(user, item)])
            };
        }
    }
}

/// How long acceptance took, and how long it was from there until the swap.
async fn erase(service: &Service, target: ErasureTarget) -> (Duration, Duration) {
    let started = Instant::now();
    let accepted = service.erase(target, None).await;
    let record = accepted.expect("it is accepted").record;
    let accepted = started.elapsed();
    let waited = service.wait_forgotten(record.id, PATIENCE).await;
    let forgotten = started.elapsed() - accepted;
    let status = waited.expect("readable").expect("known").status;
    assert!(status >= ErasureStatus::Forgotten, "not forgotten in time");
    (accepted, forgotten)
}
