//! What a node that is away has still to erase stands in receipts, and in what `recant verify` says of them, until a
//! settlement closes it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::ClusterProcesses;
use crate::support::checks::{certified_receipts, claims};
use crate::support::process::{Caller, PATIENCE, recant, refused, run};

/// How many nodes are away and owe something.
const OWING: &str = "recant_cluster_nodes{state=\"owing\"}";
/// For how long, at most.
const OLDEST: &str = "recant_cluster_owing_oldest_seconds";

/// A small set of ratings.
fn ratings() -> String {
    let pairs = (0..12).flat_map(|user| (0..8).map(move |item| (user, item)));
    let pairs = pairs.filter(|(user, item)| (user + 2 * item) % 3 != 0);
    let rows = pairs.map(|(user, item)| format!("u{user},i{item}\n"));
    format!("user_id,item_id\n{}", rows.collect::<String>())
}

/// The states of the nodes in the receipt of an erasure, which is certified.
fn states(caller: &Caller, id: &str) -> Vec<(String, String)> {
    let receipt = caller.must_get(&format!("/erasures/{id}/receipt")).text;
    let claims = claims(&receipt);
    assert!(claims["cluster"]["entry"].is_u64(), "{claims}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let nodes = claims["nodes"].as_array().expect("nodes").iter();
    nodes
        .map(|it| (text(&it["node"]), text(&it["state"])))
        .collect()
}

/// `recant verify` of some erasures' receipts, and of what else there is in the chain.
fn verify(cluster: &ClusterProcesses, caller: &Caller, ids: &[&str], settlements: &str) -> Command {
    let path = |name: &str| -> PathBuf { cluster.folder().join(name) };
    let receipts = ids
        .iter()
        .map(|id| caller.must_get(&format!("/erasures/{id}/receipt")).text);
    let receipts: Vec<_> = receipts.collect();
    fs::write(path("some.jws"), receipts.join("\n") + "\n" + settlements).expect("written");
    let keys = caller.must_get("/.well-known/jwks.json").text;
    fs::write(path("keys.json"), keys).expect("written");
    let mut command = recant();
    command
        .arg("verify")
        .arg(path("some.jws"))
        .arg("--jwks")
        .arg(path("keys.json"));
    command
}

/// The settlements, once there are so many.
fn settlements(caller: &Caller, count: usize) -> String {
    let began = Instant::now();
    loop {
        let text = caller.must_get("/receipts/settlements").text;
        if text.lines().count() == count {
            return text;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
        sleep(Duration::from_millis(20));
    }
}

/// The value of a metric of a node.
fn metric(caller: &Caller, name: &str) -> f64 {
    let metrics = caller.must_get("/metrics").text;
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value
        .and_then(|it| it.parse().ok())
        .unwrap_or_else(|| panic!("no {name}: {metrics}"))
}

fn until_metric(caller: &Caller, name: &str, is_right: impl Fn(f64) -> bool) {
    let began = Instant::now();
    while !is_right(metric(caller, name)) {
        assert!(
            began.elapsed() < PATIENCE,
            "{name} {}",
            metric(caller, name)
        );
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_receipt_is_open_while_a_node_is_away_and_closed_when_it_is_back_or_its_disk_is_destroyed() {
    let Some(mut cluster) = ClusterProcesses::start_of(&ratings()) else {
        return;
    };
    let away = cluster.follower();
    let name = cluster.nodes[away].name.clone();
    cluster.nodes[away].kill();
    let leader = cluster.leader();
    let caller = cluster.nodes[leader].caller();
    let first = caller.erase("user=u3");
    caller.until_erasure(&first, &["certified"]);
    until_metric(&caller, OWING, |owing| owing == 1.0);
    until_metric(&caller, OLDEST, |seconds| seconds > 0.0);
    // Another one leads, and says the same of what is erased then.
    let next = (0..3)
        .find(|at| *at != away && *at != leader)
        .expect("there are three");
    run(&mut cluster.nodes[leader].order(&["lead", &cluster.nodes[next].name]));
    let caller = cluster.nodes[next].caller();
    let second = caller.erase("user=u4&item=i2");
    caller.until_erasure(&second, &["certified"]);
    for id in [&first, &second] {
        for (node, state) in states(&caller, id) {
            let owes = node == name;
            assert_eq!(state, if owes { "owing" } else { "destroyed" }, "{node}");
        }
    }
    let ids = [first.as_str(), second.as_str()];
    let told = run(&mut verify(&cluster, &caller, &ids, ""));
    let open = format!("open: {name} owes it since");
    assert_eq!(told.matches(&open).count(), 2, "{told}");
    let told = refused(verify(&cluster, &caller, &ids, "").arg("--complete"));
    assert!(told.contains("2 of the receipts are open"), "{told}");
    assert_eq!(caller.must_get("/receipts/settlements").text, "");

    let settled = closes_when_it_is_back(&mut cluster, &caller, away, ids);
    closes_when_its_disk_is_destroyed(&mut cluster, next, away, &settled);
}

/// The node comes back, and a settlement, which is returned, says that it owes nothing any more.
fn closes_when_it_is_back(
    cluster: &mut ClusterProcesses,
    caller: &Caller,
    away: usize,
    ids: [&str; 2],
) -> String {
    let name = cluster.nodes[away].name.clone();
    cluster.nodes[away].start();
    cluster.nodes[away].until_ready();
    let settled = settlements(caller, 1);
    assert_eq!(claims(&settled)["node"], name.as_str());
    assert_eq!(claims(&settled)["how"], "caught_up");
    let told = run(verify(cluster, caller, &ids, &settled).arg("--complete"));
    assert_eq!(
        told.matches("closed: every node has carried it out")
            .count(),
        2,
        "{told}"
    );
    assert!(
        told.contains(&format!("{name} owes nothing up to entry")),
        "{told}"
    );
    // Any node tells, and shows that nobody owes anything any more.
    cluster.until_ready();
    assert_eq!(
        cluster.nodes[away]
            .caller()
            .must_get("/receipts/settlements")
            .text,
        settled
    );
    for node in &cluster.nodes {
        until_metric(&node.caller(), OWING, |owing| owing == 0.0);
        until_metric(&node.caller(), OLDEST, |seconds| seconds == 0.0);
    }
    settled
}

/// One that is lost owes until its disk is said to be destroyed.
fn closes_when_its_disk_is_destroyed(
    cluster: &mut ClusterProcesses,
    leader: usize,
    away: usize,
    settled: &str,
) {
    let (name, caller) = (
        cluster.nodes[away].name.clone(),
        cluster.nodes[leader].caller(),
    );
    cluster.nodes[away].kill();
    let third = caller.erase("user=u5");
    caller.until_erasure(&third, &["certified"]);
    run(&mut cluster.nodes[leader].order(&["remove", &name]));
    let told = run(&mut verify(cluster, &caller, &[&third], settled));
    let open = format!("open: {name} owes it since");
    assert!(told.contains(&open), "{told}");
    run(&mut cluster.nodes[leader].order(&["remove", &name, "--disk-destroyed"]));
    let settled = settlements(&caller, 2);
    let last = claims(settled.lines().last().expect("two"));
    assert_eq!(
        (&last["node"], &last["how"]),
        (&name.as_str().into(), &"attested".into())
    );
    let fourth = caller.erase("user=u6");
    caller.until_erasure(&fourth, &["certified"]);
    let states = states(&caller, &fourth);
    assert!(
        states
            .iter()
            .all(|(node, state)| *node != name && state == "destroyed"),
        "{states:?}"
    );
    assert_eq!(certified_receipts(&caller, cluster.folder()), 6);
}
