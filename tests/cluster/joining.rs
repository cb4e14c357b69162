//! Directories that become, or do not become, those of nodes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use recant_jetstream::testing::NatsOptions;
use recant_store::{Store, StoreOptions};
use recant_types::ErasureFilter;
use serde_json::json;

use crate::support::checks::{certified_receipts, check_settled_beside, claims, erase_all};
use crate::support::load::{Client, work};
use crate::support::process::{PATIENCE, refused, run, until};
use crate::support::wire::purge_stream;
use crate::support::{ClusterOptions, ClusterProcesses, check_alike};

/// A small set of ratings.
fn ratings() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..20 {
        for item in (0..12).filter(|item| (user + 2 * item) % 3 != 0) {
            csv.push_str(&format!("known-{user},film-{item}\n"));
        }
    }
    csv
}

/// Two nodes of that set, both ready; `None` where there is no nats-server.
fn two_with_data() -> Option<ClusterProcesses> {
    ClusterProcesses::start(&ClusterOptions {
        nodes: 2,
        data: Some(&ratings()),
        ..ClusterOptions::default()
    })
}

/// One server of the log, which is enough for directories that are refused.
fn one_server() -> ClusterOptions<'static> {
    ClusterOptions {
        nodes: 1,
        servers: 1,
        ..ClusterOptions::default()
    }
}

#[test]
fn an_empty_node_joins_a_cluster_that_was_made_of_data_under_load() {
    let Some(mut cluster) = two_with_data() else {
        return;
    };
    let known = cluster.nodes[1].caller().must_get("/model").json();
    assert_eq!(known["users"], 20, "{known}");
    cluster.add();
    let callers = cluster.callers();
    let mut clients: Vec<_> = (0..2).map(|at| Client::new(at, 7)).collect();
    let load = work(&callers, &mut clients, |load| {
        until_acknowledged(load, 50);
        cluster.nodes[2].start();
        cluster.nodes[2].until_ready();
        let so_far = load.acknowledged.load(Ordering::Relaxed);
        until_acknowledged(load, so_far + 50);
    });
    for client in &mut clients {
        client.finish(&callers, &load);
    }
    let counted = ["users", "interactions"].map(|of| known[of].as_u64().expect("a number"));
    check_settled_beside(&mut cluster, &mut clients, counted);
    let names: BTreeSet<_> = (0..20).map(|user| format!("known-{user}")).collect();
    check_alike(&callers, &names);
    erase_all(&callers[1], &clients);
    certified_receipts(&callers[2], cluster.folder());
}

