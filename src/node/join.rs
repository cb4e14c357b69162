//! How a directory becomes, and stays, that of a node.

use std::path::Path;
use std::time::{Duration, Instant};

use recant_cluster::Address;
use recant_http::Why;
use recant_jetstream::JetStreamLog;
use recant_replication::metric_names::CLUSTER_TRANSFER_SECONDS;
use recant_replication::{EntryStore, LogStanding, Peers, StoreEntries};
use recant_store::{Store, StoreError, StoreOptions, import_state, wipe};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::error::NodeError;
use super::membership::NodeMembership;
use super::state;

/// Before a node that could not send its state is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What a directory is to a log.
enum Found {
    /// It stands at an entry that the log still has, or has yet to get.
    Member(StoreEntries),
    /// It holds nothing.
    Empty,
    /// It is of no use: the log no longer reaches back to where it stands.
    Behind,
}

/// Opens the directory of a node. One that is empty gets its state from the node that leads; so does one
/// that was away for longer than the log reaches back, once its keys are zeroed.
pub(super) async fn open(
    directory: &Path,
    options: &StoreOptions,
    log: &JetStreamLog,
    node: &NodeMembership,
) -> Result<StoreEntries, NodeError> {
    loop {
        match look(directory, options, log).await? {
            Found::Member(entries) => return Ok(entries),
            Found::Empty => {}
            Found::Behind => {
                tracing::warn!(
                    "the log no longer reaches back to where this node stands: its keys are zeroed, and its \
                     state comes from another node"
                );
                let (path, options) = (directory.to_owned(), options.clone());
                run(move || wipe(&path, &options)).await?;
            }
        }
        node.waits(Why::CatchingUp);
        let leader = leader(log).await?;
        if let Err(error) = transfer(directory, options, node.peers(), &leader).await {
            tracing::warn!(%error, from = leader.0, "no state came from the other node; it is asked again");
            sleep(PAUSE).await;
        }
    }
}

async fn look(
    directory: &Path,
    options: &StoreOptions,
    log: &JetStreamLog,
) -> Result<Found, NodeError> {
    let ends = loop {
        match log.ends().await {
            Ok(ends) => break ends,
            Err(_) => sleep(PAUSE).await,
        }
    };
    if !directory.exists() {
        return Ok(Found::Empty);
    }
    let (path, options) = (directory.to_owned(), options.clone());
    let store = match run(move || Store::open(&path, &options)).await {
        Ok(store) => store,
        // Wiping was begun.
        Err(NodeError::Store(StoreError::Wiped)) => return Ok(Found::Behind),
        Err(error) => return Err(error),
    };
    if store.mark()?.is_none() {
        return if store.is_empty()? {
            // Its keys are those of nothing.
            Ok(Found::Behind)
        } else {
            let path = directory.display();
            Err(NodeError::Refused(format!(
                "{path} holds data and belongs to no cluster: make one of it by recant cluster init \
                 --from-data, or name an empty directory"
            )))
        };
    }
    let entries = StoreEntries::new(store);
    let LogStanding { mark, key, .. } = entries.standing()?;
    if mark.incarnation != log.incarnation()
        && let Some(before) = log.continues()
        && before.incarnation == mark.incarnation
    {
        // The log was made anew. Whoever stands where that was done follows it from there.
        if (before.number, &before.hash) != (mark.number, &mark.hash.to_string()) {
            return Ok(Found::Behind);
        }
        let mark = mark.begin_again(log.incarnation());
        entries.commit(mark, Vec::new(), key).await?;
        return Ok(Found::Member(entries));
    }
    if mark.incarnation != log.incarnation() {
        let path = directory.display();
        return Err(NodeError::Refused(format!(
            "{path} belongs to another cluster, or to a log that was made anew since: name the directory of \
             this cluster's node, or an empty one"
        )));
    }
    if mark.sequence + 1 < ends.first {
        return Ok(Found::Behind);
    }
    Ok(Found::Member(entries))
}

/// Destroys what a node holds that differs from most: its state comes from another at the next start. The
/// store must be closed, or about to be.
pub(crate) fn discard(directory: &Path, options: &StoreOptions) -> Result<(), StoreError> {
    loop {
        match wipe(directory, options) {
            Err(StoreError::Locked { .. }) => std::thread::sleep(PAUSE),
            discarded => return discarded,
        }
    }
}

/// Where the node that leads is reached.
async fn leader(log: &JetStreamLog) -> Result<Address, NodeError> {
    loop {
        match log.last_address().await {
            Ok(Some(address)) => return Ok(Address(address)),
            Ok(None) | Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn transfer(
    directory: &Path,
    options: &StoreOptions,
    peers: &Peers,
    from: &Address,
) -> Result<(), NodeError> {
    let began = Instant::now();
    let state = state::ask(peers, from).await?;
    let (path, options) = (directory.to_owned(), options.clone());
    run(move || import_state(state, &path, &options)).await?;
    let took = began.elapsed();
    metrics::histogram!(CLUSTER_TRANSFER_SECONDS).record(took.as_secs_f64());
    tracing::info!(
        from = from.0,
        ?took,
        "the state of another node was taken over"
    );
    Ok(())
}

/// Runs what blocks.
async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, NodeError> {
    let done = spawn_blocking(work).await;
    Ok(done.map_err(|_| NodeError::Panicked)??)
}
