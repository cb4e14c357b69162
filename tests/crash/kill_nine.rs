//! kill -9, at random moments and at every named failpoint, under mixed load. Afterwards every
//! acknowledged addition is there, everything whose erasure was acknowledged is gone and stays gone,
//! no state of an erasure was skipped or taken back, the model counts what the store holds, and
//! the chain of receipts is whole.
//!
//! `cargo test` does a few dozen kills. `RECANT_KILLS=500 cargo test --test crash kill_nine::` does more;
//! `RECANT_KILL_SEED` varies them.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::kill_support::ledger::Held;
use crate::kill_support::load::{Client, work};
use crate::kill_support::process::{Caller, Process, recant};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recant_store::FAILPOINTS;

/// Callers at the same time.
const CLIENTS: usize = 4;

/// Kills at random moments in a usual run.
const KILLS: usize = 24;

/// Acknowledged requests between two kills, at most.
const REQUESTS_MAX: u64 = 60;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// A server's settings: a small model, and frequent compaction, so that kills hit it too.
fn environment() -> Vec<(String, String)> {
    [
        ("RECANT__MODEL__DIM", "32"),
        ("RECANT__LEARNING__THREADS", "1"),
        ("RECANT__STORE__COMPACT_AFTER_ERASURES", "5"),
        ("RECANT__STORE__COMPACT_AFTER_SECONDS", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn clients(seed: u64) -> Vec<Client> {
    (0..CLIENTS)
        .map(|number| {
            Client::new(
                number,
                ChaCha8Rng::seed_from_u64(seed * 1_000 + number as u64),
            )
        })
        .collect()
}

/// Opens the store again and checks everything that was acknowledged.
fn check(data: &Path, clients: &mut [Client]) -> Process {
    let server = Process::start_ready(data, &environment());
    let caller = server.caller();
    for client in &mut *clients {
        client.ledger.tell(String::from("start"));
        client.ledger.check_gone(&caller);
        client.ledger.check_said(&caller);
        client.ledger.check_erasures(&caller);
    }
    caller.settle();
    let (mut users, mut pairs) = (0, 0);
    for client in clients {
        let (of_client, pairs_of_client) = client.ledger.check_settled(&caller);
        client.ledger.check_erasures(&caller);
        users += of_client;
        pairs += pairs_of_client;
    }
    let model = caller.must_get("/model").json();
    assert_eq!(model["users"], users, "{model}");
    assert_eq!(model["interactions"], pairs, "{model}");
    server
}

/// Waits until every erasure is certified, and verifies the whole chain of receipts.
fn check_receipts(server: &Process, folder: &Path) {
    let caller = server.caller();
    caller.settle();
    let (mut all, mut cursor) = (String::new(), String::new());
    loop {
        let page = caller
            .must_get(&format!("/erasures?limit=500{cursor}"))
            .json();
        for erasure in page["erasures"].as_array().expect("a list") {
            let id = erasure["id"].as_str().expect("an id");
            all.push_str(&receipt(&caller, id));
            all.push('\n');
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let (receipts, keys) = (folder.join("receipts"), folder.join("jwks.json"));
    std::fs::write(&receipts, all).expect("written");
    std::fs::write(&keys, caller.must_get("/.well-known/jwks.json").text).expect("written");
    let verified = recant()
        .arg("verify")
        .arg(&receipts)
        .arg("--jwks")
        .arg(&keys)
        .arg("--complete")
        .output()
        .expect("the binary starts");
    assert!(verified.status.success(), "{verified:?}");
}

/// The receipt of an erasure, waited for.
fn receipt(caller: &Caller, id: &str) -> String {
    let started = Instant::now();
    loop {
        let answer = caller.get(&format!("/erasures/{id}/receipt"));
        let answer = answer.expect("the server runs");
        if answer.status == 200 {
            return answer.text;
        }
        assert_eq!(answer.status, 409, "{}", answer.text);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "not certified in time"
        );
    }
}

#[test]
fn what_was_acknowledged_survives_kills_at_random_moments() {
    let kills = number("RECANT_KILLS", KILLS as u64);
    let seed = number("RECANT_KILL_SEED", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut clients = clients(seed);
    let mut moments = ChaCha8Rng::seed_from_u64(seed);
    let mut server = check(&data, &mut clients);
    for kill in 0..kills {
        let after = moments.random_range(0..REQUESTS_MAX);
        let later = Duration::from_micros(moments.random_range(0..3_000));
        work(&mut server, &mut clients, |server, load| {
            while load.acknowledged.load(Ordering::Relaxed) < after && !server.has_ended() {
                std::thread::yield_now();
            }
            // Not at the same point of a request each time.
            std::thread::sleep(later);
            server.kill();
        });
        server = check(&data, &mut clients);
        if kill % 100 == 99 {
            println!("{} kills", kill + 1);
        }
    }
    check_receipts(&server, folder.path());
    server.stop();
}

#[test]
fn what_was_acknowledged_survives_an_end_in_every_crash_window() {
    let seed = number("RECANT_KILL_SEED", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut missed = Vec::new();
    // The others are those of a node of a cluster, for tests of the store and of nodes.
    let is_passed = |name: &&&str| !["wipe_", "transfer_"].iter().any(|of| name.starts_with(of));
    for (number, name) in FAILPOINTS.iter().filter(is_passed).enumerate() {
        let data = folder.path().join(format!("data-{number}"));
        let mut clients = clients(seed + number as u64);
        let mut died = end_at_first_start(&data, name);
        let mut server = check(&data, &mut clients);
        if !died {
            put_load(&mut server, &mut clients);
            server.kill();
            check(&data, &mut clients).stop();
            died = end_in_command(&data, name) || end_in_import(&data, name, &mut clients[0]);
            server = check(&data, &mut clients);
        }
        server.stop();
        if !died {
            died = end_under_load(&data, &format!("{name}:{}", 1 + number % 3), &mut clients);
        }
        if !died {
            missed.push(*name);
        }
        check(&data, &mut clients).stop();
        std::fs::remove_dir_all(&data).expect("removed");
    }
    assert!(missed.is_empty(), "never passed: {missed:?}");
}

fn armed(place: &str) -> Vec<(String, String)> {
    let mut environment = environment();
    environment.push((String::from("RECANT_CRASH_AT"), place.to_owned()));
    environment
}

/// Starts a server that makes its store, for windows that are passed only then; whether it died.
fn end_at_first_start(data: &Path, name: &str) -> bool {
    let of_making = ["ring_", "generation_"];
    if !of_making.iter().any(|start| name.starts_with(start)) {
        return false;
    }
    match Process::start(data, &armed(name)) {
        Some(mut server) => !server.is_ready(),
        None => true,
    }
}

/// Lets the clients work for a while.
fn put_load(server: &mut Process, clients: &mut [Client]) {
    work(server, clients, |_, load| {
        while load.acknowledged.load(Ordering::Relaxed) < 30 {
            std::thread::yield_now();
        }
    });
}

/// Runs the command that passes a window, if one does; whether it died. Whatever it does to the
/// files, it changes nothing that is held.
fn end_in_command(data: &Path, name: &str) -> bool {
    let backup = data.with_extension("backup");
    let run = |arguments: &[&str], environment: Vec<(String, String)>| {
        let mut command = recant();
        command.args(arguments).arg("--data-dir").arg(data);
        let output = command
            .envs(environment)
            .output()
            .expect("the binary starts");
        assert_ne!(output.status.code(), Some(2), "{output:?}");
        output.status
    };
    let file = backup.to_str().expect("UTF-8");
    let ended = if name.starts_with("rotate_") {
        run(&["keys", "rotate"], armed(name))
    } else if name.starts_with("restore_") {
        let copied = run(&["backup", "--to", file], environment());
        assert!(copied.success(), "{copied}");
        run(&["restore", file], armed(name))
    } else {
        return false;
    };
    ended.code().is_none()
}

/// Imports new users; whether the import died. All of it is there afterwards, or nothing.
fn end_in_import(data: &Path, name: &str, client: &mut Client) -> bool {
    if !["ring_", "generation_"]
        .iter()
        .any(|start| name.starts_with(start))
    {
        return false;
    }
    let mut csv = String::from("user_id,item_id\n");
    for number in 0..40 {
        let user = format!("usr-{}-new-{number}", client.number);
        csv.push_str(&format!("{user},itm-new\n"));
        let pair = (user, String::from("itm-new"));
        client.ledger.set(&pair, Held::Unknown);
    }
    let file = data.with_extension("csv");
    std::fs::write(&file, csv).expect("written");
    let imported = recant()
        .arg("import")
        .arg(&file)
        .arg("--data-dir")
        .arg(data)
        .envs(armed(name))
        .output()
        .expect("the binary starts");
    imported.status.code().is_none()
}

/// Works on a server until it ends by itself; false when it did not within reason.
fn end_under_load(data: &Path, place: &str, clients: &mut [Client]) -> bool {
    let Some(mut server) = Process::start(data, &armed(place)) else {
        return true;
    };
    if !server.is_ready() {
        return true;
    }
    // In bursts: some windows are passed only while nothing waits.
    for _ in 0..20 {
        work(&mut server, clients, |server, load| {
            while load.acknowledged.load(Ordering::Relaxed) < 12 && !server.has_ended() {
                std::thread::yield_now();
            }
        });
        let pause = Instant::now();
        while pause.elapsed() < Duration::from_millis(700) {
            if server.has_ended() {
                return true;
            }
            std::thread::yield_now();
        }
    }
    false
}
