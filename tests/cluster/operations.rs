//! What operators ask of a cluster: how it stands, that another node leads, that one goes for good, and that the
//! log is made anew after it went back or away.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::checks::certified_receipts;
use crate::support::node::Node;
use crate::support::process::{Caller, PATIENCE, Sent, refused, run, said};
use crate::support::wire::delete_stream;
use crate::support::{ClusterOptions, ClusterProcesses, check_alike};

/// Pairs of everybody with some items.
fn rows(users: Range<usize>) -> Value {
    let rows = users.flat_map(|user| {
        let items = (0..8).filter(move |item| (user + item) % 3 != 0);
        items.map(move |item| json!({"user": format!("u{user}"), "item": format!("i{item}")}))
    });
    json!({"interactions": rows.collect::<Vec<_>>()})
}

/// The status that a node gives the command line.
fn status(cluster: &ClusterProcesses, at: usize) -> Value {
    let mut command = cluster.nodes[at].order(&["status", "--json"]);
    serde_json::from_str(&run(&mut command)).expect("JSON")
}

fn exported(cluster: &ClusterProcesses, at: usize, user: &str) -> BTreeSet<String> {
    let path = format!("/export?user={user}");
    let text = cluster.nodes[at].caller().must_get(&path).text;
    let item = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["item"].as_str().map(str::to_owned)
    };
    text.lines().filter_map(item).collect()
}

fn names() -> BTreeSet<String> {
    (0..12).map(|user| format!("u{user}")).collect()
}

#[test]
fn operators_see_how_it_stands_and_say_who_leads_and_who_goes() {
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions::default()) else {
        return;
    };
    let callers = cluster.callers();
    callers[1].must("POST", "/interactions", Some(&rows(0..12)), 202);
    callers[2].settle();

    // Whichever node is asked, the leader tells.
    let leader = cluster.leader();
    for at in 0..3 {
        let status = status(&cluster, at);
        assert_eq!(status["role"], "leader", "{status}");
        assert_eq!(status["node"], cluster.nodes[leader].name, "{status}");
        assert_eq!(status["why"], Value::Null, "{status}");
        let nodes = status["nodes"].as_array().expect("nodes");
        let named: Vec<_> = nodes.iter().map(|node| &node["node"]).collect();
        assert_eq!(named, ["a", "b", "c"], "{status}");
        for node in nodes {
            assert_eq!(node["state"], "current", "{status}");
        }
    }

    // Another node leads, at a word.
    let successor = (leader + 1) % 3;
    let name = cluster.nodes[successor].name.clone();
    let told = run(&mut cluster.nodes[leader].order(&["lead", &name]));
    assert_eq!(told, format!("{name} leads\n"));
    cluster.until_ready();
    assert_eq!(cluster.leader(), successor);
    let told = refused(&mut cluster.nodes[leader].order(&["lead", &name]));
    assert!(told.contains("it leads already"), "{told}");
    let told = refused(&mut cluster.nodes[leader].order(&["lead", "nobody"]));
    assert!(told.contains("there is no such node"), "{told}");
    let id = callers[leader].erase("user=u3");
    callers[successor].until_erasure(&id, &["certified"]);
    assert!(exported(&cluster, leader, "u3").is_empty());

    // The one that leads is not taken out, and another one is, for good.
    let told = refused(&mut cluster.nodes[leader].order(&["remove", &name]));
    assert!(told.contains("let another node lead first"), "{told}");
    let gone = (leader + 2) % 3;
    let name = cluster.nodes[gone].name.clone();
    let told = run(&mut cluster.nodes[leader].order(&["remove", &name]));
    assert_eq!(told, format!("{name} is no node of the cluster any more\n"));
    cluster.nodes[gone].until_waits_for(&["removed"]);
    cluster.nodes[gone].kill();
    cluster.nodes[gone].start();
    cluster.nodes[gone].until_waits_for(&["removed"]);
    // What is erased from now on waits for nobody.
    let id = callers[leader].erase("user=u4");
    callers[leader].until_erasure(&id, &["certified"]);
    let status = status(&cluster, leader);
    let nodes = status["nodes"].as_array().expect("nodes").iter();
    let removed = nodes.filter(|node| node["node"] == name.as_str());
    let states: Vec<_> = removed.map(|node| &node["state"]).collect();
    // Its disk is not said to be destroyed.
    assert_eq!(states, ["owing"], "{status}");
    let left = [callers[leader].clone(), callers[successor].clone()];
    check_alike(&left, &names());
}

