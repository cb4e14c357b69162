//! A server whose worker has stopped says so, for only a new process learns and forgets again.

use recant_http::{ApiKeys, AppState, Server, Settings, install_exporter, router};
use recant_service::{Service, ServiceOptions, WorkerOptions};
use recant_store::{Store, StoreOptions};
use recant_types::IalsHyperparameters;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::oneshot;

fn options() -> ServiceOptions {
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

#[test]
fn a_server_without_its_worker_is_to_be_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::default();
    settings.server.listen = String::from("127.0.0.1:0");
    settings.store.data_dir = folder.path().to_owned();
    let keys = ApiKeys::open(&settings).expect("none");
    let server = Server::bind(&settings, &keys).expect("a free port");
    let address = server.address();
    let url = |path: &str| format!("http://{address}{path}");
    let state = AppState::new(install_exporter().expect("a recorder"));
    let router = router(state.clone(), &settings, &keys);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(folder.path(), &StoreOptions::default()).expect("a store");
        let started = Service::start(store, options()).await;
        let (service, worker) = started.expect("the service starts");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(router, async {
            let _ = stopped.await;
        }));
        assert_eq!(ask("GET", url("/healthz")).await.0, 200, "no service yet");
        state.provide(service);
        for path in ["/healthz", "/readyz"] {
            assert_eq!(ask("GET", url(path)).await.0, 200, "{path}");
        }
        worker.stop().await;
        let (status, code) = ask("GET", url("/healthz")).await;
        assert_eq!((status, code), (503, "worker_stopped".into()));
        assert_eq!(ask("GET", url("/readyz")).await.0, 503);
        let erased = ask("DELETE", url("/interactions?user=ada")).await;
        assert_eq!(erased.0, 503, "nothing is accepted that nobody carries out");
        assert_eq!(ask("GET", url("/recommend?user=ada")).await.0, 200);
        stop.send(()).expect("it still serves");
        serving.await.expect("no panic").expect("it ends well");
    });
}
