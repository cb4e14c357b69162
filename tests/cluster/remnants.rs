//! What is left on disks. No id is anywhere in what the servers of the log keep or write (I10), nor of anybody
//! in the directories and logs of nodes; and whoever has all of these disks after an erasure was acknowledged,
//! keys and all, opens no entry of the log from before it (I11), whatever the servers keep of them. Whoever has the
//! disk of a node that was removed opens none from the key on that took the place of the ones it had.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use recant_cluster::{Ratchet, open_entry};
use recant_jetstream::{Access, JetStreamLog, LogName, LogSettings, connect};
use recant_replication::{EntryStore, StoreEntries};
use recant_store::{Store, StoreOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::cluster::LOG_BYTES_MAX;
use crate::support::process::{recant, run, until};
use crate::support::{ClusterOptions, ClusterProcesses};

/// People; every other one is a number, so that its binary forms are searched, too.
const USERS: usize = 12;

/// The first of them are erased.
const ERASED: usize = 8;

/// Epochs that a thief tries a key for, onwards.
const EPOCHS: u64 = 64;

fn user(number: usize) -> String {
    match number % 2 {
        0 => format!("usr-n33dle-{number}-kq7"),
        _ => format!("{}", 7_300_123_000 + number),
    }
}

fn item(number: usize) -> String {
    format!("itm-n33dle-{number}-zv4")
}

fn rows(users: std::ops::Range<usize>) -> Value {
    let rows = users.flat_map(|of| {
        let items = (0..9).filter(move |with| (of + 2 * with) % 3 != 0);
        items.map(move |with| json!({"user": user(of), "item": item(with)}))
    });
    json!({"interactions": rows.collect::<Vec<_>>()})
}

/// Every id of people, and of items, one a line.
fn needles(folder: &Path) -> PathBuf {
    let mut lines: Vec<String> = (0..USERS).map(user).chain((0..9).map(item)).collect();
    lines.extend((0..USERS).map(|number| format!("said-n33dle-{number}-wb8")));
    let path = folder.join("needles");
    fs::write(&path, lines.join("\n")).expect("written");
    path
}

fn scan(directory: &Path, needles: &Path) -> Output {
    let mut command = recant();
    command.arg("scan").arg("--data-dir").arg(directory);
    command.arg("--needle-file").arg(needles).arg("--json");
    command.output().expect("the binary starts")
}

fn assert_clean(directory: &Path, needles: &Path) {
    let output = scan(directory, needles);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{directory:?}: {said}");
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert!(report["files"].as_u64() > Some(0), "{report}");
}

/// Reads the log as anybody may who reaches its servers.
struct Onlooker {
    runtime: Runtime,
    log: JetStreamLog,
    /// Entries as they are kept, by their sequences.
    kept: BTreeMap<u64, Vec<u8>>,
}

impl Onlooker {
    fn of(cluster: &ClusterProcesses) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let access = Access {
            urls: cluster.nats.urls(),
            credentials: None,
            authority: None,
            certificate: None,
        };
        let name = LogName::new("recant").expect("a name");
        let bytes = LOG_BYTES_MAX.parse().expect("a number");
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let settings = LogSettings::new(name, cluster.nats.count(), bytes, week);
        let settings = settings.expect("settings");
        let log = runtime.block_on(async {
            let client = connect(&access).await.expect("a connection");
            JetStreamLog::open(client, &settings)
                .await
                .expect("the log")
        });
        Self {
            runtime,
            log,
            kept: BTreeMap::new(),
        }
    }

    /// Writes down all that there is; the last sequence.
    fn record(&mut self) -> u64 {
        let ends = self.runtime.block_on(self.log.ends()).expect("ends");
        for sequence in ends.first..=ends.last {
            let found = self.runtime.block_on(self.log.at(sequence)).expect("read");
            if let Some(payload) = found {
                self.kept.insert(sequence, payload.to_vec());
            }
        }
        ends.last
    }
}

/// Whether an entry opens with a key, or with one that can be made of it.
fn opens(payload: &[u8], key: &Ratchet) -> bool {
    let epochs = key.epoch()..key.epoch() + EPOCHS;
    let mut keys = epochs.filter_map(|epoch| key.at(epoch));
    keys.any(|key| open_entry(payload, &key).is_ok())
}

/// The key of the log as it lies in the directory of a node that does not run.
fn stolen_key(data: &Path) -> Ratchet {
    let store = Store::open(data, &StoreOptions::default()).expect("a store");
    let standing = StoreEntries::new(store).standing().expect("a member");
    standing.key
}

