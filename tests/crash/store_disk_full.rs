//! A disk without room: nothing is acknowledged, and it goes on by itself when there is room again.
//!
//! A limit on the size of files stands in for the full disk: writes beyond it fail in the same
//! place, and unlike a disk it can be set and lifted for one process alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::{Answer, Server};
use recant_testkit::shell::through_shell;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

/// Interactions in one request.
const ITEMS: usize = 40;

/// Refusals to see of each kind of request before there is room again.
const REFUSALS: usize = 5;

/// Starts a server whose files may grow up to `blocks` of 512 bytes.
fn start_limited(data: &Path, blocks: u64) -> Server {
    Server::start_with(data, |command| {
        // The signal that announces the limit would end the process; ignored, and inherited so,
        // it leaves the error that a full disk gives, too.
        let script = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        *command = through_shell(command, &script);
    })
}

/// Whether limits can be set here as the test needs it.
fn limits_work() -> bool {
    let script = "trap '' XFSZ; ulimit -S -f 1 && ! head -c 4096 /dev/zero 2>/dev/null >\"$0\"";
    let file = tempfile::NamedTempFile::new().expect("a file");
    let status = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(file.path())
        .status();
    let works = status.is_ok_and(|status| status.success());
    if !works {
        println!("skipped: the size of files cannot be limited here");
    }
    works
}

fn lift_limit(server: &Server) {
    let pid = Pid::from_raw(server.pid() as i32).expect("a process");
    let limit = rustix::process::getrlimit(Resource::Fsize);
    let lifted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    prlimit(Some(pid), Resource::Fsize, lifted).expect("the limit was soft");
}

fn assert_no_space(answer: &Answer) {
    assert_eq!(answer.status, 507, "{}", answer.text);
    let kind = answer.header("content-type").expect("a content type");
    assert!(kind.starts_with("application/problem+json"), "{kind}");
    assert_eq!(answer.json()["status"], 507);
    assert_eq!(answer.json()["code"], "no_space");
}

/// What was asked and acknowledged: items by user, erasures by id.
#[derive(Debug, Default)]
struct Acknowledged {
    held: BTreeMap<String, usize>,
    erasures: Vec<String>,
    asked: usize,
}

impl Acknowledged {
    /// Adds a new user's interactions; whether that was acknowledged.
    fn add(&mut self, server: &Server) -> bool {
        let user = format!("user-{:05}", self.asked);
        self.asked += 1;
        let interactions: Vec<Value> = (0..ITEMS)
            .map(|item| json!({"user": user, "item": format!("item-{item}")}))
            .collect();
        let answer = server.post("/interactions", &json!({"interactions": interactions}));
        if answer.status == 507 {
            assert_no_space(&answer);
            return false;
        }
        assert_eq!(answer.json()["accepted"], ITEMS, "{}", answer.text);
        self.held.insert(user, ITEMS);
        true
    }

    /// Erases an interaction of the first user who has some; whether that was acknowledged.
    fn erase(&mut self, server: &Server) -> bool {
        let (user, left) = self
            .held
            .iter_mut()
            .find(|(_, left)| **left > 1)
            .expect("somebody");
        let item = *left - 1;
        let answer = server.delete(&format!("/interactions?user={user}&item=item-{item}"));
        if answer.status == 507 {
            assert_no_space(&answer);
            return false;
        }
        assert_eq!(answer.status, 202, "{}", answer.text);
        *left -= 1;
        self.erasures
            .push(answer.json()["id"].as_str().expect("an id").to_owned());
        true
    }

    /// Waits until the server is through with everything, and checks that it holds nothing else.
    fn check(&self, server: &Server) {
        for id in &self.erasures {
            server.until_erasure(id, &["forgotten", "certified"]);
        }
        let interactions: usize = self.held.values().sum();
        server.until("caught up", |server| {
            server.model()["interactions"].as_u64() >= Some(interactions as u64)
        });
        let model = server.model();
        assert_eq!(model["interactions"], interactions);
        assert_eq!(model["users"], self.held.len());
        for (user, left) in &self.held {
            let text = server.get(&format!("/export?user={user}")).text;
            assert_eq!(text.lines().count(), *left, "{user}");
        }
        let listed = server.get("/erasures?limit=500").json();
        let listed = listed["erasures"].as_array().expect("a list").len();
        assert_eq!(listed, self.erasures.len(), "one page shows all of them");
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room_again() {
    if !limits_work() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::default();
    // The database starts with half a mebibyte; this leaves it room for one and a half more.
    let server = start_limited(&data, 4_096);
    assert!(
        acknowledged.add(&server) && acknowledged.erase(&server),
        "there is room at first"
    );
    let (mut additions, mut erasures) = (0, 0);
    while additions < REFUSALS || erasures < REFUSALS {
        let refused = !acknowledged.add(&server);
        additions += usize::from(refused);
        // The first refusals of an addition may leave room enough for something smaller.
        erasures += usize::from(refused && !acknowledged.erase(&server));
        assert!(acknowledged.asked < 20_000, "the limit is never reached");
    }
    assert_eq!(server.get("/healthz").status, 200);
    lift_limit(&server);
    assert!(acknowledged.add(&server), "there is room again");
    assert!(acknowledged.erase(&server), "there is room again");
    acknowledged.check(&server);
    server.kill();
    let server = Server::start(&data);
    acknowledged.check(&server);
    assert_eq!(server.stop(), Some(0));
    acknowledged.check(&Server::start(&data));
}

#[test]
fn a_kill_while_the_disk_is_full_leaves_what_was_acknowledged() {
    if !limits_work() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::default();
    let server = start_limited(&data, 4_096);
    let mut refusals = 0;
    while refusals < REFUSALS {
        refusals += usize::from(!acknowledged.add(&server));
        assert!(acknowledged.asked < 20_000, "the limit is never reached");
    }
    server.kill();
    acknowledged.check(&Server::start(&data));
}
