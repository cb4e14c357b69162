//! Whether the configuration can be used, and who is let in by it.

use std::net::ToSocketAddrs;
use std::path::Path;

use recant_http::{ClusterSettings, Settings};

use super::facts::configuration::{Address, Configuration, FileSeen, Master};
use super::finding::Finding;

/// Tombstones that last less than this let old batches and backups bring something back.
const TOMBSTONE_DAYS_FEW: u32 = 90;

/// Ciphertext of what was erased should not stay in the files for longer.
const COMPACTION_SECONDS_MANY: u64 = 24 * 60 * 60;

/// A reserve that finishes what was accepted.
const RESERVE_BYTES_FEW: u64 = 16 << 20;

/// A log with fewer copies stops when one server does.
const LOG_REPLICAS_FEW: u64 = 3;

/// What there is to say about the configuration.
pub(super) fn findings(configuration: &Configuration) -> Vec<Finding> {
    let settings = &configuration.settings;
    let mut findings = vec![settings_hold(configuration)];
    if configuration.refused.is_none() {
        findings.push(keys(settings, &configuration.has_api_key));
        findings.extend(address(configuration));
        findings.extend(weak(settings));
    }
    if let Some(file) = &configuration.file {
        findings.push(rights(file, settings));
    }
    findings.push(master(&configuration.master, &settings.store.data_dir));
    findings
}

fn settings_hold(configuration: &Configuration) -> Finding {
    const CHECK: &str = "configuration.settings";
    match (&configuration.refused, &configuration.file) {
        (Some(reason), _) => Finding::problem(
            CHECK,
            format!("the configuration is refused, so no server starts with it: {reason}"),
            "mend what it names; config/default.toml lists every setting. The rest was looked at with \
             the built-in settings",
        ),
        (None, Some(file)) => Finding::ok(CHECK, format!("{} holds together", file.path.display())),
        (None, None) => Finding::ok(CHECK, "there is no file: the built-in settings count"),
    }
}

/// Whether only this machine reaches an address; `None` when it cannot be told.
fn is_loopback(listen: &str) -> Option<bool> {
    let addresses: Vec<_> = listen.to_socket_addrs().ok()?.collect();
    (!addresses.is_empty()).then(|| addresses.iter().all(|one| one.ip().is_loopback()))
}

fn keys(settings: &Settings, has_api_key: &Result<bool, String>) -> Finding {
    const CHECK: &str = "configuration.access";
    let listen = &settings.server.listen;
    let loopback = is_loopback(listen);
    let has_key = match has_api_key {
        Ok(has_key) => *has_key,
        Err(reason) => {
            return Finding::problem(
                CHECK,
                format!("the API keys that were made while serving cannot be used: {reason}"),
                "put back a copy of api-keys.json, or remove it and make new keys; no server starts before",
            );
        }
    };
    match (has_key, loopback) {
        (false, Some(false)) => Finding::problem(
            CHECK,
            format!(
                "{listen} is reached by other machines, and there are no API keys: no server starts so"
            ),
            "make one with `recant keys api create`, or listen on 127.0.0.1",
        ),
        (false, _) => Finding::warning(
            CHECK,
            "there are no API keys: whoever has an account on this machine may export and erase \
             everybody",
            "make one with `recant keys api create`",
        ),
        (true, Some(false)) if settings.server.has_tls() => Finding::ok(
            CHECK,
            format!("{listen} is reached by other machines, by API keys and behind TLS"),
        ),
        (true, Some(false)) => Finding::ok(
            CHECK,
            format!(
                "{listen} is reached by other machines, by API keys: see that TLS is in front, or keys \
                 and ids travel in clear"
            ),
        ),
        (true, _) => Finding::ok(CHECK, "only this machine reaches the server, by API keys"),
    }
}

fn address(configuration: &Configuration) -> Option<Finding> {
    const CHECK: &str = "configuration.address";
    let listen = &configuration.settings.server.listen;
    Some(match configuration.address.as_ref()? {
        Address::Free => Finding::ok(CHECK, format!("{listen} can be listened on")),
        Address::InUse => Finding::problem(
            CHECK,
            format!("another program listens on {listen}: no server starts there"),
            "stop it, or set server.listen to another port; `ss -ltnp` says which program it is",
        ),
        Address::Refused(reason) => Finding::problem(
            CHECK,
            format!("{listen} cannot be listened on ({reason}): no server starts there"),
            "set server.listen to an address of this machine, with a port from 1024 on",
        ),
    })
}