/// Whoever led when it was signed, and whichever node is asked: a receipt is one text, and every node publishes
/// the keys of all.
#[test]
fn receipts_and_keys_are_the_same_at_every_node_whoever_led() {
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions::default()) else {
        return;
    };
    let callers = cluster.callers();
    callers[0].must("POST", "/interactions", Some(&rows(0..12)), 202);
    let mut receipts = Vec::new();
    let first = cluster.leader();
    for (user, step) in [("u1", 1), ("u2", 2), ("u3", 0)] {
        let id = callers[0].erase(&format!("user={user}"));
        callers[0].until_erasure(&id, &["certified"]);
        receipts.push((
            id.clone(),
            callers[0].must_get(&format!("/erasures/{id}/receipt")).text,
        ));
        let leader = cluster.leader();
        let next = (first + step) % 3;
        if next != leader {
            let name = cluster.nodes[next].name.clone();
            run(&mut cluster.nodes[leader].order(&["lead", &name]));
            cluster.until_ready();
        }
    }
    // Three signed, each with a key of its own, which the header of a receipt names.
    let headers: BTreeSet<_> = receipts
        .iter()
        .map(|(_, it)| it.split('.').next())
        .collect();
    assert_eq!(headers.len(), 3, "{receipts:?}");
    let kids = |caller: &Caller| -> BTreeSet<String> {
        let set = caller.must_get("/.well-known/jwks.json").json();
        let keys = set["keys"].as_array().expect("keys").iter();
        keys.map(|key| key["kid"].as_str().expect("a name").to_owned())
            .collect()
    };
    for caller in &callers {
        for (id, receipt) in &receipts {
            let told = caller.must_get(&format!("/erasures/{id}/receipt")).text;
            assert_eq!(&told, receipt);
        }
        assert_eq!(kids(caller), kids(&callers[0]));
        assert_eq!(certified_receipts(caller, cluster.folder()), receipts.len());
    }
}

/// How a node answers an addition of 2 000 pairs: its status and its code.
fn add_many(caller: &Caller) -> (u16, Value) {
    let rows = (0..2_000).map(|at| {
        let (user, item) = (at % 40, at / 40);
        json!({"user": format!("u{user}"), "item": format!("i{item}")})
    });
    let body = json!({"interactions": rows.collect::<Vec<_>>()}).to_string();
    match caller.send("POST", "/interactions", Some(body), None) {
        Sent::Answered(answer) if answer.status == 202 => (202, Value::Null),
        Sent::Answered(answer) => (answer.status, answer.json()["code"].clone()),
        Sent::NotDone => (503, Value::Null),
        Sent::Open => panic!("the lead changed, or the answer got lost"),
    }
}

