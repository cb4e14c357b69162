//! Even traffic over all nodes for long, with a fault a minute, and what is there in the end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use recant_jetstream::testing::wait_for;
use serde_json::Value;

use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::data::{Pairs, run};
use crate::fault::Fault;
use crate::node::Node;
use crate::soak_ledger::Ledger;
use crate::stopping::Stopping;
use crate::support::argument;
use crate::support::process::recant;

/// Callers; each has pairs of its own, so that it alone knows what must be there.
const CALLERS: u64 = 8;

/// Additions and erasures a second, of all callers.
const WRITES: f64 = 200.0;
const ERASURES: f64 = 20.0;

/// From one fault to the next, and how long each lasts.
const BETWEEN_FAULTS: f64 = 60.0;
const FAULT: Duration = Duration::from_secs(20);

/// Users whose lists are compared.
const LISTS: usize = 200;

/// Receipts that are checked.
const RECEIPTS: usize = 50;

/// What the log may have left in the end.
const LOG_BYTES_MAX: u64 = 10_000_000;

/// Runs it, and checks what is left.
pub fn run_for(cluster: &mut Cluster, pairs: &mut Pairs, seconds: f64) {
    let between = Duration::from_secs_f64(argument("--fault-seconds", BETWEEN_FAULTS));
    let urls = cluster.urls();
    let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let items = pairs.items();
    let ledgers = thread::scope(|scope| {
        let callers = (0..CALLERS).map(|number| {
            let (urls, stop, refused) = (&urls, &stop, &refused);
            scope.spawn(move || write(number, urls, items, stop, refused))
        });
        let callers: Vec<_> = callers.collect();
        let stopping = Stopping(&stop);
        let begun = Instant::now();
        let mut rounds = 0;
        tell_memory(cluster, begun);
        while begun.elapsed().as_secs_f64() < seconds {
            let next = Instant::now() + between;
            let fault = fault(cluster, rounds);
            println!("{:>6.0} s: {fault:?}", begun.elapsed().as_secs_f64());
            fault.strike(cluster);
            thread::sleep(FAULT.min(between / 2));
            fault.mend(cluster);
            thread::sleep(next.saturating_duration_since(Instant::now()));
            tell_memory(cluster, begun);
            rounds += 1;
        }
        drop(stopping);
        let ledgers = callers.into_iter().map(|it| it.join().expect("a caller"));
        ledgers.collect::<Vec<_>>()
    });
    cluster.until_ready();
    let acknowledged: u64 = ledgers.iter().map(Ledger::acknowledged).sum();
    let refused = refused.into_inner();
    println!("{acknowledged} requests acknowledged, {refused} not");
    check(cluster, pairs, &ledgers);
}

/// What comes next.
fn fault(cluster: &Cluster, round: usize) -> Fault {
    let (leader, follower) = (cluster.leader(), cluster.follower());
    match round % 8 {
        0 => Fault::NodeKilled(leader),
        1 => Fault::LogKilled(cluster.log_leader()),
        2 => Fault::NodeHangs(follower),
        3 => Fault::NodeEnds(leader),
        4 => Fault::LogHangs(cluster.log_leader()),
        5 => Fault::NodeKilled(follower),
        6 => Fault::NodeHangs(leader),
        _ => Fault::NodeEnds(follower),
    }
}

fn tell_memory(cluster: &mut Cluster, begun: Instant) {
    let memory = cluster.memory();
    let memory: Vec<_> = memory.iter().map(|mib| format!("{mib:>5.0}")).collect();
    let log = cluster.log_bytes().unwrap_or_default() / 1000;
    let seconds = begun.elapsed().as_secs_f64();
    let (nodes, servers) = (memory[..3].join(" "), memory[3..].join(" "));
    println!("{seconds:>6.0} s: MiB of nodes {nodes}, of servers {servers}; log {log} kB");
}

