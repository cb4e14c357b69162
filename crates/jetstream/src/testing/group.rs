//! One server, or several that keep the log together.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::server::Addresses;
use super::{NatsServer, nats_server, wait_for};

/// How servers are set.
#[derive(Debug, Clone, Copy)]
pub struct NatsOptions {
    /// Whether they sync before they acknowledge, as they have to.
    pub syncs_always: bool,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self { syncs_always: true }
    }
}

/// Servers on ports of this machine alone, in a folder that goes with them.
pub struct NatsServers {
    servers: Vec<NatsServer>,
    folder: TempDir,
}

impl NatsServers {
    /// So many servers, ready to be used, or none where there is no binary for it ([`nats_server`]).
    pub fn start(count: usize) -> Option<Self> {
        Self::start_with(count, NatsOptions::default())
    }

    /// Servers that are set otherwise.
    pub fn start_with(count: usize, options: NatsOptions) -> Option<Self> {
        let binary = nats_server()?;
        let folder = tempfile::tempdir().expect("a folder for the servers");
        let addresses: Vec<_> = (0..count).map(|_| Addresses::free()).collect();
        let section = if options.syncs_always {
            "sync_interval: always"
        } else {
            ""
        };
        let routes: Vec<_> = addresses
            .iter()
            .map(|it| format!("\"nats://{}\"", it.routes))
            .collect();
        let server = |(at, addresses): (usize, Addresses)| {
            let name = format!("n{}", at + 1);
            let server = NatsServer::new(&binary, &folder.path().join(&name), &name, addresses);
            let rest = format!(
                "cluster {{ name: recant, listen: \"{}\", routes: [{}] }}",
                addresses.routes,
                routes.join(", ")
            );
            server.configure(section, if count > 1 { &rest } else { "" });
            server
        };
        let servers = addresses.into_iter().enumerate().map(server).collect();
        let mut all = Self { servers, folder };
        all.start_again();
        Some(all)
    }

    /// Where clients connect, all of them.
    pub fn urls(&self) -> String {
        let urls: Vec<_> = self.servers.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// Where all that they keep and log lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where they tell of themselves.
    pub fn monitor_urls(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::monitor_url).collect()
    }

    /// One of them.
    pub fn server(&mut self, at: usize) -> &mut NatsServer {
        &mut self.servers[at]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// Ends all that run.
    pub fn kill_all(&mut self) {
        self.servers.iter_mut().for_each(NatsServer::kill);
    }

    /// Starts those that do not run, and waits until all are ready.
    pub fn start_again(&mut self) {
        for server in &mut self.servers {
            if server.pid().is_none() {
                server.start();
            }
        }
        self.wait_until_ready();
    }

    /// Waits until each has caught up and they agree on who leads.
    pub fn wait_until_ready(&mut self) {
        let is_alone = self.servers.len() == 1;
        for at in 0..self.servers.len() {
            let name = self.servers[at].name().to_owned();
            wait_for(&format!("{name} to be ready"), || {
                // It may wait for one of the others, so all are looked at.
                for server in &mut self.servers {
                    let (name, ended) = (server.name().to_owned(), server.has_ended());
                    assert!(!ended, "{name} ended: {}", server.last_words());
                }
                let server = &self.servers[at];
                let is_healthy = server.told("healthz")?["status"] == "ok";
                let jsz = server.told("jsz")?;
                let leader = jsz["meta_cluster"]["leader"].as_str().unwrap_or_default();
                (is_healthy && (is_alone || !leader.is_empty())).then_some(())
            });
        }
    }

    /// Which of those that are up leads a stream, once one does.
    pub fn leader_of(&self, stream: &str) -> usize {
        wait_for("a leader of the stream", || {
            let up = self.servers.iter().filter(|it| it.is_up());
            let leaders = up.filter_map(|it| leader(&it.told("jsz?streams=true")?, stream));
            let leads = |name: &str| {
                let at = self.servers.iter().position(|it| it.name() == name);
                at.filter(|at| self.servers[*at].is_up())
            };
            leaders.filter_map(|name| leads(&name)).next()
        })
    }
}

/// Who leads a stream, by what a server says of itself.
fn leader(jsz: &Value, stream: &str) -> Option<String> {
    let accounts = jsz["account_details"].as_array()?;
    let streams = accounts
        .iter()
        .filter_map(|it| it["stream_detail"].as_array());
    let mut named = streams.flatten().filter(|it| it["name"] == stream);
    let leader = named.find_map(|it| it["cluster"]["leader"].as_str())?;
    (!leader.is_empty()).then(|| leader.to_owned())
}