fn until_acknowledged(load: &crate::support::load::Load, count: u64) {
    let began = Instant::now();
    while load.acknowledged.load(Ordering::Relaxed) < count {
        let is_over = load.stop.load(Ordering::Relaxed);
        assert!(
            !is_over && began.elapsed() < PATIENCE,
            "nothing is acknowledged"
        );
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_node_that_was_away_for_longer_than_the_log_reaches_is_wiped_and_gets_its_state() {
    let Some(mut cluster) = ClusterProcesses::start_of(&ratings()) else {
        return;
    };
    let away = cluster.follower();
    cluster.nodes[away].stop();
    let caller = cluster.nodes[cluster.leader()].caller();
    let added = json!({"interactions": [{"user": "late", "item": "film-1"}]});
    caller.must("POST", "/interactions", Some(&added), 202);
    let id = caller.erase("user=known-3");
    caller.until_erasure(&id, &["certified"]);
    // As the oldest entries do, only sooner.
    purge_stream(cluster.nats.server(0).address(), "RECANT_recant");
    cluster.nodes[away].start();
    cluster.nodes[away].until_ready();
    let logged = cluster.nodes[away].logged();
    assert!(logged.contains("no longer reaches back"), "{logged}");
    cluster.until_ready();
    caller.settle();
    // Its keys of what it owed are gone with all others, and that is written down.
    certified_receipts(&caller, cluster.folder());
    let settlements = caller.must_get("/receipts/settlements").text;
    let how: Vec<_> = settlements
        .lines()
        .map(|it| claims(it)["how"].clone())
        .collect();
    assert_eq!(how, ["transferred"]);
    let callers = cluster.callers();
    let names = (0..20).map(|user| format!("known-{user}"));
    check_alike(&callers, &names.chain([String::from("late")]).collect());
    for caller in &callers {
        let model = caller.must_get("/model").json();
        assert_eq!(model["users"], 20, "{model}");
    }
}

#[test]
fn directories_that_are_no_nodes_are_refused_with_a_sentence() {
    let Some(mut cluster) = ClusterProcesses::start(&one_server()) else {
        return;
    };
    // One that holds data and belongs to no cluster.
    let csv = cluster.folder().join("ratings.csv");
    fs::write(&csv, ratings()).expect("written");
    let node = cluster.add();
    let file = csv.to_str().expect("UTF-8").to_owned();
    run(&mut node.command_on_data(&["import", &file]));
    node.start();
    assert!(!node.until_ended().success());
    let logged = node.logged();
    assert!(logged.contains("belongs to no cluster"), "{logged}");
    // One of another cluster.
    let node = cluster.add();
    run(node
        .command_on_data(&["cluster", "init"])
        .env("RECANT__CLUSTER__NAME", "other"));
    node.start();
    assert!(!node.until_ended().success());
    let logged = node.logged();
    assert!(logged.contains("belongs to another cluster"), "{logged}");
    // Data are not made a cluster of by the way, and not before they have a model.
    let node = &cluster.nodes[1];
    let other = |arguments: &[&str]| {
        let mut command = node.command_on_data(arguments);
        command.env("RECANT__CLUSTER__NAME", "third");
        command
    };
    let told = refused(&mut other(&["cluster", "init"]));
    assert!(told.contains("--from-data"), "{told}");
    let told = refused(&mut other(&["cluster", "init", "--from-data"]));
    assert!(told.contains("recant train"), "{told}");
    // Neural models have no place in a cluster.
    for arguments in [["cluster", "init"].as_slice(), &["serve"]] {
        let mut command = cluster.nodes[2].command(arguments);
        command.arg("--data-dir").arg(cluster.folder().join("new"));
        command.env("RECANT__MODEL__KIND", "neumf");
        let told = refused(&mut command);
        assert!(told.to_lowercase().contains("neural"), "{told}");
    }
    // A member is no single machine, and nothing is imported into it by the way.
    cluster.nodes[0].stop();
    let node = &cluster.nodes[0];
    for arguments in [
        ["serve", "--listen", "127.0.0.1:0"].as_slice(),
        &["import", &file],
        &["train"],
    ] {
        let mut command = node.command_on_data(arguments);
        command.env("RECANT__CLUSTER__ROLE", "single");
        let told = refused(&mut command);
        assert!(told.contains("cluster"), "{arguments:?}: {told}");
    }
    let told = refused(&mut node.command_on_data(&["cluster", "init"]));
    assert!(told.contains("is a node of a cluster already"), "{told}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry").path();
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("copied");
        }
    }
}

#[test]
fn of_a_directory_that_was_copied_one_process_is_the_node() {
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions {
        nodes: 2,
        ..one_server()
    }) else {
        return;
    };
    let at = cluster.follower();
    cluster.nodes[at].stop();
    let (name, data) = (
        cluster.nodes[at].name.clone(),
        cluster.nodes[at].data.clone(),
    );
    let twin = cluster.add();
    copy(&data, &twin.data);
    twin.name = name.clone();
    twin.set("RECANT__CLUSTER__NODE", &name);
    cluster.nodes[at].start();
    cluster.nodes[at].until_ready();
    cluster.nodes[2].start();
    // Whichever of the two the leader takes for the node, the other one says so and answers nobody.
    let began = Instant::now();
    let refused = loop {
        let told = |at: &usize| {
            let readyz = cluster.nodes[*at].caller().readyz();
            readyz.is_some_and(|(status, said)| status == 503 && said["why"] == "replaced")
        };
        if let Some(refused) = [at, 2].into_iter().find(told) {
            break refused;
        }
        assert!(began.elapsed() < PATIENCE, "both go on");
        sleep(Duration::from_millis(20));
    };
    let kept = at + 2 - refused;
    cluster.nodes[kept].until_ready();
    assert!(!cluster.nodes[refused].caller().is_ready());
    let caller = cluster.nodes[kept].caller();
    let id = caller.erase("user=somebody");
    caller.until_erasure(&id, &["certified"]);
}

