//! I4 alone: from the moment any node shows an erasure as forgotten, no answer that is begun later, of whichever
//! node, is of a version from before it. Readers ask every node without pause while pairs with a marked item are
//! erased and nodes are killed or stand still; of a node that stands still it is asked as well what others have
//! forgotten meanwhile, and it goes on with those questions before it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::process::{PATIENCE, Sent};
use crate::support::{Caller, ClusterOptions, ClusterProcesses};

/// People who are asked about.
const USERS: usize = 4;

/// Questions that wait at a node that stands still.
const WAITING: usize = 6;

/// What the readers share.
#[derive(Default)]
struct Seen {
    floor: AtomicU64,
    answers: AtomicU64,
    stop: AtomicBool,
}

impl Seen {
    /// Asks once, and compares the answer with what had been forgotten when it was begun.
    fn read(&self, node: &Caller, user: usize) {
        let floor = self.floor.load(Ordering::SeqCst);
        let path = format!("/recommend?user=u{user}&k=10");
        if let Sent::Answered(answer) = node.send("GET", &path, None, None) {
            assert_eq!(answer.status, 200, "{}", answer.text);
            let version = answer.json()["model_version"].as_u64();
            assert!(version >= Some(floor), "{version:?} after {floor}");
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks one node until told to stop.
    fn read_on(&self, node: &Caller) {
        for user in (0..USERS).cycle() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.read(node, user);
        }
    }

    /// Asks the nodes in turns until one of them shows an erasure as forgotten.
    fn until_forgotten(&self, nodes: &[&Caller], id: &str) {
        let began = Instant::now();
        for node in nodes.iter().cycle() {
            if let Sent::Answered(answer) = node.send("GET", &format!("/erasures/{id}"), None, None)
            {
                assert_eq!(answer.status, 200, "{}", answer.text);
                let shown = answer.json();
                if shown["forgotten_at"].is_string() {
                    let after = shown["model_version_after"].as_u64().expect("a version");
                    self.floor.fetch_max(after, Ordering::SeqCst);
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "never forgotten");
        }
    }
}

/// What happens to a node while something is erased.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    KillLeader,
    SuspendFollower,
    SuspendLeader,
}

fn add(user: usize) -> Value {
    json!({"interactions": [{"user": format!("u{user}"), "item": "marked"}]})
}

fn others() -> Value {
    let rows = (0..USERS).flat_map(|user| {
        let items = (0..6).filter(move |item| (user + item) % 2 == 0);
        items.map(move |item| json!({"user": format!("u{user}"), "item": format!("i{item}")}))
    });
    json!({"interactions": rows.collect::<Vec<_>>()})
}

#[test]
fn no_answer_is_of_a_version_from_before_what_was_shown_to_be_forgotten() {
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions::default()) else {
        return;
    };
    let callers = cluster.callers();
    callers[0].must("POST", "/interactions", Some(&others()), 202);
    callers[0].settle();
    let seen = Seen::default();
    scope(|readers| {
        for caller in &callers {
            let seen = &seen;
            readers.spawn(move || seen.read_on(caller));
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let faults = [
                Fault::None,
                Fault::KillLeader,
                Fault::SuspendFollower,
                Fault::SuspendLeader,
                Fault::None,
            ];
            for (user, fault) in (0..USERS).cycle().zip(faults) {
                cluster.until_ready();
                callers[0].must("POST", "/interactions", Some(&add(user)), 202);
                callers[0].settle();
                erase_under(&mut cluster, &callers, &seen, user, fault);
            }
        }));
        seen.stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    let answers = seen.answers.load(Ordering::Relaxed);
    assert!(answers > 100, "{answers} answers");
    println!("{answers} answers compared");
}

/// Erases the marked pair of somebody while a node suffers, and looks at it until others have forgotten.
fn erase_under(
    cluster: &mut ClusterProcesses,
    callers: &[Caller],
    seen: &Seen,
    user: usize,
    fault: Fault,
) {
    let suffers = match fault {
        Fault::None => None,
        Fault::KillLeader | Fault::SuspendLeader => Some(cluster.leader()),
        Fault::SuspendFollower => Some(cluster.follower()),
    };
    let well = callers.iter().enumerate();
    let well = well.filter(|(at, _)| Some(*at) != suffers);
    let well: Vec<_> = well.map(|(_, caller)| caller).collect();
    match (suffers, fault) {
        (None, _) => {}
        (Some(at), Fault::KillLeader) => cluster.nodes[at].kill(),
        (Some(at), _) => cluster.nodes[at].signal(Signal::STOP),
    }
    let id = well[0].erase(&format!("user=u{user}&item=marked"));
    seen.until_forgotten(&well, &id);
    match (suffers, fault) {
        (None, _) => {}
        (Some(at), Fault::KillLeader) => cluster.nodes[at].start(),
        (Some(at), _) => scope(|waiting| {
            for user in 0..WAITING {
                waiting.spawn(move || seen.read(&callers[at], user % USERS));
            }
            // Until the questions lie at the node that stands still.
            sleep(Duration::from_millis(200));
            cluster.nodes[at].signal(Signal::CONT);
        }),
    }
}
