//! Two nodes with a service each, of which one leads: what callers of the other are told. Their stores are not
//! replicated here, so what an answer holds shows whose it is.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use recant_http::{
    ApiKeys, AppState, ForwardError, KeySettings, Leader, Membership, NodeRole, NodeStanding,
    NodeState, Role, Server, Settings, Standing, Why, forwarded_router, install_exporter, router,
};
use recant_service::{Service, WorkerGuard};
use recant_store::{Store, StoreOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::worker_stopped::options;

/// A node that leads, or follows whoever is put into it.
#[derive(Default)]
struct Member {
    name: &'static str,
    leader: OnceLock<Router>,
    standing: Mutex<Option<Why>>,
}

impl Membership for Member {
    fn may_answer(&self) -> bool {
        true
    }

    fn leader(&self) -> Leader {
        match self.leader.get() {
            None => Leader::Here,
            Some(_) => Leader::At(String::from("http://n1.internal:8081")),
        }
    }

    fn standing(&self) -> Standing {
        let role = match self.leader.get() {
            None => NodeRole::Leader,
            Some(_) => NodeRole::Replica,
        };
        let known = NodeStanding {
            node: self.name.to_owned(),
            role,
            state: NodeState::Current,
            applied: 1,
            version: Some((5, 1)),
            lease_remaining: None,
        };
        Standing {
            role,
            node: self.name.to_owned(),
            term: 6,
            entries_behind: 0,
            why: *self.standing.lock().expect("not poisoned"),
            nodes: vec![known],
        }
    }

    fn leader_changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }

    fn forward(
        &self,
        _to: String,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, ForwardError>> + Send>> {
        let leader = self.leader.get().expect("it is asked only then").clone();
        Box::pin(async move {
            leader
                .oneshot(request)
                .await
                .map_err(|never| match never {})
        })
    }
}

/// Keys for everything and for erasures, twice: their names are the keys.
fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.server.listen = String::from("127.0.0.1:0");
    settings.store.data_dir = folder.to_owned();
    for (name, role) in [
        ("admin", Role::Admin),
        ("desk", Role::Erase),
        ("other", Role::Erase),
    ] {
        settings.access.keys.push(KeySettings {
            name: name.to_owned(),
            sha256: format!("{:x}", Sha256::digest(name)),
            roles: vec![role],
            requests_per_second_max: None,
        });
    }
    settings
}

struct Node {
    member: Arc<Member>,
    url: String,
    forwarded: Router,
    worker: WorkerGuard,
}

impl Node {
    async fn start(name: &'static str, folder: &Path) -> Self {
        let settings = settings(folder);
        let keys = ApiKeys::open(&settings).expect("no file");
        let server = Server::bind(&settings, &keys).expect("a free port");
        let url = server.url();
        let member = Arc::new(Member {
            name,
            ..Member::default()
        });
        let state = AppState::new(install_exporter().expect("a recorder"));
        let state = state.with_membership(member.clone());
        let store = Store::open(folder, &StoreOptions::default()).expect("a store");
        let started = Service::start(store, options()).await;
        let (service, worker) = started.expect("the service starts");
        state.provide(service);
        let forwarded = forwarded_router(state.clone(), &settings, &keys).expect("a node");
        // It ends with the runtime.
        tokio::spawn(server.run(router(state, &settings, &keys), std::future::pending()));
        Self {
            member,
            url,
            forwarded,
            worker,
        }
    }

