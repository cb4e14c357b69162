//! Nodes that come back, and nodes that come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use recant_jetstream::testing::wait_for;

use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::data::{Pairs, run};
use crate::report::Report;
use crate::support::argument;
use crate::support::table::shown;

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node that was away while the log grew, from its start to its first list.
pub fn missed(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let missed = argument("--missed", 10_000.0) as u64;
    let away = cluster.follower();
    cluster.nodes[away].end();
    let leader = cluster.leader();
    let url = cluster.nodes[leader].url();
    let applied = || {
        let status = cluster.nodes[leader].status();
        status.and_then(|it| it["applied"].as_u64())
    };
    let end = applied().expect("a leader") + missed;
    let caller = Caller::patient(PATIENCE);
    let items = pairs.items();
    for (at, item) in items.iter().cycle().enumerate() {
        // One request at a time is an entry of its own.
        let row = (format!("late-{}", at / items.len()), item.clone());
        let answer = caller.add(&url, &[row]).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.body);
        if at % 100 == 0 && applied().is_some_and(|it| it >= end) {
            break;
        }
    }
    let started = Instant::now();
    cluster.nodes[away].start();
    cluster.until_ready();
    let what = format!("a node back after {missed} missed entries");
    report.tell(&what, shown(started.elapsed()), "≤ 10 s");
}

/// A node on an empty directory, from its start to its first list; it goes again.
pub fn join(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let held = fill(cluster, pairs);
    let mut node = cluster.another("d");
    let started = Instant::now();
    node.start();
    wait_for("the new node to be ready", || {
        assert!(!node.has_ended(), "it ended: {}", node.last_words());
        node.is_ready().then_some(())
    });
    let what = format!("a node joins, {held} pairs");
    report.tell(&what, shown(started.elapsed()), "≤ 15 s");
    node.end();
    let leader = &cluster.nodes[cluster.leader()];
    let url = leader.peer_url();
    run(&mut leader.command(&["cluster", "remove", "d", "--disk-destroyed", "--url", &url]));
}

/// Adds pairs of new users until there are as many as are asked for; how many there are.
fn fill(cluster: &Cluster, pairs: &Pairs) -> u64 {
    const ROWS: usize = 100;
    let wanted = argument("--join-pairs", 1e6) as u64;
    let url = cluster.nodes[cluster.leader()].url();
    let held = || {
        let answer = Caller::patient(PATIENCE).get(&url, "/model");
        let model: serde_json::Value =
            serde_json::from_str(&answer.expect("an answer").body).expect("JSON");
        model["interactions"].as_u64().expect("a number")
    };
    let missing = wanted.saturating_sub(held()) as usize / ROWS;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let caller = Caller::patient(PATIENCE);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > missing {
                        return;
                    }
                    let items = pairs.items().iter().cycle().skip(number * 37);
                    let rows = items
                        .take(ROWS)
                        .map(|item| (format!("new-{number}"), item.clone()));
                    let answer = caller.add(&url, &rows.collect::<Vec<_>>());
                    assert_eq!(answer.expect("an answer").status, 202);
                }
            });
        }
    });
    if missing == 0 {
        return held();
    }
    wait_for("the model to have learnt them", || {
        let held = held();
        (held >= wanted).then_some(held)
    })
}