#[test]
fn nothing_of_anybody_is_on_disks_and_no_disks_together_open_what_was_erased() {
    let settings = [
        ("RECANT__STORE__COMPACT_AFTER_ERASURES", "1"),
        ("RECANT__STORE__COMPACT_AFTER_SECONDS", "1"),
    ];
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions {
        settings: &settings,
        ..ClusterOptions::default()
    }) else {
        return;
    };
    let callers = cluster.callers();
    let mut onlooker = Onlooker::of(&cluster);
    callers[0].must("POST", "/interactions", Some(&rows(0..USERS)), 202);
    for number in 0..USERS {
        let body = json!({"properties": {"case": format!("said-n33dle-{number}-wb8")}});
        let path = format!("/users/{}", user(number));
        callers[1].must("PUT", &path, Some(&body), 200);
    }
    callers[2].settle();
    let said = cluster.folder().join("said");
    fs::create_dir(&said).expect("a folder");
    for number in 0..USERS {
        let exported = callers[number % 3].must_get(&format!("/export?user={}", user(number)));
        fs::write(said.join(format!("{number}")), exported.text).expect("written");
    }
    let before = onlooker.record();
    let mut ids = Vec::new();
    for number in 0..ERASED {
        ids.push(callers[number % 3].erase(&format!("user={}", user(number))));
    }
    ids.push(callers[1].erase(&format!("item={}", item(8))));
    for id in &ids {
        callers[0].until_erasure(id, &["certified"]);
    }
    let after = onlooker.record();
    assert!(after > before);
    callers[0].must("POST", "/interactions", Some(&rows(ERASED..USERS)), 202);
    let end = onlooker.record();
    assert!(end > after);

    // The scanner finds what it looks for where it is.
    let needles = needles(cluster.folder());
    let output = scan(&said, &needles);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_clean(cluster.nats.folder(), &needles);
    cluster.stop_nodes();
    cluster.nats.kill_all();
    assert_clean(cluster.nats.folder(), &needles);
    let logs = cluster.folder().join("logs");
    fs::create_dir(&logs).expect("a folder");
    for node in &cluster.nodes {
        fs::copy(&node.log, logs.join(&node.name)).expect("copied");
        assert_clean(&node.data, &needles);
    }
    assert_clean(&logs, &needles);

    // A thief has every disk, and what was recorded of the log.
    for node in &cluster.nodes {
        let key = stolen_key(&node.data);
        let opened = |from: u64, to: u64| {
            let entries = onlooker.kept.range(from..=to);
            entries.filter(|(_, payload)| opens(payload, &key)).count()
        };
        assert_eq!(opened(0, before), 0, "{} opens what was erased", node.name);
        assert!(opened(after + 1, end) > 0, "{} opens nothing", node.name);
    }
}

#[test]
fn the_disk_of_a_removed_node_opens_nothing_of_the_log_from_the_next_key_on() {
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions::default()) else {
        return;
    };
    let callers = cluster.callers();
    let mut onlooker = Onlooker::of(&cluster);
    callers[0].must("POST", "/interactions", Some(&rows(0..USERS)), 202);
    let leader = cluster.leader();
    let (gone, away) = ((leader + 1) % 3, (leader + 2) % 3);
    // As long as another node is away the keys go on as they are.
    cluster.nodes[away].kill();
    let order = |cluster: &ClusterProcesses, arguments: &[&str]| {
        run(&mut cluster.nodes[leader].order(arguments))
    };
    let name = cluster.nodes[gone].name.clone();
    order(&cluster, &["remove", &name]);
    let key_is_wanted = |cluster: &ClusterProcesses| {
        let told = order(cluster, &["status", "--json"]);
        let told: Value = serde_json::from_str(&told).expect("JSON");
        told["wants_key"] == true
    };
    assert!(key_is_wanted(&cluster));
    assert!(order(&cluster, &["status"]).contains("to be replaced"));
    callers[leader].erase(&format!("user={}", user(0)));
    let removed = onlooker.record();
    assert!(key_is_wanted(&cluster));
    cluster.nodes[away].start();
    until("other keys", || !key_is_wanted(&cluster));
    assert!(!order(&cluster, &["status"]).contains("to be replaced"));
    let replaced = onlooker.record();
    callers[leader].must("POST", "/interactions", Some(&rows(2..USERS)), 202);
    callers[away].erase(&format!("user={}", user(1)));
    // Both go on where they were after a start, too.
    cluster.nodes[away].kill();
    cluster.nodes[away].start();
    cluster.nodes[away].until_ready();
    callers[away].must("POST", "/interactions", Some(&rows(3..USERS)), 202);
    let end = onlooker.record();

    cluster.stop_nodes();
    cluster.nodes[gone].kill();
    let opened = |node: usize, from: u64, to: u64| {
        let key = stolen_key(&cluster.nodes[node].data);
        let entries = onlooker.kept.range(from..=to);
        entries.filter(|(_, payload)| opens(payload, &key)).count()
    };
    assert!(
        opened(gone, removed, replaced) > 0,
        "the thief tries nothing"
    );
    assert_eq!(opened(gone, replaced + 1, end), 0);
    assert!(end > replaced + 2, "little was written: {replaced}, {end}");
    for node in [leader, away] {
        assert!(opened(node, replaced + 1, end) > 0, "{node}");
        assert_eq!(opened(node, 0, replaced), 0, "{node}");
    }
}
