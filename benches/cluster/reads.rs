//! Lists that a node of a cluster makes, beside a machine of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use recant_jetstream::testing::wait_for;

use crate::caller::Reader;
use crate::cluster::Cluster;
use crate::data::Pairs;
use crate::node::Node;
use crate::report::Report;
use crate::stopping::Stopping;
use crate::support::argument;
use crate::support::table::median;

/// Connections that ask at once.
const READERS: usize = 16;

/// Rounds, in each of which both are asked in turns.
const ROUNDS: usize = 5;

/// A follower and a single machine with the same data, in turns. What is idle costs the other nothing but the
/// cluster's beats.
pub fn beside_single(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let node = cluster.nodes[cluster.follower()].address;
    cluster.single.start();
    wait_for("the single one", || cluster.single.is_ready().then_some(()));
    let single = cluster.single.address;
    let users = pairs.users();
    let (mut alone, mut among) = (Vec::new(), Vec::new());
    per_second(single, users);
    per_second(node, users);
    for _ in 0..ROUNDS {
        alone.push(per_second(single, users));
        among.push(per_second(node, users));
    }
    Node::end(&mut cluster.single);
    let ratios = alone.iter().zip(&among).map(|(alone, among)| among / alone);
    let ratio = 100.0 * median(ratios.collect());
    let (alone, among) = (median(alone), median(among));
    let what = "/recommend, 16 connections: a node beside a single one";
    let figure = format!("{ratio:.0} % ({among:.0}/s and {alone:.0}/s)");
    report.tell(what, figure, "≥ 95 %");
}

/// Answers a second.
fn per_second(address: SocketAddr, users: &[String]) -> f64 {
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..READERS {
            let (stop, answered) = (&stop, &answered);
            scope.spawn(move || {
                let mut reader = Reader::connect(address).expect("a connection");
                let mut users = users.iter().cycle().skip(number * users.len() / READERS);
                while !stop.load(Ordering::Relaxed) {
                    let user = users.next().expect("users");
                    assert_eq!(reader.recommend(user).expect("an answer"), 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stopping = Stopping(&stop);
        thread::sleep(Duration::from_secs_f64(argument("--seconds", 5.0) / 2.0));
    });
    answered.into_inner() as f64 / started.elapsed().as_secs_f64()
}
