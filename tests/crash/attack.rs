//! An attack on a running server, for as long as one likes: every call by every role, well-formed and
//! not, bytes that are no HTTP, connections left open in every state, beside callers who mean well and
//! note what they were answered; and now and then the server is killed and started again.
//!
//! Held all the time: no 5xx but 503, every error a problem that names nobody, nobody served without
//! the role, `/healthz` 200, no id and no secret in the log, callers who mean well not shut out.
//! Held whenever the attack pauses: what was acknowledged is there, what was erased is not, erasures go
//! on to `certified`, memory and open files are where they were.
//!
//! `cargo test` attacks for a few seconds. For an hour, with another seed:
//! `RECANT_ATTACK_SECONDS=3600 RECANT_ATTACK_SEED=2 cargo test --test crash attack:: -- --nocapture`

mod calls;
mod hostile;
mod keys;
mod vitals;
mod wire;

use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use self::calls::Call;
use self::hostile::{Hostile, Tally};
use self::vitals::Log;
use crate::kill_support::load::{Client, work_with};
use crate::kill_support::process::{Caller, PATIENCE, Process};

/// Callers who mean well, and those who do not.
const CLIENTS: usize = 2;
const HOSTILES: usize = 3;

/// How long an attack lasts without being told.
const SECONDS: u64 = 6;

/// Longest life of one server.
const LIFE_MAX: Duration = Duration::from_secs(300);

/// What a server may hold more than it held after a third of its life: the budget of bodies, and what
/// an allocator does not give back.
const GROWTH_MIB: u64 = 128;

/// Descriptors that may be open beside those of an idle server.
const FILES_MORE: u64 = 12;

/// Erasures of one caller that are looked at again and again.
const ERASURES_KEPT: usize = 300;

/// What survives the lives of servers.
struct Attack {
    clients: Vec<Client>,
    hostiles: Vec<ChaCha8Rng>,
    tally: Tally,
    log: Log,
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// `kill -9` amid everything.
    Killed,
    /// The attack pauses, everything is looked at, and the server is asked to stop.
    Stopped,
}

