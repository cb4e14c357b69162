//! Certificates while people keep using the service.
//!
//! `cargo bench --bench traffic [-- --dim D --lambda L --seconds S --additions A --erasures E
//! --recommendations R --wait-seconds-max W]`: a service in this process with A additions, E erasures of single pairs and R
//! recommendations a second, each at its own moment whether or not the last one is answered; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data. Beside it the same recommendations alone, and what
//! the process computes when nothing comes. With `RECANT_LOG=recant_service=debug` every refinement is
//! told on standard error.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::InteractionMatrix;
use recant_http::LogSettings;
use recant_service::{RecommendQuery, Service, ServiceError, Subject};
use recant_store::{Store, StoreOptions};
use recant_types::{ErasureId, ErasureStatus, ErasureTarget, IalsHyperparameters, Interaction};
use support::argument;
use support::table::{Table, Times, shown};

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Recommendations alone, and nothing at all, are watched for so long.
const IDLE: Duration = Duration::from_secs(10);

/// Between two readings of an erasure's state, until it is forgotten and until it is certified. The
/// times in a record are to the minute, so that they tell nobody who exists: they are taken here.
const UNTIL_FORGOTTEN: Duration = Duration::from_millis(1);
const UNTIL_CERTIFIED: Duration = Duration::from_millis(50);

/// Length of the lists.
const K: usize = 10;

fn main() {
    if std::env::var_os("RECANT_LOG").is_some() {
        recant_http::install_logs(&LogSettings::default()).expect("a log");
    }
    let hyper = IalsHyperparameters {
        dim: argument("--dim", 128.0) as usize,
        alpha0: argument("--alpha0", 0.3),
        lambda: argument("--lambda", 0.01),
        nu: 1.0,
    };
    let (name, matrix) = support::matrix();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    support::stored::store_and_train(&path, &name, &matrix, hyper);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(&path, &StoreOptions::default()).expect("a store");
        let mut options = support::stored::service_options(hyper);
        let wait = argument("--wait-seconds-max", 0.0);
        options.certificate_wait_max = (wait > 0.0).then(|| Duration::from_secs_f64(wait));
        let (service, guard) = Service::start(store, options).await.expect("it starts");
        run(&service, Arc::new(matrix)).await;
        guard.stop().await;
    });
}

async fn run(service: &Service, matrix: Arc<InteractionMatrix>) {
    // The first certificate, which a start computes anew, is not part of it.
    let nobody = recant_types::UserId::new("nobody").expect("an id");
    let first = erase_and_follow(service.clone(), ErasureTarget::User(nobody)).await;
    println!("certified after the start in {}", shown(first.certified));
    let rate = argument("--recommendations", 50.0);
    let alone = recommend(service.clone(), Arc::clone(&matrix), rate, IDLE).await;
    let seconds = Duration::from_secs_f64(argument("--seconds", 60.0));
    let recommending = tokio::spawn(recommend(
        service.clone(),
        Arc::clone(&matrix),
        rate,
        seconds,
    ));
    let adding = tokio::spawn(add(service.clone(), Arc::clone(&matrix), seconds));
    let erasing = tokio::spawn(erase(service.clone(), Arc::clone(&matrix), seconds));
    let beside = recommending.await.expect("it ends");
    let added = adding.await.expect("it ends");
    let ended = Instant::now();
    let erasures = erasing.await.expect("it ends");
    report(&erasures, ended, added, &alone, &beside);
    let since = Instant::now();
    caught_up(service).await;
    println!(
        "what came last is certified {} later",
        shown(since.elapsed())
    );
    let before = processor_time();
    tokio::time::sleep(IDLE).await;
    println!(
        "with nothing to do: {} of processor time in {}",
        shown(processor_time() - before),
        shown(IDLE)
    );
}

/// Ticks `rate` times a second for `time`; of ticks that were missed none is left out.
async fn ticks(rate: f64, time: Duration, mut tick: impl FnMut()) {
    let started = Instant::now();
    for number in 0.. {
        let at = started + Duration::from_secs_f64(f64::from(number) / rate.max(1e-9));
        if at >= started + time {
            return;
        }
        tokio::time::sleep_until(at.into()).await;
        tick();
    }
}

async fn recommend(
    service: Service,
    matrix: Arc<InteractionMatrix>,
    rate: f64,
    time: Duration,
) -> Times {
    let mut random = ChaCha12Rng::seed_from_u64(5);
    let mut tasks = Vec::new();
    ticks(rate, time, || {
        let row = random.random_range(0..matrix.user_rows() as u32);
        let (service, user) = (service.clone(), support::stored::ids(row, 0).0);
        tasks.push(tokio::spawn(async move {
            let started = Instant::now();
            let query = RecommendQuery::new(Subject::User(user), K);
            service.recommend(query).await.expect("an answer");
            started.elapsed()
        }));
    })
    .await;
    let mut times = Times::default();
    for task in tasks {
        times.push(task.await.expect("answered"));
    }
    times
}

/// Adds an interaction; whether it was taken. One that comes while certificates are late is not, and
/// nobody sends it again.
async fn add_in_time(service: &Service, interaction: Interaction) -> bool {
    match service.add(vec![interaction]).await {
        Ok(_) => true,
        Err(ServiceError::CertificatesBehind) => false,
        Err(error) => panic!("not accepted: {error}"),
    }
}

