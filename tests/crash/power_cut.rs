//! The power fails at every sync there is: whatever was not synced is lost, and still everything
//! that was acknowledged is there, and nothing whose erasure was acknowledged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::simulated_disk::Disk;
use recant_service::Service;
use recant_service::WorkerOptions;
use recant_service::{ServiceOptions, WorkerGuard};
use recant_store::{Store, StoreOptions, SyncObserver, SyncStep};
use recant_testkit::store::open_with;
use recant_types::{
    ErasureRecord, ErasureTarget, IalsHyperparameters, Interaction, ItemId, UserId,
};

const USERS: u8 = 4;

type Pair = (u8, u8);

/// What is acknowledged, and what was asked for and not answered yet.
#[derive(Debug, Default, Clone)]
struct Expected {
    held: BTreeSet<Pair>,
    perhaps: BTreeSet<Pair>,
    /// How far the erasures that were seen had come.
    erasures: Vec<ErasureRecord>,
}

fn user(number: u8) -> UserId {
    UserId::new(&format!("usr-{number}")).expect("an id")
}

fn item(number: u8) -> ItemId {
    ItemId::new(&format!("itm-{number}")).expect("an id")
}

fn options(observer: Option<SyncObserver>) -> StoreOptions {
    StoreOptions {
        cache_bytes: 4 << 20,
        free_space_min_bytes: 0,
        sync_observer: observer,
        ..StoreOptions::default()
    }
}

/// What a refinement works to: a root mean square that it reaches, or one that it never does, so that a
/// checkpoint is alive nearly always.
const REACHED: f64 = 1e-2;
const NEVER_REACHED: f64 = 0.0;

