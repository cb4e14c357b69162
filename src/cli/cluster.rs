//! `recant cluster`: making a cluster, looking at it, and what its operator decides.

use std::time::Duration;

use clap::{Args, Subcommand};
use recant_cluster::Address;
use recant_http::{ClusterSettings, Settings};
use recant_replication::Peers;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::error::CliError;
use super::output::print;
use super::settings::{StoreArgs, flag, open_store, store_options};
use crate::node::{self, Lead, NodeLine, NodeStatus, Remove};

/// How long another node may take to lead.
const CHANGE: Duration = Duration::from_secs(30);

/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(200);

/// Flags of `recant cluster`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant cluster init --data-dir recant-data --nats nats://127.0.0.1:4222
  recant cluster status --url http://127.0.0.1:8081")]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    pub command: ClusterCommand,
}

/// What `recant cluster` can be asked to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make the log of a cluster, and of a directory its first node
    Init(InitArgs),
    /// Say who leads and how far each node is
    Status(StatusArgs),
    /// Let another node lead
    Lead(LeadArgs),
    /// Take a node out for good
    Remove(RemoveArgs),
    /// Make the log anew from this node's data, when it is lost or went back
    Reseed(ReseedArgs),
    /// Make of a stopped node's directory that of a single machine
    Leave(LeaveArgs),
}

/// Which node is asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Where other nodes reach the one to ask [default: as configured]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// Which directory, and where the log is.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Servers of the log, with commas [default: as configured]
    #[arg(long, value_name = "URLS")]
    pub nats: Option<String>,
}

/// Flags of `recant cluster init`.
#[derive(Debug, Clone, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub log: LogArgs,
    /// Begin with what the directory holds
    #[arg(long)]
    pub from_data: bool,
}

/// Flags of `recant cluster status`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub node: NodeArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `recant cluster lead`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LeadArgs {
    #[command(flatten)]
    pub node: NodeArgs,
    /// Which node is to lead
    #[arg(value_name = "NODE")]
    pub name: String,
}

/// Flags of `recant cluster remove`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub node: NodeArgs,
    /// Which node goes
    #[arg(value_name = "NODE")]
    pub name: String,
    /// Its disk is destroyed: nothing on it can ever be read again
    #[arg(long)]
    pub disk_destroyed: bool,
}

/// Flags of `recant cluster reseed`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReseedArgs {
    #[command(flatten)]
    pub log: LogArgs,
    /// Go on without so many entries that another node has, or may have
    #[arg(long, value_name = "ENTRIES", default_value_t = 0)]
    pub with_loss: u64,
}

/// Flags of `recant cluster leave`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LeaveArgs {
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Carries out a command on a cluster.
pub(super) fn run(args: &ClusterArgs) -> Result<(), CliError> {
    let runtime = Runtime::new().map_err(CliError::failed)?;
    runtime.block_on(async {
        match &args.command {
            ClusterCommand::Init(args) => init(args).await,
            ClusterCommand::Status(args) => status(args).await,
            ClusterCommand::Lead(args) => lead(args).await,
            ClusterCommand::Remove(args) => remove(args).await,
            ClusterCommand::Reseed(args) => reseed(args).await,
            ClusterCommand::Leave(args) => leave(args).await,
        }
    })
}

impl LogArgs {
    /// The settings with these flags, checked as for a node that may lead.
    fn settings(&self) -> Result<Settings, CliError> {
        let mut flags = vec![flag("--role", "cluster.role", "candidate")];
        if let Some(urls) = &self.nats {
            flags.push(flag("--nats", "cluster.nats_url", urls));
        }
        self.store.settings(flags)
    }
}

impl NodeArgs {
    fn settings(&self) -> Result<Settings, CliError> {
        let url = self.url.as_ref();
        let flags = url.map(|url| flag("--url", "cluster.advertise", url));
        self.store.settings(flags.into_iter().collect())
    }
}

async fn init(args: &InitArgs) -> Result<(), CliError> {
    let settings = args.log.settings()?;
    let options = store_options(&settings);
    let made = node::init(&settings, options, args.from_data).await;
    let stream = made.map_err(CliError::failed)?;
    let directory = settings.store.data_dir.display();
    print(&format!(
        "made the log {stream}; {directory} is the first node of its cluster\n\
         start it with recant serve --role candidate, and others on empty directories\n"
    ))
}