fn weak(settings: &Settings) -> Vec<Finding> {
    let store = &settings.store;
    let mut findings = Vec::new();
    if store.tombstone_days < TOMBSTONE_DAYS_FEW {
        findings.push(Finding::warning(
            "configuration.tombstones",
            format!(
                "store.tombstone_days is {}: after that, an old batch that is sent again brings back \
                 what was erased, and older backups are refused",
                store.tombstone_days
            ),
            "make it longer than any batch or backup is kept",
        ));
    }
    if store.compact_after_seconds > COMPACTION_SECONDS_MANY {
        findings.push(Finding::warning(
            "configuration.compaction",
            format!(
                "store.compact_after_seconds is {}: for so long ciphertext of what was erased, and old \
                 rows of the model, stay in the files",
                store.compact_after_seconds
            ),
            "lower it to a day or less; 900 is the default",
        ));
    }
    if store.free_space_min_bytes < RESERVE_BYTES_FEW {
        findings.push(Finding::warning(
            "configuration.reserve",
            format!(
                "store.free_space_min_bytes is {}: on a full disk what was accepted may find no room to \
                 be carried through",
                store.free_space_min_bytes
            ),
            "leave it at 67108864, the default, or set it higher",
        ));
    }
    findings.extend(weak_log(&settings.cluster));
    findings
}

/// What makes the log of several nodes weaker than they promise.
fn weak_log(cluster: &ClusterSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if cluster.is_member() && cluster.trust_log {
        findings.push(Finding::warning(
            "configuration.trust_log",
            "cluster.trust_log is true: a node leads although nobody says that what the log acknowledges is \
             on the disk, and what was acknowledged may be lost with the power",
            "set cluster.monitor_urls, and cluster.trust_log to false",
        ));
    }
    if cluster.is_member() && cluster.log_replicas < LOG_REPLICAS_FEW {
        findings.push(Finding::warning(
            "configuration.log_replicas",
            format!(
                "cluster.log_replicas is {}: nothing is taken while one server of the log is away, and \
                 with its disk the log is gone",
                cluster.log_replicas
            ),
            "set it to 3, with three servers on three machines",
        ));
    }
    findings
}

fn rights(file: &FileSeen, settings: &Settings) -> Finding {
    const CHECK: &str = "configuration.rights";
    let (path, mode) = (file.path.display(), file.mode);
    if mode & 0o022 != 0 {
        return Finding::problem(
            CHECK,
            format!(
                "others than its owner may write to {path} (mode {mode:04o}): they can let themselves in"
            ),
            format!("chmod 600 {path}"),
        );
    }
    if mode & 0o044 != 0 && !settings.access.keys.is_empty() {
        return Finding::warning(
            CHECK,
            format!(
                "others than its owner may read {path} (mode {mode:04o}), which holds digests of API \
                 keys: a key that can be guessed can be found by trying"
            ),
            format!("chmod 600 {path}, and make keys of 32 random bytes"),
        );
    }
    Finding::ok(CHECK, format!("{path} is written by its owner alone"))
}

