//! One node that can be killed and started again.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use recant_cluster::{Address, BootId, NodeId, NodeOptions, Timing, Version};
use recant_jetstream::{Access, JetStreamLog, LogSettings, connect};
use recant_replication::{EntryStore, Peers, Replica, Role, beat_routes};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::test_store::TestStore;

/// Short, so that many changes of leaders fit a test. What is safe does not depend on them.
fn timing() -> Timing {
    Timing {
        lease: Duration::from_secs(3),
        margin: Duration::from_millis(300),
        takeover: Duration::from_secs(1),
        forget: Duration::from_secs(1),
        beat: Duration::from_millis(100),
        log_beat: Duration::from_millis(200),
        append: Duration::from_secs(1),
    }
}

/// A life of a node.
pub struct Life<S: EntryStore> {
    runtime: Runtime,
    pub replica: Replica<S>,
    pub store: S,
}

pub struct TestNode<S: EntryStore> {
    name: String,
    path: PathBuf,
    address: SocketAddr,
    urls: String,
    settings: LogSettings,
    key: [u8; 32],
    lives: u64,
    /// Whether other nodes reach it.
    pub is_cut_off: Arc<AtomicBool>,
    pub life: Option<Life<S>>,
}

impl<S: TestStore> TestNode<S> {
    pub fn new(
        name: &str,
        path: PathBuf,
        urls: String,
        settings: LogSettings,
        key: [u8; 32],
    ) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self {
            name: name.to_owned(),
            path,
            address: free.local_addr().expect("it is bound"),
            urls,
            settings,
            key,
            lives: 0,
            is_cut_off: Arc::default(),
            life: None,
        }
    }

    pub fn start(&mut self) {
        self.lives += 1;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        let (replica, store) = runtime.block_on(self.live());
        self.life = Some(Life {
            runtime,
            replica,
            store,
        });
    }

    async fn live(&self) -> (Replica<S>, S) {
        let access = Access {
            urls: self.urls.clone(),
            ..Access::default()
        };
        let log = loop {
            // While no server leads the stream nobody tells of it.
            if let Ok(client) = connect(&access).await
                && let Ok(log) = JetStreamLog::open(client, &self.settings).await
            {
                break log;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let store = S::open(self.path.clone(), log.incarnation(), self.key).await;
        let options = NodeOptions {
            id: NodeId(self.name.clone()),
            boot: BootId {
                life: self.lives,
                process: Uuid::new_v4(),
            },
            address: Address(format!("http://{}", self.address)),
            signing: Vec::new(),
            is_candidate: true,
            stored: Version::default(),
            patience: Duration::from_millis(u64::from(self.address.port()) % 300),
            timing: timing(),
        };
        let peers = Peers::new(None);
        let started = Replica::start(options, log, store.clone(), peers);
        let (replica, _) = started.expect("the store stands");
        let cut = from_fn_with_state(self.is_cut_off.clone(), unless_cut_off);
        let routes = beat_routes(replica.clone()).layer(cut);
        let listener = bind(self.address).await;
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (replica, store)
    }

    /// Ends it as a kill does: at once, whatever it is doing.
    pub fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.store.end();
            life.runtime.shutdown_background();
        }
    }

    pub fn leads(&self) -> bool {
        let life = self.life.as_ref();
        life.is_some_and(|life| matches!(life.replica.status().borrow().role, Role::Leader { .. }))
    }

    pub fn may_answer(&self) -> bool {
        let life = self.life.as_ref();
        life.is_some_and(|life| life.replica.gate().may_answer())
    }
}

impl<S: EntryStore> Drop for TestNode<S> {
    fn drop(&mut self) {
        if let Some(life) = self.life.take() {
            life.runtime.shutdown_background();
        }
    }
}

/// The port of a life that was killed is free as soon as its threads are gone.
async fn bind(address: SocketAddr) -> tokio::net::TcpListener {
    loop {
        if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn unless_cut_off(
    State(is_cut_off): State<Arc<AtomicBool>>,
    request: Request,
    next: Next,
) -> Response {
    if is_cut_off.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}
