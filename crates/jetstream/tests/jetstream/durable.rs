//! That an acknowledged entry was synced, counted from outside.

use std::fs;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use recant_jetstream::testing::{NatsServers, wait_for};
use rustix::process::{Pid, Signal, kill_process};

use super::support::{new_log, payload};

const ENTRIES: u64 = 50;

/// Writes down the syncs of a process until it is ended.
struct Syncs {
    strace: Child,
    file: PathBuf,
}

impl Syncs {
    fn of(pid: u32, file: PathBuf) -> Self {
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-p"])
            .arg(pid.to_string())
            .arg("-o")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace");
        wait_for("strace", || is_traced(pid).then_some(()));
        Self { strace, file }
    }

    /// How many there were. Asked to end, strace writes down what it knows.
    fn count(mut self) -> u64 {
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::INT).expect("a signal");
        self.strace.wait().expect("strace to end");
        let lines = fs::read_to_string(&self.file).expect("what strace wrote");
        let is_sync = |line: &&str| line.contains("fsync(") || line.contains("fdatasync(");
        lines.lines().filter(is_sync).count() as u64
    }
}

impl Drop for Syncs {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Whether every thread of a process is traced.
fn is_traced(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let mut tracer = status
            .lines()
            .filter_map(|it| it.strip_prefix("TracerPid:"));
        tracer.any(|tracer| tracer.trim() != "0")
    })
}

fn may_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-qq", "-e", "trace=fsync", "true"])
        .output();
    traced.is_ok_and(|it| it.status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_syncs_for_every_acknowledgement() {
    if !may_trace() {
        let _ = writeln!(
            stderr(),
            "\n*** SKIPPED: there is no strace, or it may not trace ***\n"
        );
        return;
    }
    let Some(mut servers) = NatsServers::start(3) else {
        return;
    };
    let log = new_log(&servers).await;
    let folder = tempfile::tempdir().expect("a folder");
    let syncs: Vec<_> = (0..3)
        .map(|at| {
            let pid = servers.server(at).pid().expect("a server that runs");
            Syncs::of(pid, folder.path().join(at.to_string()))
        })
        .collect();
    for number in 0..ENTRIES {
        log.append(number, payload(1, number)).await.expect("in");
    }
    let mut counts: Vec<_> = syncs.into_iter().map(Syncs::count).collect();
    println!("{ENTRIES} acknowledgements: {counts:?} syncs of the three servers");
    counts.sort_unstable();
    assert!(counts[1] >= ENTRIES, "{counts:?} for {ENTRIES}");
}