/// Adds pairs at random; returns how many, and how many were put off.
async fn add(service: Service, matrix: Arc<InteractionMatrix>, time: Duration) -> (usize, usize) {
    let mut random = ChaCha12Rng::seed_from_u64(6);
    let mut tasks = Vec::new();
    ticks(argument("--additions", 20.0), time, || {
        let user = random.random_range(0..matrix.user_rows() as u32);
        // An item of somebody else: popular ones more often.
        let other = random.random_range(0..matrix.user_rows() as u32);
        let theirs = matrix.user(other);
        let item = theirs[random.random_range(0..theirs.len())].index;
        let (user, item) = support::stored::ids(user, item);
        let service = service.clone();
        tasks.push(tokio::spawn(async move {
            let interaction = Interaction {
                feedback: Default::default(),
                user,
                item,
                weight: 1.0,
                timestamp: None,
            };
            add_in_time(&service, interaction).await
        }));
    })
    .await;
    let (mut added, mut deferred) = (0, 0);
    for task in tasks {
        let is_added = task.await.expect("answered");
        *(if is_added { &mut added } else { &mut deferred }) += 1;
    }
    (added, deferred)
}

/// Erases pairs at random; returns when all of them are certified.
async fn erase(service: Service, matrix: Arc<InteractionMatrix>, time: Duration) -> Vec<Followed> {
    let pairs = (0..matrix.user_rows() as u32)
        .flat_map(|user| matrix.user(user).iter().map(move |e| (user, e.index)));
    let mut pairs: Vec<(u32, u32)> = pairs.collect();
    let rate = argument("--erasures", 2.0);
    let count = (rate * time.as_secs_f64()).ceil() as usize + 1;
    let (some, _) = pairs.partial_shuffle(&mut ChaCha12Rng::seed_from_u64(4), count);
    let mut some = some.iter().copied();
    let mut tasks = Vec::new();
    ticks(rate, time, || {
        let Some((user, item)) = some.next() else {
            return;
        };
        let target = ErasureTarget::Pairs(vec![support::stored::ids(user, item)]);
        tasks.push(tokio::spawn(erase_and_follow(service.clone(), target)));
    })
    .await;
    let mut erasures = Vec::new();
    for task in tasks {
        erasures.push(task.await.expect("certified"));
    }
    erasures
}

/// An erasure on its way, each time from its acceptance.
struct Followed {
    accepted_at: Instant,
    forgotten: Duration,
    certified: Duration,
}

async fn erase_and_follow(service: Service, target: ErasureTarget) -> Followed {
    let accepted = service.erase(target, None).await.expect("accepted");
    let accepted_at = Instant::now();
    let id = accepted.record.id;
    let is_forgotten =
        |status| matches!(status, ErasureStatus::Forgotten | ErasureStatus::Certified);
    let forgotten = until(&service, id, is_forgotten, UNTIL_FORGOTTEN).await;
    let is_certified = |status| status == ErasureStatus::Certified;
    let certified = until(&service, id, is_certified, UNTIL_CERTIFIED).await;
    Followed {
        accepted_at,
        forgotten: forgotten - accepted_at,
        certified: certified - accepted_at,
    }
}

/// When the erasure was first found in a state that `is_it`, read every `pause`.
async fn until(
    service: &Service,
    id: ErasureId,
    is_it: impl Fn(ErasureStatus) -> bool,
    pause: Duration,
) -> Instant {
    let started = Instant::now();
    loop {
        let record = service.erasure(id).await.expect("readable").expect("known");
        if is_it(record.status) {
            return Instant::now();
        }
        assert!(started.elapsed() < PATIENCE, "not in time: {record:?}");
        tokio::time::sleep(pause).await;
    }
}

fn report(
    erasures: &[Followed],
    ended: Instant,
    (added, deferred): (usize, usize),
    alone: &Times,
    beside: &Times,
) {
    let (mut forgotten, mut certified) = (Times::default(), Times::default());
    for erasure in erasures {
        forgotten.push(erasure.forgotten);
        certified.push(erasure.certified);
    }
    let meanwhile = erasures
        .iter()
        .filter(|erasure| erasure.accepted_at + erasure.certified <= ended);
    println!(
        "{added} additions, {deferred} put off; {} of {} erasures certified meanwhile",
        meanwhile.count(),
        erasures.len()
    );
    let mut table = Table::new(&["", "p50", "p99", "most"]);
    for (name, times) in [
        ("accepted to forgotten", &forgotten),
        ("accepted to certified", &certified),
        ("recommendations alone", alone),
        ("recommendations beside", beside),
    ] {
        let percentile = |percent| shown(times.percentile(percent));
        table.row(vec![
            name.to_owned(),
            percentile(50),
            percentile(99),
            percentile(100),
        ]);
    }
    table.print();
}

/// Waits until a certificate covers all that came: additions after the last erasure are work left over, and
/// no work for nothing.
async fn caught_up(service: &Service) {
    let until = Instant::now() + PATIENCE;
    while service
        .model()
        .certified
        .is_none_or(|certified| certified.events_since > 0)
    {
        assert!(Instant::now() < until, "it never comes to rest");
        tokio::time::sleep(UNTIL_CERTIFIED).await;
    }
}

/// What this process has computed so far, in user and kernel mode.
fn processor_time() -> Duration {
    /// Ticks a second in /proc, on every Linux there is.
    const TICKS: u64 = 100;
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = text.rsplit_once(')').expect("a name in parentheses");
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}
