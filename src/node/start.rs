//! The start of a node, step by step, and its end.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use recant_cluster::{Address, BootId, NodeId, NodeOptions, Timing, Version};
use recant_http::{ClusterRole, ClusterSettings, Settings, Why};
use recant_replication::{
    PeerIdentity, PeerListener, Peers, Replica, Role, StoreEntries, beat_routes,
};
use recant_service::{Service, ServiceOptions, WorkerGuard};
use recant_store::{Store, StoreOptions};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use uuid::Uuid;

use super::came_back::read_keys;
use super::error::NodeError;
use super::init::NEURAL;
use super::link::Link;
use super::membership::NodeMembership;
use super::updates::{self, Updates};
use super::{control, fitness, join, log, state, status};

/// What nodes bear the silence of the log longer than the most patient, at most.
const PATIENCE_MAX_MS: u64 = 2_000;

/// A node whose process has just begun: callers are told how far it is.
pub(crate) struct StartingNode {
    membership: NodeMembership,
    identity: Option<PeerIdentity>,
    fit: watch::Sender<bool>,
    cluster: ClusterSettings,
    name: NodeId,
}

/// A node at work.
pub(crate) struct RunningNode {
    store: Store,
    replica: Replica<StoreEntries>,
    worker: WorkerGuard,
    tasks: Vec<JoinHandle<()>>,
}

impl StartingNode {
    /// The node that the settings, which were checked, make of a server; `None` for a single machine.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>, NodeError> {
        if !settings.cluster.is_member() {
            return Ok(None);
        }
        if settings.model.neural().is_some() {
            return Err(NodeError::refused(NEURAL));
        }
        Self::new(&settings.cluster).map(Some)
    }

    fn new(cluster: &ClusterSettings) -> Result<Self, NodeError> {
        let name = cluster.node_name().map(NodeId);
        let name =
            name.ok_or_else(|| NodeError::refused("set cluster.node: the node has no name"))?;
        let identity = log::identity(cluster)?;
        // Nobody leads before the servers of the log were asked.
        let fit = watch::Sender::new(false);
        let is_candidate = cluster.role == ClusterRole::Candidate;
        let peers = Peers::new(identity.clone());
        let membership = NodeMembership::new(name.clone(), is_candidate, peers, fit.subscribe());
        Ok(Self {
            membership,
            identity,
            fit,
            cluster: cluster.clone(),
            name,
        })
    }

    /// The node as the routes for callers see it.
    pub(crate) fn membership(&self) -> &NodeMembership {
        &self.membership
    }

    /// Who the node is to others, to be renewed with the files.
    pub(crate) fn identity(&self) -> Option<&PeerIdentity> {
        self.identity.as_ref()
    }

    /// Opens the log and this node's store, which may have to come from another node, and goes to work.
    /// `forwarded` is what other nodes send on to this one.
    pub(crate) async fn start(
        self,
        settings: &Settings,
        store: StoreOptions,
        service: ServiceOptions,
        forwarded: Router,
    ) -> Result<(Service, RunningNode), NodeError> {
        let Self {
            membership,
            identity,
            fit,
            cluster,
            name,
        } = self;
        let fitness = fit.subscribe();
        let watching = tokio::spawn(fitness::watch(cluster.clone(), fit));
        membership.waits(Why::LogUnreachable);
        let log = log::open(&cluster).await?;
        membership.waits(Why::Starting);
        let directory = &settings.store.data_dir;
        let entries = join::open(directory, &store, &log, &membership).await?;
        let store = entries.store().clone();
        let (boot, stored) = begin_life(&store).await?;
        let (leader, following) = watch::channel(None);
        let updates = Updates::new(membership.peers().clone(), following);
        let link = Link::new(store.clone(), updates);
        let started =
            Service::start_replicated(store.clone(), link.clone(), link.clone(), service).await;
        let (service, worker) = started?;
        // Not before: where nobody answers yet, nobody should listen either.
        let listener = listen(&cluster, identity).await?;
        let address = advertised(&cluster, &listener);
        let log = log.of(&address.0);
        let options = NodeOptions {
            id: name.clone(),
            boot,
            address,
            signing: signing_keys(&service),
            is_candidate: cluster.role == ClusterRole::Candidate,
            stored,
            patience: patience(&name),
            timing: Timing {
                forget: cluster.forget(),
                ..Timing::new(cluster.lease(), cluster.takeover())
            },
        };
        let (replica, running) = Replica::start(options, log, entries, membership.peers().clone())?;
        replica.may_lead(false).await;
        let trusting = tokio::spawn(trust(replica.clone(), fitness));
        let (leads, leading) = watch::channel(false);
        let routes = beat_routes(replica.clone())
            .merge(updates::routes(service.clone(), leading))
            .merge(state::routes(store.clone()))
            .merge(status::routes(membership.clone()))
            .merge(control::routes(membership.clone()))
            .fallback_service(forwarded);
        let serving = tokio::spawn(async move {
            // It ends with the task alone.
            let _ = axum::serve(listener, routes).await;
        });
        let connected = {
            let (link, replica) = (Arc::clone(&link), replica.clone());
            tokio::spawn(async move { link.connect(replica).await })
        };
        let following = tokio::spawn(follow(
            replica.clone(),
            name,
            leader,
            leads,
            service.clone(),
        ));
        membership.runs(replica.clone());
        let tasks = vec![watching, trusting, running, serving, connected, following];
        let node = RunningNode {
            store,
            replica,
            worker,
            tasks,
        };
        Ok((service, node))
    }
}

