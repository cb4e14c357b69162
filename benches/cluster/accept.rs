//! Until a request is acknowledged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_jetstream::testing::wait_for;

use crate::caller::{Answer, Caller};
use crate::cluster::Cluster;
use crate::data::Pairs;
use crate::load::{Answers, Load};
use crate::report::Report;
use crate::stopping::Stopping;
use crate::support::argument;
use crate::support::table::{Times, shown};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pairs in a request that adds some.
const ROWS: usize = 100;

/// Callers that erase at once.
const CALLERS: usize = 64;

/// Processor time, which says more than a rate where other things share the machine.
const PROCESSOR: &str = "… processor time for each, machine by machine";

/// Two percentiles of some times.
pub fn percentiles(times: &Times) -> String {
    format!(
        "{} / {}",
        shown(times.median()),
        shown(times.percentile(99))
    )
}

/// Erasures of a pair, one after the other, through the node that leads and through another.
pub fn one_caller(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let (leader, follower) = (cluster.leader(), cluster.follower());
    for (through, at, aim) in [
        ("the leader", leader, "≤ 8 / 40 ms"),
        ("another node", follower, "–"),
    ] {
        let url = cluster.nodes[at].url();
        let caller = Caller::patient(PATIENCE);
        let mut times = Times::default();
        let requests = argument("--requests", 500.0) as usize;
        let pause = Duration::from_secs_f64(argument("--pause-milliseconds", 0.0) / 1e3);
        for _ in 0..requests {
            thread::sleep(pause);
            let started = Instant::now();
            let answer = caller.erase(&url, &pairs.take(), &[]);
            assert_eq!(answer.expect("an answer").status, 202);
            times.push(started.elapsed());
        }
        let what = format!("erasure of a pair, 202, one caller through {through}, p50 / p99");
        report.tell(&what, percentiles(&times), aim);
    }
}

/// Erasures of 64 callers, over all nodes; then the same on a machine of its own.
pub fn many_callers(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let requests = CALLERS * (argument("--requests", 500.0) as usize / 4).max(10);
    let taken = pairs.take_many(requests);
    let load = Load::of(&cluster.nodes, || erasures(&cluster.urls(), &taken));
    let what = "erasures accepted, 64 callers";
    report.tell(what, load.per_second("/s"), "≥ 2 000/s");
    report.tell("… p50 / p99", percentiles(&load.times), "–");
    report.tell("… refused", load.refused.to_string(), "0");
    report.tell(PROCESSOR, load.processor(), "–");
    let taken = pairs.take_many(requests);
    let load = on_single(cluster, |urls| erasures(urls, &taken));
    report.tell("… a single machine", load.per_second("/s"), "–");
    report.tell(PROCESSOR, load.processor(), "–");
}

/// Pairs added in requests of 100 by 16 callers, over all nodes; then the same on a machine of its own.
pub fn additions(cluster: &mut Cluster, pairs: &mut Pairs, report: &mut Report) {
    let load = Load::of(&cluster.nodes, || adding(&cluster.urls(), pairs));
    let what = "pairs added in requests of 100, 16 callers";
    report.tell(what, load.per_second("/s"), "≥ 50 000/s");
    report.tell("… requests refused", load.refused.to_string(), "0");
    report.tell(PROCESSOR, load.processor(), "–");
    let load = on_single(cluster, |urls| adding(urls, pairs));
    report.tell("… a single machine", load.per_second("/s"), "–");
    report.tell(PROCESSOR, load.processor(), "–");
}

/// The same load on the machine of its own, with the nodes idle.
fn on_single(cluster: &mut Cluster, load: impl FnOnce(&[String]) -> Answers) -> Load {
    cluster.single.start();
    wait_for("the single one", || cluster.single.is_ready().then_some(()));
    let urls = [cluster.single.url()];
    let load = Load::of(std::slice::from_ref(&cluster.single), || load(&urls));
    cluster.single.end();
    load
}

/// Erases these, each caller through one of the machines.
fn erasures(urls: &[String], pairs: &[(String, String)]) -> Answers {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Answers::default()));
    thread::scope(|scope| {
        for number in 0..CALLERS {
            let url = &urls[number % urls.len()];
            let (next, answers) = (&next, &answers);
            scope.spawn(move || {
                let caller = Caller::patient(PATIENCE);
                while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let answer = caller.erase(url, pair, &[]);
                    note(answers, 1, answer, started);
                }
            });
        }
    });
    answers.into_inner().expect("answers")
}

/// Adds rows of chance for some seconds, each caller through one of the machines.
fn adding(urls: &[String], pairs: &Pairs) -> Answers {
    const CALLERS: u64 = 16;
    let seconds = argument("--seconds", 5.0);
    let (stop, answers) = (AtomicBool::new(false), Mutex::new(Answers::default()));
    thread::scope(|scope| {
        for number in 0..CALLERS {
            let url = &urls[number as usize % urls.len()];
            let (stop, answers) = (&stop, &answers);
            scope.spawn(move || {
                let caller = Caller::patient(PATIENCE);
                let mut random = ChaCha12Rng::seed_from_u64(number);
                while !stop.load(Ordering::Relaxed) {
                    let rows = some_rows(pairs, &mut random);
                    let started = Instant::now();
                    let answer = caller.add(url, &rows);
                    note(answers, ROWS, answer, started);
                }
            });
        }
        let _stopping = Stopping(&stop);
        thread::sleep(Duration::from_secs_f64(seconds));
    });
    answers.into_inner().expect("answers")
}

fn note(
    answers: &Mutex<Answers>,
    count: usize,
    answer: Result<Answer, ureq::Error>,
    started: Instant,
) {
    let took = started.elapsed();
    let mut answers = answers.lock().expect("answers");
    match answer {
        Ok(answer) if answer.status == 202 => {
            answers.accepted += count;
            answers.times.push(took);
        }
        _ => answers.refused += 1,
    }
}

/// Pairs of known users and items, most of which nobody added before.
fn some_rows(pairs: &Pairs, random: &mut ChaCha12Rng) -> Vec<(String, String)> {
    let one_of = |names: &[String], random: &mut ChaCha12Rng| {
        names[random.random_range(0..names.len())].clone()
    };
    (0..ROWS)
        .map(|_| {
            let user = one_of(pairs.users(), random);
            (user, one_of(pairs.items(), random))
        })
        .collect()
}
