//! A disk that does not finish a sync: callers are told instead of waiting with it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, block_on, hyperparameters, item_id, user_id};
use recant_service::Service;
use recant_service::ServiceError;
use recant_service::ServiceOptions;
use recant_service::WorkerOptions;
use recant_store::{Store, StoreOptions, SyncObserver, SyncStep};
use recant_types::{ErasureFilter, ErasureStatus, ErasureTarget};

/// A disk that can be made to hang in the next sync of the database.
#[derive(Default)]
struct Disk {
    hangs: Mutex<bool>,
    changed: Condvar,
    hung: AtomicBool,
}

impl Disk {
    fn set(&self, hangs: bool) {
        *self.hangs.lock().expect("sound") = hangs;
        self.changed.notify_all();
    }

    fn sync(&self, step: SyncStep, path: &Path) {
        if step == SyncStep::Before && path.ends_with("db") {
            let hangs = self.hangs.lock().expect("sound");
            self.hung.store(*hangs, Ordering::Release);
            drop(self.changed.wait_while(hangs, |hangs| *hangs));
        }
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "not {what} in time");
        std::thread::yield_now();
    }
}

#[test]
fn callers_are_told_and_what_they_asked_for_happens_when_the_disk_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Disk::default());
    let watching = Arc::clone(&disk);
    let options = StoreOptions {
        sync_longest: Duration::from_millis(200),
        sync_observer: Some(SyncObserver::new(move |step, path| {
            watching.sync(step, path);
            Ok(())
        })),
        ..StoreOptions::default()
    };
    let store = Store::open(folder.path(), &options).expect("a store");
    let worker = WorkerOptions {
        update_budget: Duration::from_millis(10),
        update_tolerance: 1e-6,
        tolerance: 1e-6,
        refinement_rounds: 5,
        certificate_target: 1e-5,
        threads: 1,
        cholesky_cache_bytes_max: 1 << 28,
    };
    let options = ServiceOptions {
        model: hyperparameters().into(),
        seed: 1,
        queue_max: 100,
        certificate_wait_max: None,
        receipt_issuer: "recant".into(),
        content: None,
        worker,
    };
    block_on(async {
        let started = Service::start(store.clone(), options).await;
        let (service, guard) = started.expect("the service starts");
        assert!(service.is_ready());
        disk.set(true);
        let pair = ErasureTarget::Pairs(vec![(user_id(1), item_id(1))]);
        let stalled = service.erase(pair.clone(), None).await;
        assert!(matches!(stalled, Err(ServiceError::Stalled)), "{stalled:?}");
        assert!(disk.hung.load(Ordering::Acquire));
        until("noticed", || !service.is_ready());
        let refused = service.erase(pair, None).await;
        assert!(matches!(refused, Err(ServiceError::Stalled)), "{refused:?}");
        disk.set(false);
        until("ready again", || service.is_ready());
        let nobody = ErasureTarget::User(user_id(7));
        let last = service
            .erase(nobody, None)
            .await
            .expect("accepted")
            .record
            .id;
        let record = service.wait_forgotten(last, PATIENCE).await;
        let status = record.expect("readable").expect("known").status;
        assert!(status >= ErasureStatus::Forgotten);
        // The one that nobody waited for was carried out, too.
        let erasures = service
            .erasures(ErasureFilter::default(), None, 9)
            .await
            .expect("readable");
        assert_eq!(erasures.len(), 2);
        guard.stop().await;
    });
}
