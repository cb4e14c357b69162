//! The settings of a node among several.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::invalid::{InvalidSetting, check_range};

/// Longest name of a cluster or of a node, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// How much longer than the wait for a takeover a lease has to be, in seconds: else every change of
/// leaders would stop the readers.
const LEASE_BEYOND_TAKEOVER_SECONDS: u64 = 3;

/// Where Linux says what the machine is called.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

/// What a node does among others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterRole {
    /// It is the only one.
    #[default]
    Single,
    /// It serves, and may lead.
    Candidate,
    /// It serves and never leads.
    Replica,
}

/// Addresses, separated by commas. They may hold a password, so `Debug` shows hosts and ports alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterUrls(String);

impl ClusterUrls {
    /// The addresses of this text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Each as it was written, for whoever connects there.
    pub fn expose(&self) -> impl Iterator<Item = &str> {
        let given = (!self.is_empty()).then(|| self.0.split(',').map(str::trim));
        given.into_iter().flatten()
    }

    /// The hosts and ports, which may be shown.
    pub fn hosts(&self) -> Vec<String> {
        self.expose().map(shown).collect()
    }

    /// Whether each is an address by one of `schemes`, of a host and nothing behind it.
    fn are_of(&self, schemes: &[&str]) -> bool {
        self.expose().all(|url| is_url(url, schemes))
    }
}

impl fmt::Debug for ClusterUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hosts()).finish()
    }
}

/// Host and port of an address; nothing of what is no address.
fn shown(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    // A word by itself reads as a host, and may be anything.
    let uri = uri.filter(|uri| uri.scheme().is_some());
    let authority = uri.as_ref().and_then(Uri::authority);
    let place = authority.map(|authority| match authority.as_str().rsplit_once('@') {
        Some((_, place)) => place.to_owned(),
        None => authority.as_str().to_owned(),
    });
    place.unwrap_or_else(|| String::from("…"))
}

fn is_url(url: &str, schemes: &[&str]) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    uri.is_some_and(|uri| {
        let names_a_host = |uri: &Uri| uri.host().is_some_and(|host| !host.is_empty());
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let scheme = uri.scheme_str().is_some_and(|it| schemes.contains(&it));
        scheme && names_a_host(&uri) && is_bare && !url.contains('#')
    })
}

/// A node among several. With the role `single`, the default, nothing else here has an effect.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// What the node does.
    pub role: ClusterRole,
    /// The cluster; its stream is `RECANT_` and this.
    pub name: String,
    /// The node, unique and lasting; empty for what the machine is called.
    pub node: String,
    /// Where the log is: addresses of NATS servers, `nats://` or `tls://`.
    pub nats_url: ClusterUrls,
    /// File with the credentials for them; empty for none.
    pub nats_credentials: PathBuf,
    /// Where the same servers are monitored, `http://` or `https://`: they are asked whether what they
    /// acknowledge is on the disk.
    pub monitor_urls: ClusterUrls,
    /// Whether to lead although that could not be asked.
    pub trust_log: bool,
    /// Where other nodes connect, an address and a port; on loopback unless there is TLS.
    pub listen: String,
    /// What they are told to connect to; empty for the address that is listened on.
    pub advertise: String,
    /// File with the certificate for connections between nodes, in PEM; empty for no TLS.
    pub tls_certificate: PathBuf,
    /// File with its private key, in PEM.
    pub tls_key: PathBuf,
    /// File of the certificates that those of both sides must lead to, in PEM.
    pub tls_authority: PathBuf,
    /// How long a node may answer readers without having heard of the leader.
    pub lease_seconds: u64,
    /// How long the log is silent before another node leads.
    pub takeover_seconds: u64,
    /// A node that is further behind what has been forgotten is not waited for.
    pub forget_seconds: u64,
    /// Servers that keep the log.
    pub log_replicas: u64,
    /// Most bytes of the log; requests are answered 507 when it has so many.
    pub log_bytes_max: u64,
    /// Longest time that anything stays in the log.
    pub log_days: u64,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            role: ClusterRole::Single,
            name: String::from("recant"),
            node: String::new(),
            nats_url: ClusterUrls::default(),
            nats_credentials: PathBuf::new(),
            monitor_urls: ClusterUrls::default(),
            trust_log: false,
            listen: String::from("127.0.0.1:8081"),
            advertise: String::new(),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_authority: PathBuf::new(),
            lease_seconds: 15,
            takeover_seconds: 10,
            forget_seconds: 2,
            log_replicas: 3,
            log_bytes_max: 8 * 1024 * 1024 * 1024,
            log_days: 7,
        }
    }
}

