//! A server whose worker has stopped, or whose store is closed, says so, for only a new process learns and forgets
//! again.

use recant_http::{ApiKeys, AppState, Server, Settings, install_exporter, router};
use recant_service::{Service, ServiceOptions, WorkerGuard, WorkerOptions};
use recant_store::{Store, StoreOptions, SyncObserver};
use recant_types::IalsHyperparameters;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

pub fn options() -> ServiceOptions {
    let model = IalsHyperparameters {
        dim: 4,
        alpha0: 0.3,
        lambda: 0.01,
        nu: 1.0,
    };
    ServiceOptions {
        model: model.into(),
        seed: 1,
        queue_max: 100,
        certificate_wait_max: None,
        receipt_issuer: "recant".into(),
        content: None,
        worker: WorkerOptions {
            update_budget: Duration::from_millis(10),
            update_tolerance: 1e-6,
            tolerance: 1e-6,
            refinement_rounds: 5,
            certificate_target: 1e-5,
            threads: 1,
            cholesky_cache_bytes_max: 1 << 28,
        },
    }
}

/// What is answered, and the code when it is a problem.
async fn ask(method: &'static str, url: String) -> (u16, Value) {
    let ask = move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = match method {
            "GET" => agent.get(&url).call(),
            _ => agent.delete(&url).call(),
        }
        .expect("an answer");
        let text = answer.body_mut().read_to_string().expect("a body");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        (answer.status().as_u16(), body["code"].clone())
    };
    tokio::task::spawn_blocking(ask).await.expect("it ends")
}

/// Serves a store, and runs `meanwhile` with the address.
fn serve<Fut: Future<Output = ()>>(
    store: &StoreOptions,
    meanwhile: impl FnOnce(String, WorkerGuard) -> Fut,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::default();
    settings.server.listen = String::from("127.0.0.1:0");
    settings.store.data_dir = folder.path().to_owned();
    let keys = ApiKeys::open(&settings).expect("none");
    let server = Server::bind(&settings, &keys).expect("a free port");
    let address = format!("http://{}", server.address());
    let state = AppState::new(install_exporter().expect("a recorder"));
    let router = router(state.clone(), &settings, &keys);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(folder.path(), store).expect("a store");
        let started = Service::start(store, options()).await;
        let (service, worker) = started.expect("the service starts");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(router, async {
            let _ = stopped.await;
        }));
        let healthz = format!("{address}/healthz");
        assert_eq!(ask("GET", healthz).await.0, 200, "no service yet");
        state.provide(service);
        meanwhile(address, worker).await;
        stop.send(()).expect("it still serves");
        serving.await.expect("no panic").expect("it ends well");
    });
}

async fn is_well(address: &str) {
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            ask("GET", format!("{address}{path}")).await.0,
            200,
            "{path}"
        );
    }
}

async fn is_to_be_started_again(address: &str) {
    for path in ["/healthz", "/readyz"] {
        let (status, code) = ask("GET", format!("{address}{path}")).await;
        assert_eq!((status, code), (503, "worker_stopped".into()), "{path}");
    }
    assert_eq!(
        ask("GET", format!("{address}/recommend?user=ada")).await.0,
        200
    );
}

#[test]
fn a_server_without_its_worker_is_to_be_started_again() {
    serve(&StoreOptions::default(), |address, worker| async move {
        is_well(&address).await;
        worker.stop().await;
        is_to_be_started_again(&address).await;
        let erased = ask("DELETE", format!("{address}/interactions?user=ada")).await;
        assert_eq!(erased.0, 503, "nothing is accepted that nobody carries out");
    });
}

/// What fails on a disk may end the thread that writes, which then answers nobody. A sync that panics stands
/// for it.
#[test]
fn a_server_whose_store_closed_by_itself_is_to_be_started_again() {
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&broken);
    let observer = SyncObserver::new(move |_, path| {
        let of_keys = path.parent().is_some_and(|folder| folder.ends_with("keys"));
        assert!(
            !of_keys || !is_broken.load(Ordering::Relaxed),
            "a broken disk"
        );
        Ok(())
    });
    let store = StoreOptions {
        sync_observer: Some(observer),
        ..StoreOptions::default()
    };
    serve(&store, |address, worker| async move {
        is_well(&address).await;
        broken.store(true, Ordering::Relaxed);
        let erase = || ask("DELETE", format!("{address}/interactions?user=ada"));
        assert_eq!(erase().await.0, 500, "it is not acknowledged");
        is_to_be_started_again(&address).await;
        assert_eq!(erase().await.0, 500);
        worker.stop().await;
    });
}