#[test]
fn a_full_log_refuses_additions_and_changes_no_leader_until_whoever_held_it_is_back() {
    let options = ClusterOptions {
        settings: &[("RECANT__CLUSTER__LOG_BYTES_MAX", "16777216")],
        ..ClusterOptions::default()
    };
    let Some(mut cluster) = ClusterProcesses::start(&options) else {
        return;
    };
    let leader = cluster.leader();
    let (away, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let callers = cluster.callers();
    callers[leader].must("POST", "/interactions", Some(&rows(0..12)), 202);
    cluster.nodes[away].stop();
    let term = callers[leader].must_get("/readyz").json()["term"].clone();
    let began = Instant::now();
    let refused = loop {
        let (status, code) = add_many(&callers[leader]);
        if status != 202 {
            break (status, code);
        }
        assert!(began.elapsed() < PATIENCE, "it never fills");
    };
    assert_eq!(refused, (507, json!("log_full")));
    // It stays so, for many entries of the leader beside, whichever node is asked; nobody else takes the lead.
    let applied = || status(&cluster, leader)["applied"].as_u64().expect("one");
    let until = applied() + 12;
    while applied() < until {
        assert_eq!(add_many(&callers[leader]), (507, json!("log_full")));
        assert_eq!(add_many(&callers[other]), (507, json!("log_full")));
    }
    let readyz = callers[leader].must_get("/readyz").json();
    assert_eq!(
        (&readyz["term"], &readyz["role"]),
        (&term, &json!("leader"))
    );
    let metrics = callers[leader].must_get("/metrics").text;
    assert!(metrics.contains("recant_cluster_log_full 1"), "{metrics}");
    // Some room is left for erasures.
    let id = callers[other].erase("user=u3");
    callers[leader].until_erasure(&id, &["forgotten", "certified"]);

    cluster.nodes[away].start();
    cluster.until_ready();
    let began = Instant::now();
    while add_many(&callers[leader]) != (202, Value::Null) {
        assert!(began.elapsed() < PATIENCE, "it is not trimmed");
    }
    let readyz = callers[leader].must_get("/readyz").json();
    assert_eq!(readyz["term"], term, "{readyz}");
    callers[0].settle();
    check_alike(&callers, &names());
}

/// What is acknowledged before the log is lost: two pairs of everybody, one of which is erased again.
fn acknowledge(cluster: &ClusterProcesses, users: Range<usize>) {
    let callers = cluster.callers();
    let first = users.start;
    callers[0].must("POST", "/interactions", Some(&rows(users)), 202);
    let id = callers[1].erase(&format!("user=u{first}"));
    callers[2].until_erasure(&id, &["certified"]);
}

/// Makes the log anew from the node that has the most, and starts all again.
fn reseed(cluster: &mut ClusterProcesses, reasons: &[&str]) {
    for node in &mut cluster.nodes {
        node.until_waits_for(reasons);
    }
    let mut nodes = cluster.nodes.iter_mut();
    let is_made_by = |node: &mut Node| {
        node.stop();
        let output = node.command_on_data(&["cluster", "reseed"]).output();
        let output = output.expect("the binary starts");
        let told = said(&output);
        node.start();
        assert!(
            output.status.success() || told.contains("reseed there"),
            "{told}"
        );
        output.status.success()
    };
    let made_by = nodes.position(is_made_by).expect("one that has the most");
    for at in (0..cluster.nodes.len()).filter(|at| *at != made_by) {
        cluster.nodes[at].stop();
        cluster.nodes[at].start();
    }
    cluster.until_ready();
}

/// Everybody's pairs are there, but of those who were erased, whichever node is asked.
fn everything_is_there(cluster: &ClusterProcesses, users: Range<usize>, erased: &[usize]) {
    for user in users {
        let held = exported(cluster, user % 3, &format!("u{user}"));
        let items = (0..8).filter(|item| (user + item) % 3 != 0);
        let items = items.map(|item| format!("i{item}"));
        let expected: BTreeSet<String> = if erased.contains(&user) {
            BTreeSet::new()
        } else {
            items.collect()
        };
        assert_eq!(held, expected, "u{user}");
    }
}

#[test]
fn the_log_is_made_anew_after_it_was_deleted() {
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions::default()) else {
        return;
    };
    acknowledge(&cluster, 0..6);
    let server = cluster.nats.server(0).address();
    delete_stream(server, "RECANT_recant");
    reseed(&mut cluster, &["log_went_back"]);
    everything_is_there(&cluster, 0..6, &[0]);
    acknowledge(&cluster, 6..12);
    everything_is_there(&cluster, 0..12, &[0, 6]);
    cluster.callers()[0].settle();
    check_alike(&cluster.callers(), &names());
}

#[test]
fn the_log_is_made_anew_after_an_older_one_was_put_back() {
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions::default()) else {
        return;
    };
    acknowledge(&cluster, 0..6);
    cluster.nats.kill_all();
    let count = cluster.nats.count();
    let copies: Vec<_> = (0..count)
        .map(|at| cluster.nats.server(at).copy_store())
        .collect();
    cluster.nats.start_again();
    cluster.until_ready();
    acknowledge(&cluster, 6..12);
    cluster.nats.kill_all();
    for (at, copy) in copies.iter().enumerate() {
        cluster.nats.server(at).put_back(copy);
    }
    cluster.nats.start_again();
    reseed(&mut cluster, &["log_went_back"]);
    everything_is_there(&cluster, 0..12, &[0, 6]);
    cluster.callers()[0].settle();
    check_alike(&cluster.callers(), &names());
}
