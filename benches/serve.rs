//! Recommendations over HTTP: `recant serve` as it is, asked by `wrk` from the same machine, beside
//! an empty JSON answer of the same server, and while interactions are erased.
//!
//! `cargo bench --bench serve [-- --seconds S --rounds R --rate E --dim D]`; needs `wrk` in the path.
//! With `RECANT_BENCH_FILE=pairs.csv.gz` on real data.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::InteractionMatrix;
use support::process::{Server, recant};
use support::table::{Table, median};

/// What `wrk` found in one run.
#[derive(Clone)]
struct Run {
    requests_per_second: f64,
    /// Milliseconds at p50, p99 and p99.9.
    percentiles: [f64; 3],
    /// Answers that are no 2xx, and broken connections.
    errors: u64,
}

fn main() {
    let (name, matrix) = support::matrix();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    support::stored::store(&data, &matrix);
    let dim = support::argument("--dim", 64.0).to_string();
    let training = [
        "train",
        "--dim",
        &dim,
        "--lambda",
        "0.01",
        "--max-sweeps",
        "40",
        "--data-dir",
    ];
    run(recant().args(training).arg(&data));
    let started = Instant::now();
    let server = Server::start(&data);
    let ready = started.elapsed().as_secs_f64();
    println!("{name}, d = {dim}: wrk -t1 -c16, k = 10, users at random; ready after {ready:.2} s");
    let script = folder.path().join("users.lua");
    fs::write(&script, lua(&matrix)).expect("room for the script");
    let ask = |path: &str| wrk(&server.address, &script, path);
    ask("/recommend?k=10&user=");
    let rounds = support::argument("--rounds", 3.0) as usize;
    let (mut empty, mut idle, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    let (mut erased, mut seconds) = (0, 0.0);
    for round in 0..rounds {
        // In turns, so that a slow moment of the machine meets all of them.
        empty.push(ask("/healthz?"));
        idle.push(ask("/recommend?k=10&user="));
        let stop = AtomicBool::new(false);
        let begun = Instant::now();
        thread::scope(|scope| {
            let eraser = scope.spawn(|| erase(&server, &matrix, round as u64, &stop));
            busy.push(ask("/recommend?k=10&user="));
            stop.store(true, Ordering::Release);
            erased += eraser.join().expect("erasures are accepted");
        });
        seconds += begun.elapsed().as_secs_f64();
    }
    let mut table = Table::new(&[
        "what",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "errors",
    ]);
    let rate = f64::from(erased) / seconds;
    for (what, runs) in [
        ("empty JSON", &empty),
        ("recommend", &idle),
        (&format!("recommend, {rate:.0} erasures/s"), &busy),
    ] {
        let middle = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of).collect());
        table.row(vec![
            what.to_owned(),
            format!("{:.0}", middle(&|run| run.requests_per_second)),
            format!("{:.2}", middle(&|run| run.percentiles[0])),
            format!("{:.2}", middle(&|run| run.percentiles[1])),
            format!("{:.2}", middle(&|run| run.percentiles[2])),
            runs.iter().map(|run| run.errors).sum::<u64>().to_string(),
        ]);
    }
    table.print();
    println!(
        "peak memory of the server: {:.0} MiB",
        peak_mib(server.id())
    );
}

fn run(command: &mut Command) {
    let output = command.stderr(Stdio::inherit()).output().expect("it runs");
    assert!(output.status.success(), "{command:?}");
}

/// The most memory that a process had, in MiB.
fn peak_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// Asks for a path with a random user behind it; the seed is fixed.
fn lua(matrix: &InteractionMatrix) -> String {
    let users = matrix.user_rows();
    let mut text = String::new();
    writeln!(text, "math.randomseed(7)").expect("memory");
    writeln!(text, "function init(args) path = args[1] end").expect("memory");
    writeln!(
        text,
        "function request() return wrk.format('GET', path .. 'user-' .. math.random(0, {})) end",
        users - 1
    )
    .expect("memory");
    text.push_str(
        "function done(summary, latency)\n\
         local e = summary.errors\n\
         io.write(string.format('RESULT %f %f %f %f %d\\n',\n\
         summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3,\n\
         latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,\n\
         e.connect + e.read + e.write + e.status + e.timeout))\nend\n",
    );
    text
}

fn wrk(address: &str, script: &Path, path: &str) -> Run {
    let seconds = support::argument("--seconds", 4.0);
    let output = Command::new("wrk")
        .args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
        .arg(script)
        .args([address, "--", path])
        .output()
        .expect("wrk is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let numbers = line.unwrap_or_else(|| panic!("wrk failed: {text}"));
    let numbers: Vec<f64> = numbers
        .split(' ')
        .map(|n| n.parse().expect("a number"))
        .collect();
    Run {
        requests_per_second: numbers[0],
        percentiles: [numbers[1], numbers[2], numbers[3]],
        errors: numbers[4] as u64,
    }
}

/// Erases pairs at an even rate until told to stop; how many were accepted.
fn erase(server: &Server, matrix: &InteractionMatrix, seed: u64, stop: &AtomicBool) -> u32 {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let pause = Duration::from_secs_f64(1.0 / support::argument("--rate", 100.0));
    let agent = ureq::Agent::new_with_defaults();
    let (mut next, mut accepted) = (Instant::now(), 0);
    while !stop.load(Ordering::Acquire) {
        let user = random.random_range(0..matrix.user_rows() as u32);
        let history = matrix.user(user);
        let item = history[random.random_range(0..history.len())].index;
        let target = format!(
            "{}/interactions?user=user-{user}&item=item-{item}",
            server.address
        );
        let answer = agent.delete(target).call().expect("an erasure is accepted");
        assert_eq!(answer.status(), 202);
        accepted += 1;
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    accepted
}
