//! `recant cluster reseed`: the log is made anew from where one node stands.
//!
//! Whatever was acknowledged lies on the disk of the leader that acknowledged it, and erasures on all. So the
//! node that has applied the most goes on with what it has, in a new log whose first entry follows its last;
//! nodes that stand at the same entry follow, and others get their state from it.

use std::collections::BTreeMap;

use recant_cluster::{Address, Incarnation, Mark, Standing};
use recant_http::Settings;
use recant_jetstream::{Continues, JetStreamLog, connect};
use recant_replication::{EntryStore, LogStanding, Peers, StoreEntries};
use recant_store::{Store, StoreOptions};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::error::NodeError;
use super::fitness;
use super::log::{access, identity, log_settings, patiently};
use super::status::ask_status;

/// Makes the log anew from the directory of the settings, whose node must not run. Refused when another node
/// that answers has applied more, by more than `with_loss` entries, or one does not answer and
/// `with_loss` is 0. Returns the entry that the new log begins after.
pub(crate) async fn reseed(
    settings: &Settings,
    options: StoreOptions,
    with_loss: u64,
) -> Result<u64, NodeError> {
    let cluster = &settings.cluster;
    let log = log_settings(cluster)?;
    patiently(async || Ok(fitness::check(cluster).await?)).await?;
    let path = settings.store.data_dir.clone();
    let opened = spawn_blocking(move || Store::open(&path, &options)).await;
    let entries = StoreEntries::new(opened.map_err(|_| NodeError::Panicked)??);
    let LogStanding { mark, key, .. } = entries.standing()?;
    let peers = Peers::new(identity(cluster)?);
    let me = cluster.node_name().unwrap_or_default();
    compare(&peers, &mark, &me, with_loss).await?;
    let incarnation = Incarnation(Uuid::new_v4());
    let number = mark.number;
    let client = patiently(async || Ok(connect(&access(cluster)).await?)).await?;
    let continues = Continues {
        incarnation: mark.incarnation,
        number,
        hash: mark.hash.to_string(),
    };
    JetStreamLog::replace(client, &log, incarnation, continues).await?;
    entries
        .commit(mark.begin_again(incarnation), Vec::new(), key)
        .await?;
    Ok(number)
}

/// Whether this node has applied as much as any other.
async fn compare(peers: &Peers, mark: &Mark, me: &str, with_loss: u64) -> Result<(), NodeError> {
    let mut silent = Vec::new();
    let mut ahead = BTreeMap::new();
    let others = mark.members.iter().filter(|(node, member)| {
        node.0 != me && !matches!(member.standing, Standing::Removed { .. })
    });
    for (node, member) in others {
        let address = Address(member.address.0.clone());
        match ask_status(peers, &address).await {
            Ok(status) => {
                ahead.insert(status.applied.saturating_sub(mark.number), node.0.clone());
            }
            Err(_) => silent.push(node.0.clone()),
        }
    }
    if let Some((entries, node)) = ahead.last_key_value()
        && *entries > with_loss
    {
        return Err(NodeError::Refused(format!(
            "{node} has applied {entries} entries more than this node: reseed there, or go on without them by \
             --with-loss {entries}"
        )));
    }
    if !silent.is_empty() && with_loss == 0 {
        let silent = silent.join(", ");
        return Err(NodeError::Refused(format!(
            "{silent} cannot be asked how far it is: start it, or go on without what it alone may have by \
             --with-loss 1"
        )));
    }
    Ok(())
}