async fn status(args: &StatusArgs) -> Result<(), CliError> {
    let settings = args.node.settings()?;
    let (peers, own) = own_node(&settings.cluster)?;
    let own = node::ask_status(&peers, &own)
        .await
        .map_err(CliError::failed)?;
    // The leader alone knows how far the others are; where it is away this node says what it knows.
    let leaders = match &own.leader_address {
        Some(address) => node::ask_status(&peers, &Address(address.clone()))
            .await
            .ok(),
        None => None,
    };
    let status = leaders.unwrap_or(own);
    if args.json {
        let json = serde_json::to_string_pretty(&status).map_err(CliError::failed)?;
        return print(&format!("{json}\n"));
    }
    print(&told(&status))
}

async fn lead(args: &LeadArgs) -> Result<(), CliError> {
    let settings = args.node.settings()?;
    let (peers, own) = own_node(&settings.cluster)?;
    let node = args.name.clone();
    let order = Lead { node: node.clone() };
    let asked = node::ask_leader(&peers, &own, &order).await;
    asked.map_err(CliError::failed)?;
    let leads = async {
        loop {
            let status = node::ask_status(&peers, &own).await;
            if status.is_ok_and(|status| status.leader.as_ref() == Some(&node)) {
                return;
            }
            sleep(LOOK).await;
        }
    };
    let led = timeout(CHANGE, leads).await;
    led.map_err(|_| {
        CliError::failed(format!(
            "{node} does not lead yet: see recant cluster status"
        ))
    })?;
    print(&format!("{node} leads\n"))
}

async fn remove(args: &RemoveArgs) -> Result<(), CliError> {
    let settings = args.node.settings()?;
    let (peers, own) = own_node(&settings.cluster)?;
    let order = Remove {
        node: args.name.clone(),
        disk_destroyed: args.disk_destroyed,
    };
    let asked = node::ask_leader(&peers, &own, &order).await;
    asked.map_err(CliError::failed)?;
    print(&format!(
        "{} is no node of the cluster any more\n",
        args.name
    ))
}

async fn reseed(args: &ReseedArgs) -> Result<(), CliError> {
    let settings = args.log.settings()?;
    let options = store_options(&settings);
    let made = node::reseed(&settings, options, args.with_loss).await;
    let number = made.map_err(CliError::failed)?;
    print(&format!(
        "made the log anew, from entry {number} on; start the nodes again, this one first\n"
    ))
}

async fn leave(args: &LeaveArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let left = tokio::task::spawn_blocking(move || -> Result<bool, CliError> {
        let store = open_store(&settings)?;
        let was_member = store.mark().map_err(CliError::failed)?.is_some();
        store.leave_cluster().map_err(CliError::failed)?;
        Ok(was_member)
    });
    print(if left.await.map_err(CliError::failed)?? {
        "the directory belongs to no cluster any more; what it holds is as it was\n"
    } else {
        "the directory belonged to no cluster\n"
    })
}

/// How this node is reached, as the others reach it.
fn own_node(cluster: &ClusterSettings) -> Result<(Peers, Address), CliError> {
    let identity = node::identity(cluster).map_err(CliError::failed)?;
    let scheme = if cluster.has_tls() { "https" } else { "http" };
    let address = if cluster.advertise.is_empty() {
        format!("{scheme}://{}", cluster.listen)
    } else {
        cluster.advertise.clone()
    };
    Ok((Peers::new(identity), Address(address)))
}

/// A status for people.
fn told(status: &NodeStatus) -> String {
    let leader = status.leader.as_deref().unwrap_or("nobody");
    let mut text = format!(
        "{leader} leads term {}; as {} tells, {}\n",
        status.term,
        status.node,
        status.why.as_deref().unwrap_or("which takes requests"),
    );
    text += &format!(
        "{:<16} {:<10} {:<8} {:>10} {:>9}  {}\n",
        "node", "role", "state", "applied", "version", "digest"
    );
    for line in &status.nodes {
        text += &row(line);
    }
    if status.wants_key {
        text += "the keys of the log are to be replaced: that waits until every node is there that was not removed\n";
    }
    text
}

fn row(line: &NodeLine) -> String {
    let version = line
        .version
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    // Enough to see by eye whether two are equal.
    let digest = line.digest.as_ref().map_or_else(
        || "-".to_owned(),
        |it| format!("{} at {}", &it.sum[..8.min(it.sum.len())], it.entry),
    );
    format!(
        "{:<16} {:<10} {:<8} {:>10} {:>9}  {digest}\n",
        line.node, line.role, line.state, line.applied, version
    )
}
