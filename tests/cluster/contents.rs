//! Nodes compare what they hold: one that lacks something is found, and made like the others, but nobody is made
//! like one that lacks something, whoever leads.

use std::path::Path;

use recant_store::{Store, StoreOptions, StoredInteraction, WriteBatch};
use serde_json::{Value, json};

use crate::support::process::until;
use crate::support::{Caller, ClusterOptions, ClusterProcesses};

const USERS: usize = 9;
const ITEMS: usize = 8;

/// Everybody with every item.
fn rows() -> Value {
    let rows = (0..USERS * ITEMS).map(|at| {
        let (user, item) = (at % USERS, at / USERS);
        json!({"user": format!("u{user}"), "item": format!("i{item}")})
    });
    json!({"interactions": rows.collect::<Vec<_>>()})
}

/// Takes one pair of u4 from the directory of a node that does not run, as a disk or a program might that nobody
/// notices: no request says so, no entry of the log.
fn lose_a_pair(directory: &Path) {
    let (store, row, mut held) = history_in(directory);
    assert_eq!(held.len(), ITEMS);
    held.pop();
    let mut batch = WriteBatch::default();
    batch.put_history(row, &held);
    store.commit(batch).wait().expect("durable");
}

/// How many pairs of u4 a node holds.
fn pairs(caller: &Caller) -> usize {
    let line = |line: &str| !line.is_empty();
    let exported = caller.must_get("/export?user=u4").text;
    exported.lines().filter(|it| line(it)).count()
}

/// The same in the directory of a node that does not run.
fn pairs_in(directory: &Path) -> usize {
    history_in(directory).2.len()
}

/// The store of a node that does not run, the row of u4 in it, and what that holds.
fn history_in(directory: &Path) -> (Store, u32, Vec<StoredInteraction>) {
    let store = Store::open(directory, &StoreOptions::default()).expect("a store");
    let users = store.users().expect("readable");
    let mut of_name = users.iter().filter(|(_, id)| id.expose() == "u4");
    let (row, _) = of_name.next().expect("u4");
    let held = store.history(*row).expect("readable");
    (store, *row, held)
}

/// A metric of a node.
fn metric(caller: &Caller, name: &str) -> f64 {
    let text = caller.must_get("/metrics").text;
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    values
        .find_map(|value| value.trim().parse().ok())
        .unwrap_or_default()
}

fn mismatches(caller: &Caller) -> f64 {
    metric(caller, "recant_cluster_digest_mismatch_total ")
}

/// A cluster of so many nodes with everybody's pairs in the histories of all.
fn start(nodes: usize) -> Option<ClusterProcesses> {
    let options = ClusterOptions {
        nodes,
        ..ClusterOptions::default()
    };
    let cluster = ClusterProcesses::start(&options)?;
    let callers = cluster.callers();
    callers[0].must("POST", "/interactions", Some(&rows()), 202);
    callers[0].settle();
    Some(cluster)
}

/// Waits until all nodes have said the same of one entry, as the leader tells.
fn until_alike(cluster: &ClusterProcesses) {
    until("equal digests", || {
        let url = format!("http://{}", cluster.nodes[0].peer_address);
        let mut command = cluster.nodes[0].command(&["cluster", "status", "--json", "--url", &url]);
        let told = command.output().expect("the binary starts").stdout;
        let Ok(status) = serde_json::from_slice::<Value>(&told) else {
            return false;
        };
        let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
        let digests: Vec<_> = nodes.iter().map(|node| &node["digest"]).collect();
        let first = digests.first().filter(|digest| !digest.is_null());
        nodes.len() == cluster.nodes.len()
            && first.is_some_and(|first| digests.iter().all(|it| it == first))
    });
}

#[test]
fn a_node_that_lacks_something_is_found_and_begins_anew_with_the_state_of_another() {
    let Some(mut cluster) = start(3) else {
        return;
    };
    until_alike(&cluster);
    let (leader, harmed) = (cluster.leader(), cluster.follower());
    cluster.nodes[harmed].stop();
    lose_a_pair(&cluster.nodes[harmed].data);
    cluster.nodes[harmed].start();
    let began_anew = |cluster: &ClusterProcesses| {
        let logged = cluster.nodes[harmed].logged();
        logged.contains("what this node held is destroyed")
    };
    until("it begins anew", || began_anew(&cluster));
    cluster.until_ready();
    until_alike(&cluster);
    let callers = cluster.callers();
    assert_eq!(callers.iter().map(pairs).collect::<Vec<_>>(), [ITEMS; 3]);
    let id = callers[harmed].erase("user=u2");
    callers[harmed].until_erasure(&id, &["certified"]);
    // Once, and nobody else.
    assert_eq!(mismatches(&callers[leader]), 1.0);
    assert_eq!(cluster.leader(), leader);
    cluster.nodes[harmed].stop();
    assert_eq!(pairs_in(&cluster.nodes[harmed].data), ITEMS);
}

/// Here the two others lack it; which of them are right, nobody can tell them.
#[test]
fn a_leader_that_differs_from_most_hands_over_and_makes_nobody_like_itself() {
    let Some(mut cluster) = start(3) else {
        return;
    };
    let leader = cluster.leader();
    let others: Vec<_> = (0..3).filter(|at| *at != leader).collect();
    for at in &others {
        cluster.nodes[*at].stop();
        lose_a_pair(&cluster.nodes[*at].data);
    }
    for at in &others {
        cluster.nodes[*at].start();
    }
    until("it begins anew", || {
        let logged = cluster.nodes[leader].logged();
        logged.contains("what this node held is destroyed")
    });
    cluster.until_ready();
    until_alike(&cluster);
    assert!(others.contains(&cluster.leader()));
    for at in &others {
        let logged = cluster.nodes[*at].logged();
        assert!(!logged.contains("is destroyed"), "{logged}");
    }
    let callers = cluster.callers();
    assert_eq!(pairs(&callers[0]), ITEMS - 1);
    let told = others.iter().map(|at| mismatches(&callers[*at]));
    assert!(told.sum::<f64>() >= 1.0, "nobody tells of it");
    for at in 0..3 {
        cluster.nodes[at].stop();
        assert_eq!(pairs_in(&cluster.nodes[at].data), ITEMS - 1);
    }
}

#[test]
fn of_two_nodes_that_differ_nobody_is_destroyed() {
    let Some(mut cluster) = start(2) else {
        return;
    };
    let (leader, harmed) = (cluster.leader(), cluster.follower());
    cluster.nodes[harmed].stop();
    lose_a_pair(&cluster.nodes[harmed].data);
    cluster.nodes[harmed].start();
    let caller = cluster.nodes[leader].caller();
    until("it is found", || mismatches(&caller) == 1.0);
    // It is put out, and the other goes on by itself.
    let states = || {
        let told = cluster.told(leader);
        let nodes = told["nodes"].as_array().cloned().unwrap_or_default();
        let name = cluster.nodes[harmed].name.as_str();
        let node = nodes.into_iter().find(|node| node["node"] == name);
        node.map(|node| node["state"].clone())
    };
    until("it is out", || {
        states().is_some_and(|state| state != "current")
    });
    let id = caller.erase("user=u2");
    caller.until_erasure(&id, &["certified"]);
    assert!(!cluster.nodes[harmed].caller().is_ready());
    assert_eq!(pairs(&caller), ITEMS);
    for at in [harmed, leader] {
        let logged = cluster.nodes[at].logged();
        assert!(!logged.contains("is destroyed"), "{logged}");
        cluster.nodes[at].stop();
    }
    assert_eq!(pairs_in(&cluster.nodes[harmed].data), ITEMS - 1);
}