/// Where secrets lie is not shown.
impl fmt::Debug for ClusterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterSettings")
            .field("role", &self.role)
            .field("name", &self.name)
            .field("node", &self.node)
            .field("nats_url", &self.nats_url)
            .field("monitor_urls", &self.monitor_urls)
            .field("trust_log", &self.trust_log)
            .field("listen", &self.listen)
            .field("advertise", &self.advertise)
            .field("has_tls", &self.has_tls())
            .field("lease_seconds", &self.lease_seconds)
            .field("takeover_seconds", &self.takeover_seconds)
            .field("forget_seconds", &self.forget_seconds)
            .field("log_replicas", &self.log_replicas)
            .finish_non_exhaustive()
    }
}

impl ClusterSettings {
    /// Whether there may be other nodes.
    pub fn is_member(&self) -> bool {
        self.role != ClusterRole::Single
    }

    /// The name of this node: the one that was set, or what the machine is called. `None` where that is no
    /// name for a node.
    pub fn node_name(&self) -> Option<String> {
        let name = if self.node.is_empty() {
            let host = std::fs::read_to_string(HOST_NAME_FILE).ok()?;
            host.trim().to_owned()
        } else {
            self.node.clone()
        };
        is_node_name(&name).then_some(name)
    }

    /// Whether connections between nodes are behind TLS.
    pub fn has_tls(&self) -> bool {
        self.tls_files().is_some()
    }

    /// The files of certificate, key and authority, if there is to be TLS.
    pub fn tls_files(&self) -> Option<[&Path; 3]> {
        let files = [&self.tls_certificate, &self.tls_key, &self.tls_authority];
        let is_set = files.iter().all(|file| !file.as_os_str().is_empty());
        is_set.then(|| files.map(PathBuf::as_path))
    }

    /// [`Self::lease_seconds`] as a duration.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// [`Self::takeover_seconds`] as a duration.
    pub fn takeover(&self) -> Duration {
        Duration::from_secs(self.takeover_seconds)
    }

    /// [`Self::forget_seconds`] as a duration.
    pub fn forget(&self) -> Duration {
        Duration::from_secs(self.forget_seconds)
    }