async fn start(store: Store, target: f64) -> (Service, WorkerGuard) {
    let options = ServiceOptions {
        model: IalsHyperparameters {
            dim: 2,
            alpha0: 0.3,
            lambda: 0.02,
            nu: 1.0,
        }
        .into(),
        seed: 1,
        queue_max: 1_000,
        certificate_wait_max: None,
        receipt_issuer: "recant".into(),
        content: None,
        worker: WorkerOptions {
            update_budget: Duration::from_millis(10),
            update_tolerance: 1e-4,
            tolerance: target / 100.0,
            refinement_rounds: 5,
            certificate_target: target,
            threads: 1,
            cholesky_cache_bytes_max: 1 << 28,
        },
    };
    // The second attempt is for a sync that fails in the first.
    match Service::start(store.clone(), options.clone()).await {
        Ok(started) => started,
        Err(_) => Service::start(store, options).await.expect("it starts"),
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Erases, again and again while it is refused: repeating it is harmless.
async fn erase(service: &Service, target: &ErasureTarget) -> ErasureRecord {
    loop {
        if let Ok(accepted) = service.erase(target.clone(), None).await {
            return accepted.record;
        }
    }
}

/// Waits until everything accepted is learnt and forgotten.
async fn settle(service: &Service) {
    let nobody = ErasureTarget::User(UserId::new("nobody").expect("an id"));
    let accepted = erase(service, &nobody).await;
    let patience = Duration::from_secs(60);
    let waited = service.wait_forgotten(accepted.id, patience).await;
    let record = waited.expect("readable").expect("there");
    assert!(record.forgotten_at.is_some(), "{record:?}");
}

async fn exported(service: &Service) -> BTreeSet<Pair> {
    let mut held = BTreeSet::new();
    for number in 0..USERS {
        for exported in service.export(&user(number)).await.expect("readable") {
            let item = exported.item.expose().trim_start_matches("itm-").parse();
            held.insert((number, item.expect("a number")));
        }
    }
    held
}

/// Opens what a power cut leaves of `data` and compares it with what was acknowledged.
fn check(disk: &Disk, data: &Path, scratch: &Path, expected: &Expected, sync: usize) {
    let copy = scratch.join(format!("cut-{sync}"));
    disk.rebuild(data, &copy);
    let store = open_with(&copy, &options(None));
    let store = store.unwrap_or_else(|error| panic!("sync {sync}: {error}"));
    block_on(async {
        let (service, guard) = start(store.clone(), REACHED).await;
        // Before and after what waits in the log is carried out.
        for settled in [false, true] {
            if settled {
                settle(&service).await;
            }
            let found = exported(&service).await;
            let allowed: BTreeSet<Pair> = expected.held.union(&expected.perhaps).copied().collect();
            let back: Vec<_> = found.difference(&allowed).collect();
            assert!(
                back.is_empty(),
                "sync {sync}, settled {settled}: erased, and back: {back:?}"
            );
            if settled {
                let certain = expected.held.difference(&expected.perhaps);
                let lost: Vec<_> = certain.filter(|pair| !found.contains(*pair)).collect();
                assert!(
                    lost.is_empty(),
                    "sync {sync}: acknowledged, and lost: {lost:?}"
                );
                assert_eq!(service.model().interactions, found.len(), "sync {sync}");
            }
        }
        for seen in &expected.erasures {
            let now = service.erasure(seen.id).await.expect("readable");
            let now = now.unwrap_or_else(|| panic!("sync {sync}: an erasure is lost"));
            assert!(
                now.status >= seen.status,
                "sync {sync}: {now:?} after {seen:?}"
            );
        }
        guard.stop().await;
    });
    drop(store);
    std::fs::remove_dir_all(&copy).expect("removed");
}

/// One step of the history.
enum Step {
    Add(&'static [Pair]),
    Erase(ErasureTarget, &'static [Pair]),
    /// Until all is forgotten.
    Settle,
    Compact,
}

fn history() -> Vec<Step> {
    use Step::{Add, Compact, Erase, Settle};
    let pair = |user_of: u8, item_of: u8| (user(user_of), item(item_of));
    vec![
        Add(&[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 2), (3, 3)]),
        Settle,
        Erase(ErasureTarget::Pairs(vec![pair(0, 1)]), &[(0, 1)]),
        // Not learnt yet when its erasure comes.
        Add(&[(2, 4), (3, 1)]),
        Erase(
            ErasureTarget::Pairs(vec![pair(2, 4), pair(1, 0)]),
            &[(2, 4), (1, 0)],
        ),
        Erase(ErasureTarget::User(user(3)), &[(3, 3), (3, 1)]),
        Settle,
        Compact,
        Add(&[(3, 4), (1, 2)]),
        Erase(ErasureTarget::Item(item(2)), &[(0, 2), (2, 2), (1, 2)]),
        Compact,
        Settle,
    ]
}

async fn carry_out(step: Step, store: &Store, service: &Service, expected: &Mutex<Expected>) {
    let change = |change: &dyn Fn(&mut Expected)| change(&mut expected.lock().expect("sound"));
    match step {
        Step::Add(pairs) => {
            change(&|expected| expected.perhaps.extend(pairs));
            let interactions = pairs.iter().map(|(of, with)| Interaction {
                feedback: Default::default(),
                user: user(*of),
                item: item(*with),
                weight: 1.0,
                timestamp: None,
            });
            let interactions: Vec<Interaction> = interactions.collect();
            while service.add(interactions.clone()).await.is_err() {}
            change(&|expected| {
                expected.perhaps.clear();
                expected.held.extend(pairs);
            });
        }
        Step::Erase(target, pairs) => {
            change(&|expected| expected.perhaps.extend(pairs));
            let accepted = erase(service, &target).await;
            change(&|expected| {
                expected.perhaps.clear();
                expected.held.retain(|pair| !pairs.contains(pair));
                expected.erasures.push(accepted.clone());
            });
        }
        Step::Settle => {
            settle(service).await;
            let mut seen = expected.lock().expect("sound").erasures.clone();
            for record in &mut seen {
                let now = service.erasure(record.id).await.expect("readable");
                *record = now.expect("there");
            }
            expected.lock().expect("sound").erasures = seen;
        }
        Step::Compact => {
            let store = store.clone();
            let compacting = move || while store.compact().is_err() {};
            let compacting = tokio::task::spawn_blocking(compacting);
            compacting.await.expect("no panic");
        }
    }
}

#[test]
fn at_every_sync_the_disk_holds_what_was_acknowledged_and_nothing_that_was_erased() {
    cut_at_every_sync(REACHED);
}

#[test]
fn a_checkpoint_that_is_refined_at_every_power_cut_changes_nothing_of_that() {
    cut_at_every_sync(NEVER_REACHED);
}

fn cut_at_every_sync(target: f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, scratch) = (folder.path().join("data"), folder.path().join("cuts"));
    let disk = Arc::new(Disk::default());
    let expected = Arc::new(Mutex::new(Expected::default()));
    let syncs = Arc::new(AtomicUsize::new(0));
    let observer = {
        let (disk, expected, syncs) =
            (Arc::clone(&disk), Arc::clone(&expected), Arc::clone(&syncs));
        let (data, scratch): (PathBuf, PathBuf) = (data.clone(), scratch.clone());
        SyncObserver::new(move |step, path| {
            disk.hear(step, path);
            if step == SyncStep::After {
                let sync = syncs.fetch_add(1, Ordering::Relaxed);
                let expected = expected.lock().expect("sound").clone();
                // On a thread of its own: this one may belong to a runtime.
                let check = || check(&disk, &data, &scratch, &expected, sync);
                std::thread::scope(|scope| scope.spawn(check).join())
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            Ok(())
        })
    };
    run(&data, observer, &expected, target);
    let syncs = syncs.load(Ordering::Relaxed);
    assert!(syncs > 40, "only {syncs} syncs were heard of");
    println!("{syncs} power cuts");
}

/// Opens the store, at the second attempt when a sync fails in the first.
fn open(data: &Path, observer: &SyncObserver) -> Store {
    let options = options(Some(observer.clone()));
    let first = open_with(data, &options);
    let opened = first.or_else(|_| open_with(data, &options));
    opened.expect("the store opens")
}

/// Carries out the whole history, and compares what is exported at its end.
fn run(data: &Path, observer: SyncObserver, expected: &Mutex<Expected>, target: f64) {
    let store = open(data, &observer);
    block_on(async {
        let (service, guard) = start(store.clone(), target).await;
        for step in history() {
            carry_out(step, &store, &service, expected).await;
        }
        let held = exported(&service).await;
        assert_eq!(held, expected.lock().expect("sound").held);
        guard.stop().await;
    });
}

/// Syncs between two that fail, over all runs: each run lets one fail, so this many runs cover a
/// part of all places, and different kinds of failure.
const FAULT_STEP: usize = 5;

#[test]
fn a_sync_that_fails_loses_nothing_and_lets_nothing_come_back() {
    for (run_number, failing) in (0..120).step_by(FAULT_STEP).enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let syncs = Arc::new(AtomicUsize::new(0));
        let observer = {
            let syncs = Arc::clone(&syncs);
            SyncObserver::new(move |step, _| {
                let is_begin = step == SyncStep::Before;
                let fails = is_begin && syncs.fetch_add(1, Ordering::Relaxed) == failing;
                match (fails, run_number % 2) {
                    (true, 0) => Err(std::io::ErrorKind::StorageFull.into()),
                    (true, _) => Err(std::io::Error::other("the disk is broken")),
                    (false, _) => Ok(()),
                }
            })
        };
        let expected = Mutex::new(Expected::default());
        run(
            &data,
            observer,
            &expected,
            [REACHED, NEVER_REACHED][run_number / 2 % 2],
        );
        let store = open_with(&data, &options(None)).expect("the store opens");
        let held = block_on(async {
            let (service, guard) = start(store.clone(), REACHED).await;
            let held = exported(&service).await;
            guard.stop().await;
            held
        });
        let expected = expected.into_inner().expect("sound");
        assert_eq!(held, expected.held, "sync {failing} failed");
    }
}