fn master(master: &Master, data_dir: &Path) -> Finding {
    const CHECK: &str = "configuration.master_key";
    const ELSEWHERE: &str = "name a file on another disk, a variable or a command in the section [keys], after \
                             `recant keys rotate` has moved it there";
    match master {
        Master::Beside => Finding::warning(
            CHECK,
            "the master key lies beside the data: whoever takes the disk has both, which is good \
             enough for a trial alone",
            ELSEWHERE,
        ),
        Master::File(path, Err(reason), _) => Finding::problem(
            CHECK,
            format!(
                "the master key cannot be seen at {} ({reason}): without it no data can be read",
                path.display()
            ),
            "put it back, or run this command as the user that may read it",
        ),
        Master::File(path, Ok(seen), _) if seen.mode & 0o077 != 0 => Finding::problem(
            CHECK,
            format!(
                "others than its owner have rights on the master key {} (mode {:04o})",
                path.display(),
                seen.mode
            ),
            format!(
                "chmod 600 {}; then make a new one with `recant keys rotate`",
                path.display()
            ),
        ),
        Master::File(path, Ok(_), _) if master.is_beside(data_dir) => Finding::warning(
            CHECK,
            format!(
                "the master key {} is on the same disk as the data: whoever takes the disk has both",
                path.display()
            ),
            ELSEWHERE,
        ),
        Master::File(path, Ok(_), _) => Finding::ok(
            CHECK,
            format!(
                "the master key {} is on another disk than the data",
                path.display()
            ),
        ),
        Master::Environment(name, false) => Finding::unseen(
            CHECK,
            format!(
                "the variable {name}, which has the master key, is not set here, so the data cannot be read"
            ),
            "run this command with the variable set, as the server is",
        ),
        Master::Environment(name, true) => Finding::ok(
            CHECK,
            format!("the master key is in the variable {name}, not on the disk of the data"),
        ),
        Master::Command => Finding::ok(
            CHECK,
            "the master key comes from a command, not from the disk of the data",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use recant_http::{ClusterRole, KeySettings, Role};

    use super::super::finding::Severity;
    use super::*;

    fn seen(mode: u32, device: u64) -> FileSeen {
        FileSeen {
            path: PathBuf::from("/etc/recant/file"),
            mode,
            device,
        }
    }

    fn with_key(listen: &str) -> Settings {
        let mut settings = Settings::default();
        settings.server.listen = String::from(listen);
        settings.access.keys = vec![KeySettings {
            name: String::from("shop"),
            sha256: "0".repeat(64),
            roles: vec![Role::Read],
            requests_per_second_max: None,
        }];
        settings
    }

    /// A configuration that nothing is wrong with.
    fn good() -> Configuration {
        Configuration {
            refused: None,
            settings: with_key("127.0.0.1:8080"),
            file: Some(seen(0o600, 1)),
            has_api_key: Ok(true),
            master: Master::Command,
            address: Some(Address::Free),
        }
    }

    fn severity(configuration: &Configuration, check: &str) -> Severity {
        let findings = findings(configuration);
        let found = findings.iter().find(|finding| finding.check == check);
        found.expect(check).severity
    }

    #[test]
    fn nothing_is_said_against_a_good_configuration() {
        for finding in findings(&good()) {
            assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
        }
    }

    #[test]
    fn who_reaches_the_server_without_a_key_is_told() {
        let check = |listen: &str, has_api_key: Result<bool, String>| {
            let configuration = Configuration {
                settings: with_key(listen),
                has_api_key,
                ..good()
            };
            severity(&configuration, "configuration.access")
        };
        assert_eq!(check("127.0.0.1:8080", Ok(false)), Severity::Warning);
        assert_eq!(check("0.0.0.0:8080", Ok(false)), Severity::Problem);
        assert_eq!(check("0.0.0.0:8080", Ok(true)), Severity::Ok);
        let damaged = Err(String::from("not JSON"));
        assert_eq!(check("127.0.0.1:8080", damaged), Severity::Problem);
    }

    #[test]
    fn what_keeps_a_server_from_starting_is_a_problem() {
        let refused = Configuration {
            refused: Some(String::from("file x: stor: unknown")),
            ..good()
        };
        assert_eq!(
            severity(&refused, "configuration.settings"),
            Severity::Problem
        );
        for address in [Address::InUse, Address::Refused(String::from("denied"))] {
            let configuration = Configuration {
                address: Some(address),
                ..good()
            };
            assert_eq!(
                severity(&configuration, "configuration.address"),
                Severity::Problem
            );
        }
    }

    #[test]
    fn weak_settings_are_warned_of() {
        let mut configuration = good();
        configuration.settings.store.tombstone_days = 7;
        configuration.settings.store.compact_after_seconds = 604_800;
        configuration.settings.store.free_space_min_bytes = 0;
        configuration.settings.cluster = ClusterSettings {
            role: ClusterRole::Replica,
            trust_log: true,
            log_replicas: 1,
            ..ClusterSettings::default()
        };
        for check in [
            "tombstones",
            "compaction",
            "reserve",
            "trust_log",
            "log_replicas",
        ] {
            let check = format!("configuration.{check}");
            assert_eq!(severity(&configuration, &check), Severity::Warning);
        }
        let cluster = &mut configuration.settings.cluster;
        cluster.role = ClusterRole::Single;
        assert_eq!(weak_log(cluster).len(), 0, "nothing of it counts");
    }

    #[test]
    fn a_file_that_others_write_to_is_worse_than_one_that_they_read() {
        for (mode, expected) in [
            (0o600, Severity::Ok),
            (0o644, Severity::Warning),
            (0o666, Severity::Problem),
        ] {
            let configuration = Configuration {
                file: Some(seen(mode, 1)),
                ..good()
            };
            assert_eq!(severity(&configuration, "configuration.rights"), expected);
        }
    }

    #[test]
    fn a_master_key_is_judged_by_where_it_is_and_who_reads_it() {
        let file = |seen, device| Master::File(PathBuf::from("/run/key"), seen, device);
        for (master, expected) in [
            (Master::Beside, Severity::Warning),
            (file(Ok(seen(0o600, 1)), Some(2)), Severity::Ok),
            (file(Ok(seen(0o600, 2)), Some(2)), Severity::Warning),
            (file(Ok(seen(0o640, 1)), Some(2)), Severity::Problem),
            (file(Err(String::from("gone")), Some(2)), Severity::Problem),
            (Master::Environment(String::from("KEY"), true), Severity::Ok),
            (
                Master::Environment(String::from("KEY"), false),
                Severity::Unseen,
            ),
        ] {
            let configuration = Configuration { master, ..good() };
            assert_eq!(
                severity(&configuration, "configuration.master_key"),
                expected
            );
        }
    }
}
