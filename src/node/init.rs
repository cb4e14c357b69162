//! `recant cluster init`: the log is made, and a directory its first node's.

use recant_cluster::{Incarnation, Mark};
use recant_http::Settings;
use recant_jetstream::{JetStreamLog, connect};
use recant_replication::StoreEntries;
use recant_store::{Store, StoreOptions};
use recant_types::ModelConfiguration;
use tokio::task::spawn_blocking;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::NodeError;
use super::fitness;
use super::log::{access, log_name, log_settings, patiently};

/// Makes the log of a cluster, and the directory of the settings that of its first node, with what it holds
/// if `from_data` says so. Returns the name of the stream.
///
/// The directory is the node's before the log is there: ended in between, it is called again with the same.
pub(crate) async fn init(
    settings: &Settings,
    options: StoreOptions,
    from_data: bool,
) -> Result<String, NodeError> {
    let cluster = &settings.cluster;
    let stream = log_settings(cluster)?;
    if settings.model.neural().is_some() {
        return Err(NodeError::refused(NEURAL));
    }
    patiently(async || Ok(fitness::check(cluster).await?)).await?;
    let client = patiently(async || Ok(connect(&access(cluster)).await?)).await?;
    let path = settings.store.data_dir.clone();
    let opened = spawn_blocking(move || Store::open(&path, &options)).await;
    let store = opened.map_err(|_| NodeError::Panicked)??;
    let incarnation = match begun(&store)? {
        Some(incarnation) => incarnation,
        None => {
            check(&store, from_data)?;
            let incarnation = Incarnation(Uuid::new_v4());
            let key = Zeroizing::new(rand::random::<[u8; 32]>());
            StoreEntries::found(store, incarnation, key).await?;
            incarnation
        }
    };
    // Servers that were started with it agree on who leads them in a few seconds.
    patiently(async || {
        let made = JetStreamLog::init(client.clone(), &stream, incarnation).await;
        Ok(made.map(drop)?)
    })
    .await?;
    Ok(log_name(cluster)?.stream())
}

/// Why neural models are not served.
pub(super) const NEURAL: &str = "neural models cannot be served by a cluster yet: each of their versions \
                                 changes every row; serve one with cluster.role = \"single\"";

/// The log that the store was made a member of by a run before, if nothing has happened since.
fn begun(store: &Store) -> Result<Option<Incarnation>, NodeError> {
    let Some(mark) = store.mark()? else {
        return Ok(None);
    };
    match Mark::from_bytes(&mark) {
        Some(mark) if mark.number == 0 => Ok(Some(mark.incarnation)),
        _ => Err(NodeError::refused(
            "this directory is a node of a cluster already: start it with recant serve",
        )),
    }
}

/// Refuses what a cluster cannot begin with.
fn check(store: &Store, from_data: bool) -> Result<(), NodeError> {
    let header = store.model_header()?;
    if let Some(header) = &header
        && matches!(header.model, ModelConfiguration::Neural(_))
    {
        return Err(NodeError::refused(NEURAL));
    }
    let is_empty = store.is_empty()?;
    if !is_empty && !from_data {
        return Err(NodeError::refused(
            "the directory holds data: make the cluster of them with --from-data, or name an empty one",
        ));
    }
    if !is_empty && header.is_none() {
        return Err(NodeError::refused(
            "the data have no model yet: recant train makes one, before the cluster is made of them",
        ));
    }
    Ok(())
}
