//! Webhooks over kill -9: each state of every erasure is posted at least once, and of one erasure in order,
//! to endpoints that fail, hang and break off.
//!
//! `RECANT_KILLS=100 cargo test --test crash webhooks::` kills more often; `RECANT_KILL_SEED` varies it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::kill_support::load::{Client, work};
use crate::kill_support::process::{Caller, PATIENCE, Process};
use crate::webhook_receiver::{Receiver, Reply};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recant_receipt::WebhookPublicKey;

/// Kills in a usual run.
const KILLS: u64 = 10;

/// Acknowledged requests between two kills, at most.
const REQUESTS_MAX: u64 = 25;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

fn start(data: &Path, configuration: &Path) -> Process {
    let environment: Vec<(String, String)> = [
        ("RECANT__MODEL__DIM", "32"),
        ("RECANT__LEARNING__THREADS", "1"),
        ("RECANT__STORE__COMPACT_AFTER_ERASURES", "5"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let started = Process::start_configured(data, &environment, Some(configuration));
    let mut process = started.expect("it listens");
    assert!(process.is_ready(), "see {}", process.log.display());
    process
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < 2 * PATIENCE, "not {what} in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The ids of all erasures that the server knows.
fn erasures(caller: &Caller) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = caller
            .must_get(&format!("/erasures?limit=500{cursor}"))
            .json();
        for erasure in page["erasures"].as_array().expect("a list") {
            ids.insert(erasure["id"].as_str().expect("an id").to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

fn key(caller: &Caller, name: &str) -> WebhookPublicKey {
    let all = caller.must_get("/webhooks").json();
    let all = all["webhooks"].as_array().expect("a list").iter();
    let found = all.clone().find(|webhook| webhook["name"] == name);
    let text = found.expect("the endpoint")["public_key"]
        .as_str()
        .expect("a key");
    WebhookPublicKey::parse(text).expect("a public key")
}

/// That `receiver` was told everything of `ids`, in order, and nothing else, signed with `key`.
fn check(receiver: &Receiver, ids: &BTreeSet<String>, key: &WebhookPublicKey) {
    let states = receiver.states();
    let told: BTreeSet<String> = states.keys().cloned().collect();
    assert_eq!(&told, ids);
    for (id, mut states) in states {
        // The same may come again, but nothing after what comes later.
        assert!(states.is_sorted(), "{id}: {states:?}");
        states.dedup();
        assert_eq!(states, [0, 1, 2, 3], "{id}");
    }
    for received in receiver.received() {
        received.check_signature(key);
        let shown = String::from_utf8(received.body).expect("UTF-8");
        assert!(
            !shown.contains("usr-") && !shown.contains("itm-"),
            "{shown}"
        );
    }
}

#[test]
fn every_state_is_posted_in_order_over_kills() {
    let (kills, seed) = (number("RECANT_KILLS", KILLS), number("RECANT_KILL_SEED", 1));
    let folder = tempfile::tempdir().expect("a folder");
    let (data, configuration) = (
        folder.path().join("data"),
        folder.path().join("recant.toml"),
    );
    let mut moods = ChaCha8Rng::seed_from_u64(seed + 1);
    let flaky = Receiver::start(move |_| match moods.random_range(0..10) {
        0 => Reply::Status(500),
        1 => Reply::Cut,
        2 => {
            std::thread::sleep(Duration::from_millis(moods.random_range(0..60)));
            Reply::Status(200)
        }
        _ => Reply::Status(204),
    });
    let steady = Receiver::start(|_| Reply::Status(200));
    let sections = [flaky.section("flaky", ""), steady.section("steady", "")];
    std::fs::write(&configuration, sections.concat()).expect("written");
    let mut clients: Vec<Client> = (0..3)
        .map(|number| {
            Client::new(
                number,
                ChaCha8Rng::seed_from_u64(seed * 1_000 + number as u64),
            )
        })
        .collect();
    let mut moments = ChaCha8Rng::seed_from_u64(seed);
    let mut server = start(&data, &configuration);
    for _ in 0..kills {
        let requests = moments.random_range(5..REQUESTS_MAX);
        let more = moments.random_range(0..40);
        let later = Duration::from_micros(moments.random_range(0..5_000));
        work(&mut server, &mut clients, |server, load| {
            while load.acknowledged.load(Ordering::Relaxed) < requests && !server.has_ended() {
                std::thread::yield_now();
            }
            load.stop.store(true, Ordering::Relaxed);
        });
        // While it is being told: it may have less to tell, and then it is idle.
        let (told, moment) = (steady.count(), Instant::now());
        while steady.count() < told + more && moment.elapsed() < Duration::from_secs(3) {
            std::thread::yield_now();
        }
        std::thread::sleep(later);
        server.kill();
        server = start(&data, &configuration);
    }
    let caller = server.caller();
    caller.settle_as(&["certified"]);
    let ids = erasures(&caller);
    assert!(ids.len() as u64 > kills, "{} erasures are few", ids.len());
    for (receiver, name) in [(&flaky, "flaky"), (&steady, "steady")] {
        until("told of everything", || {
            let states = receiver.states();
            ids.iter()
                .all(|id| states.get(id).is_some_and(|states| states.contains(&3)))
        });
        check(receiver, &ids, &key(&caller, name));
    }
    let again = |receiver: &Receiver| receiver.count() - 4 * ids.len();
    println!(
        "{} erasures, {kills} kills; sent more than once: {} and {}",
        ids.len(),
        again(&flaky),
        again(&steady)
    );
    server.stop();
}