    /// Checks each value by itself.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        self.check_names()?;
        self.check_addresses()?;
        for (key, value, least, most) in [
            ("lease_seconds", self.lease_seconds, 5, 3_600),
            ("takeover_seconds", self.takeover_seconds, 1, 3_600),
            ("forget_seconds", self.forget_seconds, 1, 3_600),
            ("log_replicas", self.log_replicas, 1, 5),
            ("log_bytes_max", self.log_bytes_max, 1 << 16, 1 << 44),
            ("log_days", self.log_days, 1, 365),
        ] {
            check_range(&format!("cluster.{key}"), value, least..=most)?;
        }
        Ok(())
    }

    /// Checks what settings say together, once all of them are known.
    pub(super) fn check_together(&self) -> Result<(), InvalidSetting> {
        let refuse = |key: &str, problem: &str| {
            let key = format!("cluster.{key}");
            Err(InvalidSetting::new(key, problem))
        };
        if !self.is_member() {
            return Ok(());
        }
        if self.lease_seconds <= self.takeover_seconds + LEASE_BEYOND_TAKEOVER_SECONDS {
            let problem = "must be more than cluster.takeover_seconds and 3, or readers would be turned away \
                           whenever another node leads";
            return refuse("lease_seconds", problem);
        }
        if self.nats_url.is_empty() {
            return refuse("nats_url", "is needed by a node among several");
        }
        if self.role == ClusterRole::Candidate && self.monitor_urls.is_empty() && !self.trust_log {
            let problem = "is needed by a node that may lead, to ask whether what the log acknowledges is on \
                           the disk; or set cluster.trust_log";
            return refuse("monitor_urls", problem);
        }
        if self.node_name().is_none() {
            let problem = "is empty, and what the machine is called is no name for a node: set it";
            return refuse("node", problem);
        }
        self.check_tls()
    }

    fn check_names(&self) -> Result<(), InvalidSetting> {
        if !is_name(&self.name, b"-_") {
            let problem = "must be 1 to 64 letters, digits, - and _";
            return Err(InvalidSetting::new("cluster.name", problem));
        }
        if !self.node.is_empty() && !is_node_name(&self.node) {
            let problem = "must be 1 to 64 letters, digits, ., - and _";
            return Err(InvalidSetting::new("cluster.node", problem));
        }
        Ok(())
    }

    /// None of the problems repeats an address: there may be a password in it.
    fn check_addresses(&self) -> Result<(), InvalidSetting> {
        if !self.nats_url.are_of(&["nats", "tls"]) {
            let problem = "needs nats:// or tls:// with a host and a port, several separated by commas, as in \
                           tls://n1:4222,tls://n2:4222";
            return Err(InvalidSetting::new("cluster.nats_url", problem));
        }
        if !self.monitor_urls.are_of(&["http", "https"]) {
            let problem = "needs http:// or https:// with a host and a port, several separated by commas, as in \
                           http://n1:8222,http://n2:8222";
            return Err(InvalidSetting::new("cluster.monitor_urls", problem));
        }
        if host_of(&self.listen).is_none() {
            let problem = "needs an address and a port, as in 127.0.0.1:8081 or [::1]:8081";
            return Err(InvalidSetting::new("cluster.listen", problem));
        }
        let is_good = is_url(&self.advertise, &["http", "https"]) && !self.advertise.contains('@');
        if !self.advertise.is_empty() && !is_good {
            let problem =
                "needs http:// or https:// with a host and a port, as in https://n1.internal:8081";
            return Err(InvalidSetting::new("cluster.advertise", problem));
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), InvalidSetting> {
        let files = [&self.tls_certificate, &self.tls_key, &self.tls_authority];
        let set = files.iter().filter(|file| !file.as_os_str().is_empty());
        if ![0, files.len()].contains(&set.count()) {
            let problem =
                "goes with cluster.tls_key and cluster.tls_authority: set all three or none";
            return Err(InvalidSetting::new("cluster.tls_certificate", problem));
        }
        let is_local = host_of(&self.listen).is_some_and(is_loopback);
        if !is_local && !self.has_tls() {
            let problem = "is not on loopback: set cluster.tls_certificate, cluster.tls_key and \
                           cluster.tls_authority, for whoever connects there is believed";
            return Err(InvalidSetting::new("cluster.listen", problem));
        }
        if !is_local && self.advertise.is_empty() {
            let problem = "is needed where cluster.listen is not on loopback: the address that other nodes \
                           reach this one by";
            return Err(InvalidSetting::new("cluster.advertise", problem));
        }
        let scheme = if self.has_tls() {
            "https://"
        } else {
            "http://"
        };
        if !self.advertise.is_empty() && !self.advertise.starts_with(scheme) {
            let problem = "must be https:// with cluster.tls_certificate and http:// without";
            return Err(InvalidSetting::new("cluster.advertise", problem));
        }
        Ok(())
    }
}

fn is_node_name(name: &str) -> bool {
    is_name(name, b".-_")
}

/// Whether this is a name of letters, digits and `more`.
fn is_name(name: &str, more: &[u8]) -> bool {
    let mut bytes = name.bytes();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && bytes.all(good)
}