/// One caller, at its share of the rates, to one node after the other.
fn write(
    number: u64,
    urls: &[String],
    items: &[String],
    stop: &AtomicBool,
    refused: &AtomicU64,
) -> Ledger {
    let caller = Caller::patient(Duration::from_secs(30));
    let mut ledger = Ledger::new(number, items);
    let pause = Duration::from_secs_f64(CALLERS as f64 / (WRITES + ERASURES));
    let every = ((WRITES + ERASURES) / ERASURES) as usize;
    let mut next = Instant::now();
    for (at, url) in urls.iter().cycle().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let is_taken = if at % every == 0 {
            ledger.erase(&caller, url)
        } else {
            ledger.add(&caller, url)
        };
        if !is_taken {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        // What was missed while nothing was taken is not made up for.
        next = (next + pause).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    ledger
}

fn check(cluster: &mut Cluster, pairs: &Pairs, ledgers: &[Ledger]) {
    let caller = Caller::patient(Duration::from_secs(60));
    let url = cluster.nodes[cluster.leader()].url();
    let checked: usize = ledgers.iter().map(|it| it.check(&caller, &url)).sum();
    println!("{checked} pairs are as was acknowledged");
    until_equal(cluster);
    for user in pairs.users().iter().take(LISTS) {
        let lists = cluster
            .nodes
            .iter()
            .map(|it| list(&caller, &it.url(), user));
        let lists: Vec<_> = lists.collect();
        assert!(lists.iter().all(|it| *it == lists[0]), "{user}: {lists:?}");
    }
    println!("all nodes make the same {LISTS} lists");
    let erasures = ledgers.iter().flat_map(Ledger::erasures).take(RECEIPTS);
    let verified = erasures.map(|id| verify(&caller, &url, id)).count();
    println!("{verified} receipts are verified");
    wait_for("the log to be trimmed", || {
        cluster.log_bytes().filter(|it| *it < LOG_BYTES_MAX)
    });
    cluster.tell_sizes();
}

/// Waits until all nodes have applied the same, and show the same version.
fn until_equal(cluster: &Cluster) {
    wait_for("all nodes to be alike", || {
        let models = cluster.nodes.iter().map(|node| {
            let model = Caller::quick().get(&node.url(), "/model").ok()?;
            let model: Value = serde_json::from_str(&model.body).ok()?;
            Some((model["version"].clone(), model["interactions"].clone()))
        });
        let models: Vec<_> = models.collect();
        let is_alike = models.iter().all(|it| it.is_some() && *it == models[0]);
        let status: Vec<_> = cluster.nodes.iter().filter_map(Node::status).collect();
        let is_applied =
            status.len() == models.len() && status.iter().all(|it| it["entries_behind"] == 0);
        (is_alike && is_applied).then_some(())
    });
}

/// A list, in the one order that equal scores have too.
fn list(caller: &Caller, url: &str, user: &str) -> Vec<(String, String)> {
    let answer = caller.get(url, &format!("/recommend?user={user}&k=20"));
    let answer: Value = serde_json::from_str(&answer.expect("an answer").body).expect("JSON");
    let items = answer["items"].as_array().expect("a list").iter();
    let mut list: Vec<_> = items
        .map(|it| (it["score"].to_string(), it["item"].to_string()))
        .collect();
    list.sort();
    list
}

/// Waits for a receipt, and has the program verify it.
fn verify(caller: &Caller, url: &str, id: &str) {
    let receipt = wait_for("a receipt", || {
        let answer = caller.get(url, &format!("/erasures/{id}/receipt")).ok()?;
        (answer.status == 200).then_some(answer.body)
    });
    let keys = caller.get(url, "/.well-known/jwks.json").expect("the keys");
    let folder = tempfile::tempdir().expect("a folder");
    let (receipt_path, keys_path) = (folder.path().join("receipt"), folder.path().join("keys"));
    std::fs::write(&receipt_path, receipt).expect("room for a receipt");
    std::fs::write(&keys_path, keys.body).expect("room for the keys");
    run(recant()
        .arg("verify")
        .arg(receipt_path)
        .arg("--jwks")
        .arg(keys_path));
}