impl RunningNode {
    /// Its store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Ends it. What it leads should have been handed over before.
    pub(crate) async fn stop(self) {
        self.replica.stop();
        self.worker.stop().await;
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Another life of the node, and the version of the model that its store holds.
async fn begin_life(store: &Store) -> Result<(BootId, Version), NodeError> {
    let living = store.clone();
    let begun = spawn_blocking(move || living.begin_life()).await;
    let life = begun.map_err(|_| NodeError::Panicked)??;
    let header = store.model_header()?;
    let stored = header.map_or_else(Version::default, |header| Version {
        term: header.term,
        number: header.version,
    });
    let process = Uuid::new_v4();
    Ok((BootId { life, process }, stored))
}

/// The public keys of this node, as others are told them.
fn signing_keys(service: &Service) -> Vec<u8> {
    serde_json::to_vec(&*service.published_keys()).expect("public keys have a form")
}

async fn listen(
    cluster: &ClusterSettings,
    identity: Option<PeerIdentity>,
) -> Result<PeerListener, NodeError> {
    let bound = PeerListener::bind(&cluster.listen, identity).await;
    bound.map_err(|source| NodeError::Listen {
        address: cluster.listen.clone(),
        source,
    })
}

/// Where other nodes reach this one.
fn advertised(cluster: &ClusterSettings, listener: &PeerListener) -> Address {
    if !cluster.advertise.is_empty() {
        return Address(cluster.advertise.trim_end_matches('/').to_owned());
    }
    let scheme = if cluster.has_tls() { "https" } else { "http" };
    Address(format!("{scheme}://{}", listener.address()))
}

/// What a node bears the silence of the log longer than others, by its name: so not all claim at once.
fn patience(name: &NodeId) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    Duration::from_millis(hasher.finish() % PATIENCE_MAX_MS)
}

/// Lets the node lead while the servers of the log are fit.
async fn trust(replica: Replica<StoreEntries>, mut fit: watch::Receiver<bool>) {
    loop {
        let is_fit = *fit.borrow_and_update();
        replica.may_lead(is_fit).await;
        if fit.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the rest of the node whom it follows, and whose receipts it knows.
async fn follow(
    replica: Replica<StoreEntries>,
    me: NodeId,
    leader: watch::Sender<Option<Address>>,
    leads: watch::Sender<bool>,
    service: Service,
) {
    let mut status = replica.status();
    let mut known = Vec::new();
    loop {
        {
            let status = status.borrow_and_update();
            let is_leading = matches!(status.role, Role::Leader { .. });
            leads.send_replace(is_leading);
            let other = status.leader.as_ref().filter(|leader| **leader != me);
            let address = other.and(status.leader_address.clone()).map(Address);
            leader.send_if_modified(|last| {
                let is_other = *last != address;
                *last = address;
                is_other
            });
            // Its own too, from before it lost its disk.
            if status.signed_with != known {
                let keys = status.signed_with.iter().flat_map(|keys| read_keys(keys));
                service.set_other_keys(keys.collect());
                known = status.signed_with.clone();
            }
        }
        if status.changed().await.is_err() {
            leader.send_replace(None);
            leads.send_replace(false);
            return;
        }
    }
}