/// The host of an address with a port.
fn host_of(listen: &str) -> Option<&str> {
    let (host, port) = listen.rsplit_once(':')?;
    let is_port = port.parse::<u16>().is_ok();
    (is_port && !host.is_empty()).then(|| host.trim_start_matches('[').trim_end_matches(']'))
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that may lead, on this machine.
    fn candidate() -> ClusterSettings {
        ClusterSettings {
            role: ClusterRole::Candidate,
            node: String::from("n1"),
            nats_url: ClusterUrls::new("nats://127.0.0.1:4222"),
            monitor_urls: ClusterUrls::new("http://127.0.0.1:8222"),
            ..ClusterSettings::default()
        }
    }

    /// The key that is refused; empty when none is.
    fn refused(change: impl FnOnce(&mut ClusterSettings)) -> String {
        let mut settings = candidate();
        change(&mut settings);
        let checked = settings.check().and_then(|()| settings.check_together());
        checked.map_or_else(|error| error.key, |()| String::new())
    }

    #[test]
    fn a_node_needs_a_log_and_one_that_may_lead_somebody_to_ask_about_it() {
        assert_eq!(refused(|_| {}), "");
        let nobody =
            |settings: &mut ClusterSettings| settings.monitor_urls = ClusterUrls::default();
        assert_eq!(refused(nobody), "cluster.monitor_urls");
        let trusting = refused(|settings| {
            nobody(settings);
            settings.trust_log = true;
        });
        assert_eq!(trusting, "");
        let replica = refused(|settings| {
            nobody(settings);
            settings.role = ClusterRole::Replica;
        });
        assert_eq!(replica, "");
        let no_log = |settings: &mut ClusterSettings| settings.nats_url = ClusterUrls::new(" ");
        assert_eq!(refused(no_log), "cluster.nats_url");
        let alone = refused(|settings| {
            no_log(settings);
            settings.role = ClusterRole::Single;
        });
        assert_eq!(alone, "");
    }

    #[test]
    fn a_lease_outlasts_a_change_of_leaders() {
        for (lease, takeover, key) in [
            (14, 10, ""),
            (13, 10, "cluster.lease_seconds"),
            (5, 1, ""),
            (4, 1, "cluster.lease_seconds"),
            (3_600, 3_596, ""),
            (3_601, 10, "cluster.lease_seconds"),
            (15, 0, "cluster.takeover_seconds"),
        ] {
            let refused = refused(|settings| {
                settings.lease_seconds = lease;
                settings.takeover_seconds = takeover;
            });
            assert_eq!(refused, key, "{lease} {takeover}");
        }
    }

    #[test]
    fn names_are_ones_that_subjects_and_labels_can_have() {
        for (name, good) in [
            ("n1", true),
            ("n-1.a_b", true),
            ("n 1", false),
            ("é", false),
        ] {
            let refused = refused(|settings| settings.node = name.to_owned());
            assert_eq!(refused.is_empty(), good, "{name}");
        }
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(refused(|settings| settings.node = long), "cluster.node");
        for (name, good) in [
            ("shop_2", true),
            ("shop.2", false),
            ("", false),
            ("*", false),
        ] {
            let refused = refused(|settings| settings.name = name.to_owned());
            assert_eq!(refused.is_empty(), good, "{name}");
        }
    }

    #[test]
    fn whoever_listens_to_other_machines_has_certificates_and_says_where() {
        let elsewhere = |settings: &mut ClusterSettings| settings.listen = "0.0.0.0:8081".into();
        let with_tls = |settings: &mut ClusterSettings| {
            settings.tls_certificate = "chain.pem".into();
            settings.tls_key = "key.pem".into();
            settings.tls_authority = "authority.pem".into();
        };
        assert_eq!(refused(elsewhere), "cluster.listen");
        let unsaid = refused(|settings| {
            elsewhere(settings);
            with_tls(settings);
        });
        assert_eq!(unsaid, "cluster.advertise");
        for (advertise, key) in [
            ("https://n1.internal:8081", ""),
            ("http://n1.internal:8081", "cluster.advertise"),
            ("n1.internal:8081", "cluster.advertise"),
            (
                "https://user:password@n1.internal:8081",
                "cluster.advertise",
            ),
            ("https://n1.internal:8081/path", "cluster.advertise"),
        ] {
            let refused = refused(|settings| {
                elsewhere(settings);
                with_tls(settings);
                settings.advertise = advertise.to_owned();
            });
            assert_eq!(refused, key, "{advertise}");
        }
        let half = refused(|settings| {
            with_tls(settings);
            settings.tls_authority = PathBuf::new();
        });
        assert_eq!(half, "cluster.tls_certificate");
        let unreadable = refused(|settings| settings.listen = ":8081".into());
        assert_eq!(unreadable, "cluster.listen");
    }

    #[test]
    fn addresses_are_shown_without_passwords_and_files_not_at_all() {
        let settings = ClusterSettings {
            nats_url: ClusterUrls::new("tls://ada:secret@n1:4222, tls://token@n2:4222"),
            nats_credentials: "/run/secrets/needle.creds".into(),
            tls_key: "/run/secrets/needle.pem".into(),
            ..candidate()
        };
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.nats_url.hosts(), ["n1:4222", "n2:4222"]);
        let urls: Vec<&str> = settings.nats_url.expose().collect();
        assert_eq!(urls, ["tls://ada:secret@n1:4222", "tls://token@n2:4222"]);
        let shown = format!("{settings:?}");
        assert!(shown.contains("n1:4222"), "{shown}");
        for secret in ["secret", "ada", "token", "needle"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for url in [
            "http://ada:secret@n1:4222",
            "tls://ada:secret@n1:4222/needle",
            "needle",
        ] {
            let error = ClusterSettings {
                nats_url: ClusterUrls::new(url),
                ..candidate()
            };
            let shown = format!("{error:?}");
            let error = error
                .check()
                .expect_err("no address of a server")
                .to_string();
            for secret in ["secret", "needle"] {
                assert!(
                    !error.contains(secret) && !shown.contains(secret),
                    "{error} {shown}"
                );
            }
        }
    }

    #[test]
    fn the_machine_has_a_name_that_may_do() {
        let unnamed = ClusterSettings::default();
        let name = unnamed.node_name();
        assert!(name.is_none_or(|name| is_node_name(&name)));
        assert_eq!(candidate().node_name(), Some(String::from("n1")));
    }
}