    /// What is answered: the status, the node that made the answer, and its text.
    async fn ask(
        &self,
        key: &'static str,
        method: &'static str,
        target: &str,
        body: Option<Value>,
    ) -> (u16, String, String) {
        let url = format!("{}{target}", self.url);
        let ask = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .into();
            let request = Request::builder()
                .method(method)
                .uri(url)
                .header("authorization", format!("Bearer {key}"))
                .header("content-type", "application/json")
                .header("idempotency-key", "k1");
            let answer = match body {
                None => agent.run(request.body(()).expect("a request")),
                Some(body) => agent.run(request.body(body.to_string()).expect("a request")),
            };
            let mut answer = answer.expect("an answer");
            let maker = answer.headers()["recant-node"]
                .to_str()
                .expect("a name")
                .to_owned();
            let text = answer.body_mut().read_to_string().expect("a body");
            (answer.status().as_u16(), maker, text)
        };
        tokio::task::spawn_blocking(ask).await.expect("it ends")
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// One that leads, and one that follows it.
async fn two(folders: &[tempfile::TempDir; 2]) -> [Node; 2] {
    let leader = Node::start("n1", folders[0].path()).await;
    let follower = Node::start("n2", folders[1].path()).await;
    let led = follower.member.leader.set(leader.forwarded.clone());
    led.expect("set once");
    [leader, follower]
}

fn folders() -> [tempfile::TempDir; 2] {
    [(); 2].map(|()| tempfile::tempdir().expect("a folder"))
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_what_is_known_of_them_are_one_whichever_node_is_called() {
    let folders = folders();
    let [leader, follower] = two(&folders).await;
    let rows =
        json!({"interactions": [{"user": "ada", "item": "dune"}, {"user": "ada", "item": "ubik"}]});
    let (status, maker, text) = follower
        .ask("admin", "POST", "/interactions", Some(rows))
        .await;
    assert_eq!((status, maker.as_str()), (202, "n1"), "{text}");
    let erase = json!({"interactions": [{"user": "ada", "item": "dune"}]});
    let erased = follower
        .ask("desk", "POST", "/erasures", Some(erase.clone()))
        .await;
    assert_eq!((erased.0, erased.1.as_str()), (202, "n1"), "{}", erased.2);
    let id = json_of(&erased.2)["id"].clone();
    // The same key of idempotency, by either way, is the same erasure; of another caller it is another.
    for node in [&leader, &follower] {
        let again = node
            .ask("desk", "POST", "/erasures", Some(erase.clone()))
            .await;
        assert_eq!(json_of(&again.2)["id"], id, "{}", again.2);
        let state = format!("/erasures/{}", id.as_str().expect("an id"));
        let (status, maker, text) = node.ask("desk", "GET", &state, None).await;
        assert_eq!((status, maker.as_str()), (200, "n1"), "{text}");
        // Whose it is the leader knows by the name of the key alone.
        let (status, _, text) = node.ask("other", "GET", &state, None).await;
        assert_eq!(
            (status, &json_of(&text)["code"]),
            (404, &json!("erasure_not_found"))
        );
        let (status, _, _) = node.ask("desk", "GET", "/export?user=ada", None).await;
        assert_eq!(status, 403);
        let (status, maker, text) = node.ask("admin", "GET", "/export?user=ada", None).await;
        assert_eq!((status, maker.as_str()), (200, "n1"));
        assert!(!text.contains("dune"), "{text}");
    }
    for node in [leader, follower] {
        node.worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_ready_says_how_it_stands_and_one_that_is_not_why() {
    let folders = folders();
    let [leader, follower] = two(&folders).await;
    for (node, role) in [(&leader, "leader"), (&follower, "replica")] {
        let name = node.member.name;
        let (status, maker, text) = node.ask("admin", "GET", "/readyz", None).await;
        assert_eq!((status, maker.as_str()), (200, name), "{text}");
        let ready = json_of(&text);
        let version = ready["version"].as_u64().expect("a version");
        assert_eq!(
            ready,
            json!({"status": "ready", "role": role, "node": name, "term": 6,
                "version": version, "entries_behind": 0})
        );
        let (_, _, text) = node.ask("admin", "GET", "/model", None).await;
        let model = json_of(&text);
        assert_eq!(
            (&model["term"], &model["node"]),
            (&json!(5), &json!(name)),
            "{text}"
        );
        for (why, code) in [
            (Why::Starting, "starting"),
            (Why::CatchingUp, "not_current"),
            (Why::NotCurrent, "not_current"),
            (Why::LogUnreachable, "not_current"),
            (Why::LogWentBack, "not_current"),
            (Why::LogNotSynced, "not_current"),
            (Why::CannotApply, "not_current"),
        ] {
            *node.member.standing.lock().expect("not poisoned") = Some(why);
            let (status, _, text) = node.ask("admin", "GET", "/readyz", None).await;
            let problem = json_of(&text);
            assert_eq!(status, 503, "{text}");
            assert_eq!(
                (&problem["why"], &problem["code"]),
                (&json!(why.as_str()), &json!(code))
            );
            let (status, _, _) = node.ask("admin", "GET", "/healthz", None).await;
            assert_eq!(status, 200, "it is alive");
        }
    }
    for node in [leader, follower] {
        node.worker.stop().await;
    }
}