#[test]
fn an_attack_changes_nothing_of_what_is_promised() {
    let seconds = number("RECANT_ATTACK_SECONDS", SECONDS);
    let seed = number("RECANT_ATTACK_SEED", 1);
    println!("{seconds} seconds of attack, seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut seeded = || ChaCha8Rng::seed_from_u64(random.random());
    let mut attack = Attack {
        clients: (0..CLIENTS)
            .map(|number| Client::odd(number, seeded()))
            .collect(),
        hostiles: (0..HOSTILES).map(|_| seeded()).collect(),
        tally: Tally::default(),
        log: Log::default(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (data, configuration) = (
        folder.path().join("data"),
        keys::configuration(folder.path()),
    );
    let all = Duration::from_secs(seconds);
    let (started, mut lives) = (Instant::now(), 0);
    while started.elapsed() < all || lives < 2 {
        let longest = (all / 3).min(LIFE_MAX);
        let life = longest.mul_f64(random.random_range(0.3..1.0));
        let end = if lives % 2 == 0 {
            End::Stopped
        } else {
            End::Killed
        };
        println!("life {lives}: {life:.1?}, then {end:?}");
        attack.live(&data, &configuration, life, end);
        lives += 1;
    }
    let server = start(&data, &configuration);
    attack.check(&admin(&server));
    server.stop();
    attack.log.check(&data.with_extension("log"));
    let Tally {
        served,
        refused,
        silent,
    } = &attack.tally;
    println!("{lives} lives: {served:?} served, {refused:?} refused, {silent:?} without an answer");
    assert!(served.load(Ordering::Relaxed) > 0 && refused.load(Ordering::Relaxed) > 0);
}

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

fn start(data: &Path, configuration: &Path) -> Process {
    let mut server = Process::start_configured(data, &[], Some(configuration)).expect("it listens");
    assert!(server.is_ready(), "see {}", server.log.display());
    server
}

fn admin(server: &Process) -> Caller {
    server.caller_with(Some(&keys::secret("admin")))
}

impl Attack {
    /// One life of a server: attacked for `life`, ended, with everything checked before and after.
    fn live(&mut self, data: &Path, configuration: &Path, life: Duration, end: End) {
        let mut server = start(data, configuration);
        let caller = admin(&server);
        self.check(&caller);
        let files = vitals::open_files(&caller.must_get("/metrics").text);
        let calls = calls::calls(&caller.must_get("/openapi.json").json());
        let to: SocketAddrV4 = server.address().parse().expect("an address");
        let (stop, tally) = (AtomicBool::new(false), &self.tally);
        let log = &mut self.log;
        std::thread::scope(|scope| {
            let (ended, any_ended) = channel();
            for random in &mut self.hostiles {
                let (calls, stop, ended) = (&calls, &stop, Tells(ended.clone()));
                scope.spawn(move || strike(calls, to, random, tally, stop, ended));
            }
            drop(ended);
            let key = keys::secret("admin");
            work_with(
                &mut server,
                Some(&key),
                &mut self.clients,
                |server, load| {
                    let watch = Watch {
                        server,
                        caller: &caller,
                        log,
                    };
                    let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        watch.watch(life, &any_ended);
                        assert_eq!(
                            load.lost.load(Ordering::Relaxed),
                            0,
                            "a caller was shut out"
                        );
                    }));
                    stop.store(true, Ordering::Relaxed);
                    load.stop.store(true, Ordering::Relaxed);
                    if let Err(panic) = watched {
                        std::panic::resume_unwind(panic);
                    }
                    println!(
                        "  {} acknowledged",
                        load.acknowledged.load(Ordering::Relaxed)
                    );
                    assert!(load.acknowledged.load(Ordering::Relaxed) > 0);
                    if matches!(end, End::Killed) {
                        server.kill();
                    }
                },
            );
        });
        if matches!(end, End::Stopped) {
            self.check(&caller);
            until_closed(&caller, files);
            server.stop();
        }
        self.log.check(&data.with_extension("log"));
    }

    /// Holds the server to all that was acknowledged, at once and when nothing waits any more.
    fn check(&mut self, caller: &Caller) {
        for client in &mut self.clients {
            client.ledger.check_gone(caller);
            client.ledger.keep_newest(ERASURES_KEPT);
            client.ledger.check_erasures(caller);
        }
        caller.settle();
        for client in &mut self.clients {
            client.ledger.check_settled(caller);
        }
        // With the weights that attackers chose nothing need be certified; without them everything is.
        let everybody = json!({"users": calls::everybody()}).to_string();
        let erased = caller.send("POST", "/erasures", Some(everybody));
        let erased = erased.expect("the server runs");
        assert!([200, 202].contains(&erased.status), "{}", erased.text);
        caller.settle_as(&["certified"]);
    }
}

/// Tells of its end, however that comes.
struct Tells(Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// One caller that means no good. When it ends before its time, it has found something.
fn strike(
    calls: &[Call],
    to: SocketAddrV4,
    random: &mut ChaCha8Rng,
    tally: &Tally,
    stop: &AtomicBool,
    _ended: Tells,
) {
    let mut hostile = Hostile {
        calls,
        to,
        random,
        tally,
    };
    hostile.run(stop);
}

/// Waits until the server has closed what the attack left open.
fn until_closed(caller: &Caller, files: u64) {
    let started = Instant::now();
    loop {
        let open = vitals::open_files(&caller.must_get("/metrics").text);
        if open <= files + FILES_MORE {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{open} files, {files} before");
        std::thread::yield_now();
    }
}

/// What is looked at while the attack goes on.
struct Watch<'a> {
    server: &'a Process,
    caller: &'a Caller,
    log: &'a mut Log,
}

impl Watch<'_> {
    /// Looks again and again for as long as `life` lasts.
    fn watch(self, life: Duration, any_ended: &std::sync::mpsc::Receiver<()>) {
        let (started, mut warm) = (Instant::now(), None);
        while started.elapsed() < life {
            let pause = any_ended.recv_timeout(Duration::from_millis(50));
            assert_eq!(pause, Err(RecvTimeoutError::Timeout), "an attacker ended");
            let health = self.caller.get("/healthz").expect("it listens");
            assert_eq!(health.status, 200, "{}", health.text);
            self.log.check(&self.server.log);
            let now = vitals::resident_mib(self.server.pid());
            if started.elapsed() >= life / 3 {
                let warm = *warm.get_or_insert(now);
                assert!(now <= warm + GROWTH_MIB, "{warm} MiB became {now} MiB");
            }
        }
        let now = vitals::resident_mib(self.server.pid());
        println!(
            "  {} MiB after a third, {now} at the end",
            warm.unwrap_or(now)
        );
    }
}