#[test]
fn servers_that_do_not_sync_are_refused_and_a_node_on_them_says_so() {
    let nats = NatsOptions {
        syncs_always: false,
    };
    let Some(mut cluster) = ClusterProcesses::servers(&one_server(), nats) else {
        return;
    };
    let node = cluster.add();
    let told = refused(&mut node.command_on_data(&["cluster", "init"]));
    assert!(told.contains("sync_interval"), "{told}");
    let mut trusting = node.command_on_data(&["cluster", "init"]);
    run(trusting.env("RECANT__CLUSTER__TRUST_LOG", "true"));
    node.start();
    node.until_waits_for(&["log_not_synced"]);
}

/// The keys of the log are replaced between a node's having the state and its joining: it was not given the next one.
#[test]
fn a_node_that_took_its_state_before_the_keys_were_replaced_takes_it_again() {
    let Some(mut cluster) = two_with_data() else {
        return;
    };
    let leader = cluster.leader();
    let node = cluster.add();
    node.start_armed(Some("generation_after_switch"));
    node.until_ended();
    let name = cluster.nodes[1 - leader].name.clone();
    let order = |arguments: &[&str]| run(&mut cluster.nodes[leader].order(arguments));
    order(&["remove", &name]);
    until("other keys", || {
        !order(&["status"]).contains("to be replaced")
    });
    cluster.nodes[leader].caller().erase("user=known-3");
    let node = &mut cluster.nodes[2];
    node.start();
    node.until_ready();
    let logged = node.logged();
    assert!(
        logged.contains("a key that this node does not have"),
        "{logged}"
    );
    assert!(logged.contains("it begins anew"), "{logged}");
    let left = [cluster.nodes[leader].caller(), cluster.nodes[2].caller()];
    let names: BTreeSet<_> = (0..20).map(|user| format!("known-{user}")).collect();
    check_alike(&left, &names);
}

/// A node ends when its model has forgotten something and no entry of the log says so yet; its directory goes on
/// by itself.
#[test]
fn a_directory_that_left_its_cluster_tells_what_the_cluster_had_not_got_to() {
    let Some(mut cluster) = ClusterProcesses::start(&one_server()) else {
        return;
    };
    let rows =
        (0..40).map(|at| json!({"user": format!("u{}", at % 8), "item": format!("i{}", at / 8)}));
    let body = json!({"interactions": rows.collect::<Vec<_>>()});
    let node = &mut cluster.nodes[0];
    node.caller()
        .must("POST", "/interactions", Some(&body), 202);
    node.caller().settle();
    node.stop();
    // The first version is that of a leader that begins, the second one forgets.
    node.start_armed(Some("publish_after_swap:2"));
    node.until_ready();
    // It may end before the answer is out.
    node.caller()
        .send("DELETE", "/interactions?user=u3", None, None);
    node.until_ended();
    let told = run(&mut node.command_on_data(&["cluster", "leave"]));
    assert!(told.contains("belongs to no cluster any more"), "{told}");
    {
        let store = Store::open(&node.data, &StoreOptions::default()).expect("a store");
        let all = ErasureFilter::default();
        let newest = store.erasures(&all, None, 1).expect("readable").remove(0);
        let header = store.model_header().expect("readable").expect("a model");
        assert!(newest.position <= header.learnt.0 && newest.forgotten_at.is_none());
    }
    node.role = "single";
    node.start();
    node.until_ready();
    let page = node.caller().must_get("/erasures?limit=500").json();
    let erasures = page["erasures"].as_array().expect("a list");
    assert_eq!(erasures.len(), 2, "{page}");
    for erasure in erasures {
        let id = erasure["id"].as_str().expect("an id");
        node.caller().until_erasure(id, &["certified"]);
    }
    let folder = cluster.folder().to_owned();
    let receipts = certified_receipts(&cluster.nodes[0].caller(), &folder);
    assert_eq!(receipts, 2);
}
