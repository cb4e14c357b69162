//! Until all nodes that answer readers have forgotten.

use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::accept::percentiles;
use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::data::Pairs;
use crate::report::Report;
use crate::support::argument;
use crate::support::table::{Times, shown};

/// Between two looks at an erasure.
const LOOK: Duration = Duration::from_millis(1);

/// How long an erasure may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// From the acknowledgement on, one erasure after the other, by looking at each through the node that leads.
pub fn everywhere(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let url = cluster.nodes[cluster.leader()].url();
    let caller = Caller::patient(PATIENCE);
    let mut times = Times::default();
    settle(&caller, &url, pairs);
    for _ in 0..argument("--requests", 500.0) as usize / 2 {
        let answer = caller.erase(&url, &pairs.take(), &[]).expect("an answer");
        let accepted = Instant::now();
        let id = answer.text("id").expect("an erasure");
        until_forgotten(&caller, &url, &id);
        times.push(accepted.elapsed());
    }
    let what = "accepted → forgotten on all nodes, p50 / p99";
    report.tell(what, percentiles(&times), "≤ 40 / 150 ms");
}

/// Waits until nothing is left to be forgotten.
fn settle(caller: &Caller, url: &str, pairs: &mut Pairs) {
    let answer = caller.erase(url, &pairs.take(), &[]).expect("an answer");
    until_forgotten(caller, url, &answer.text("id").expect("an erasure"));
}

fn until_forgotten(caller: &Caller, url: &str, id: &str) {
    let started = Instant::now();
    loop {
        let answer = caller.get(url, &format!("/erasures/{id}"));
        let status = answer.expect("an answer").text("status");
        if matches!(status.as_deref(), Some("forgotten" | "certified")) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{id} is {status:?}");
        thread::sleep(LOOK);
    }
}

/// An erasure while a node hangs, and the next one.
pub fn one_hung(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let (leader, hung) = (cluster.leader(), cluster.follower());
    let url = cluster.nodes[leader].url();
    cluster.nodes[hung].suspend();
    let (first, asked) = insisted(&url, &pairs.take());
    let (second, _) = insisted(&url, &pairs.take());
    cluster.nodes[hung].resume();
    let what = "sent → forgotten with one node hung, the first";
    report.tell(what, shown(first), "≤ 18 s, once");
    report.tell(
        "… requests until it was acknowledged",
        asked.to_string(),
        "1",
    );
    report.tell("… the next", shown(second), "–");
}

/// Until an erasure is forgotten, asked for again while it is refused; and how often it was asked for.
fn insisted(url: &str, pair: &(String, String)) -> (Duration, u32) {
    let caller = Caller::patient(PATIENCE);
    let key = Uuid::new_v4().to_string();
    let headers = [("Idempotency-Key", key.as_str()), ("Prefer", "wait=60")];
    let started = Instant::now();
    let mut asked = 0;
    loop {
        asked += 1;
        let answer = caller.erase(url, pair, &headers).expect("an answer");
        if answer.status == 200 {
            return (started.elapsed(), asked);
        }
        let body = answer.body;
        assert!(started.elapsed() < PATIENCE, "it is not forgotten: {body}");
        thread::sleep(LOOK);
    }
}
