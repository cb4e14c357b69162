//! What callers of the nodes that are left notice of a fault.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::data::Pairs;
use crate::fault::Fault;
use crate::report::Report;
use crate::stopping::Stopping;
use crate::support::argument;
use crate::support::table::{Times, shown};

/// How long a caller waits for an answer before it asks another node.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long writes may be away.
const AWAY_MAX: Duration = Duration::from_secs(90);

/// Between two requests that are refused.
const PAUSE: Duration = Duration::from_millis(20);

/// What was noticed.
struct Outage {
    /// From the fault to the first addition that was sent later and acknowledged.
    added: Duration,
    /// The same of an erasure.
    erased: Duration,
    reads: u64,
    refused: Vec<String>,
}

/// The leader's process is killed, several times.
pub fn leader_killed(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let kills = argument("--kills", 5.0) as usize;
    let outages = (0..kills).map(|_| {
        let fault = Fault::NodeKilled(cluster.leader());
        outage(cluster, pairs, fault)
    });
    let outages: Vec<_> = outages.collect();
    tell(report, "the leader's process is killed", &outages, "≤ 7 s");
}

/// The leader says nothing any more, but its connections stay, as of a host that is lost.
pub fn leader_hangs(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let fault = Fault::NodeHangs(cluster.leader());
    let outage = outage(cluster, pairs, fault);
    tell(report, "the leader's host is lost", &[outage], "≤ 14 s");
}

/// The server that leads the log is killed.
pub fn log_leader_killed(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let kills = (argument("--kills", 5.0) as usize).div_ceil(2);
    let outages = (0..kills).map(|_| {
        let fault = Fault::LogKilled(cluster.log_leader());
        outage(cluster, pairs, fault)
    });
    let outages: Vec<_> = outages.collect();
    tell(report, "the stream's leader is killed", &outages, "≤ 10 s");
}

fn tell(report: &mut Report, fault: &str, outages: &[Outage], aim: &str) {
    let times = |of: fn(&Outage) -> Duration| {
        let mut times = Times::default();
        outages.iter().map(of).for_each(|time| times.push(time));
        format!(
            "{} / {}",
            shown(times.median()),
            shown(times.percentile(99))
        )
    };
    let count = outages.len();
    let what = format!("additions back after {fault}, p50 / p99 of {count}");
    report.tell(&what, times(|it| it.added), aim);
    report.tell("… erasures", times(|it| it.erased), "–");
    let refused: Vec<_> = outages.iter().flat_map(|it| &it.refused).collect();
    let reads: u64 = outages.iter().map(|it| it.reads).sum();
    let figure = format!("{} of {reads}", refused.len());
    report.tell("… reads that other nodes refused meanwhile", figure, "0");
    for why in refused.iter().take(3) {
        println!("    {why}");
    }
}

/// Lets a fault happen while the nodes that are left are asked, and makes it good.
fn outage(cluster: &mut Cluster, pairs: &mut Pairs, fault: Fault) -> Outage {
    let left = urls_left(cluster, fault);
    let users = pairs.users().to_vec();
    let (added, erased) = (pairs.take_many(1), pairs.take_many(1));
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let refused = Mutex::new(Vec::new());
    let times = thread::scope(|scope| {
        for url in &left {
            let (users, stop, reads, refused) = (&users, &stop, &reads, &refused);
            scope.spawn(move || {
                let caller = Caller::patient(Duration::from_secs(5));
                for user in users.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                    let answer = caller.get(url, &format!("/recommend?user={user}"));
                    let why = match answer {
                        Ok(answer) if answer.status == 200 => continue,
                        Ok(answer) => answer.body,
                        Err(error) => error.to_string(),
                    };
                    let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
                    refused.push(why);
                    thread::sleep(PAUSE);
                }
            });
        }
        let stopping = Stopping(&stop);
        let begun = Instant::now();
        fault.strike(cluster);
        let (left, added) = (&left, &added);
        let adding = scope.spawn(move || until_taken(left, begun, |it, url| it.add(url, added)));
        let erasing = until_taken(left, begun, |it, url| it.erase(url, &erased[0], &[]));
        let times = (adding.join().expect("an addition"), erasing);
        drop(stopping);
        times
    });
    fault.mend(cluster);
    Outage {
        added: times.0,
        erased: times.1,
        reads: reads.into_inner(),
        refused: refused.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}

/// The nodes that a fault leaves.
fn urls_left(cluster: &Cluster, fault: Fault) -> Vec<String> {
    let gone = match fault {
        Fault::NodeKilled(at) | Fault::NodeHangs(at) | Fault::NodeEnds(at) => Some(at),
        Fault::LogKilled(_) | Fault::LogHangs(_) => None,
    };
    let nodes = cluster.nodes.iter().enumerate();
    let left = nodes.filter(|(at, _)| Some(*at) != gone);
    left.map(|(_, node)| node.url()).collect()
}

/// Asks one node after the other until a request is acknowledged; how long that is after the fault. Erasures
/// wait for leases longer than a caller does, so each is asked for in a thread of its own.
fn until_taken(
    urls: &[String],
    begun: Instant,
    ask: impl Fn(&Caller, &str) -> Result<crate::caller::Answer, ureq::Error> + Sync,
) -> Duration {
    let taken = Mutex::new(None);
    let caller = Caller::patient(PATIENCE);
    let patient = Caller::patient(AWAY_MAX);
    let take = |caller: &Caller, url: &str| {
        let is_taken = ask(caller, url).is_ok_and(|answer| answer.status == 202);
        if is_taken {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.get_or_insert(begun.elapsed());
        }
        is_taken
    };
    let is_over = || {
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(begun.elapsed() < AWAY_MAX, "writes do not come back");
        taken.is_some()
    };
    thread::scope(|scope| {
        for url in urls {
            let (take, is_over, patient) = (&take, &is_over, &patient);
            scope.spawn(move || {
                while !is_over() && !take(patient, url) {
                    thread::sleep(PAUSE);
                }
            });
        }
        for url in urls.iter().cycle() {
            if is_over() || take(&caller, url) {
                break;
            }
            thread::sleep(PAUSE);
        }
    });
    let taken = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
    taken.expect("it was taken")
}
