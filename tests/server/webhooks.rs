//! Webhooks: what is posted, to whom, in which order, and what happens when nobody takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::{Server, import_and_train};
use crate::webhook_receiver::{Receiver, Reply, STATES};
use recant_receipt::WebhookPublicKey;
use serde_json::{Value, json};

/// In every id that is sent; nothing else contains it.
const NEEDLE: &str = "n33dle";

struct Place {
    _folder: tempfile::TempDir,
    data: PathBuf,
    configuration: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (data, configuration) = (
            folder.path().join("data"),
            folder.path().join("recant.toml"),
        );
        let mut csv = String::from("user_id,item_id\n");
        for user in 0..12 {
            for item in 0..8 {
                if (user * 3 + item * 5) % 4 < 2 {
                    csv.push_str(&format!("{NEEDLE}-u{user},{NEEDLE}-i{item}\n"));
                }
            }
        }
        import_and_train(&data, &csv, &["--dim", "4"]);
        Self {
            _folder: folder,
            data,
            configuration,
        }
    }

    fn configured(&self, sections: &[String]) -> &Path {
        std::fs::write(&self.configuration, sections.concat()).expect("written");
        &self.configuration
    }

    fn start(&self, sections: &[String]) -> Server {
        let configuration = self.configured(sections);
        Server::start_with(&self.data, |command| {
            command.arg("--config").arg(configuration);
            // Nobody is there: whoever went by it would reach nobody.
            command.env("http_proxy", "http://127.0.0.1:9");
            command.env("HTTP_PROXY", "http://127.0.0.1:9");
            command.env("ALL_PROXY", "http://127.0.0.1:9");
        })
    }
}

fn erase(server: &Server, query: &str) -> String {
    let answer = server.delete(&format!("/interactions?{query}"));
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// What `GET /webhooks` says of the endpoint of this name.
fn shown(server: &Server, name: &str) -> Value {
    let all = server.get("/webhooks").json();
    let all = all["webhooks"].as_array().expect("a list").clone();
    let found = all.into_iter().find(|webhook| webhook["name"] == name);
    found.unwrap_or_else(|| panic!("no endpoint {name}"))
}

fn key(server: &Server, name: &str) -> WebhookPublicKey {
    let shown = shown(server, name);
    WebhookPublicKey::parse(shown["public_key"].as_str().expect("a key")).expect("a public key")
}

/// Waits until all states of these erasures have come.
fn until_told(server: &Server, receiver: &Receiver, ids: &[String]) {
    server.until("told of everything", |_| {
        let states = receiver.states();
        ids.iter()
            .all(|id| states.get(id).is_some_and(|states| states.contains(&3)))
    });
}

/// How often deliveries to an endpoint ended so.
fn count(server: &Server, name: &str, outcome: &str) -> u64 {
    let series =
        format!("recant_webhook_deliveries_total{{endpoint=\"{name}\",outcome=\"{outcome}\"}}");
    let metrics = server.get("/metrics").text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.map_or(0, |value| value.trim().parse().expect("a number"))
}

/// The first of `fields` as long as the state with this place knows them.
fn expected_data(erasure: &Value, state: usize) -> Value {
    let since = [
        ("erased_at", 1),
        ("model_version_before", 1),
        ("forgotten_at", 2),
        ("model_version_after", 2),
        ("certified_at", 3),
        ("certified_version", 3),
        ("certified_position", 3),
        ("certificate", 3),
    ];
    let mut expected = erasure.clone();
    expected["status"] = json!(STATES[state]);
    for (field, from) in since {
        if state < from {
            expected[field] = Value::Null;
        }
    }
    if state == 3 {
        let id = erasure["id"].as_str().expect("an id");
        expected["receipt"] = json!(format!("/erasures/{id}/receipt"));
    }
    expected
}

#[test]
fn each_state_is_posted_signed_in_order_and_about_nobody() {
    let place = Place::new();
    let (shop, desk) = (
        Receiver::start(|_| Reply::Status(204)),
        Receiver::start(|_| Reply::Status(200)),
    );
    let some = "states = [\"certified\", \"erased\"]";
    let server = place.start(&[shop.section("shop", ""), desk.section("desk", some)]);
    let (shops, desks) = (key(&server, "shop"), key(&server, "desk"));
    assert_ne!(shops, desks);
    let ids = [
        erase(&server, &format!("user={NEEDLE}-u1")),
        erase(&server, &format!("user={NEEDLE}-u2&item={NEEDLE}-i1")),
        erase(&server, &format!("item={NEEDLE}-i2")),
        erase(&server, &format!("user={NEEDLE}-nobody")),
    ];
    until_told(&server, &shop, &ids);
    until_told(&server, &desk, &ids);
    let times = ["accepted_at", "erased_at", "forgotten_at", "certified_at"];
    for received in shop.received() {
        assert_eq!(received.path, "/hooks/s3cret");
        assert_eq!(received.header("content-type"), "application/json");
        received.check_signature(&shops);
        let (id, state) = received.about();
        let erasure = server.get(&format!("/erasures/{id}")).json();
        let body = received.json();
        assert_eq!(body["type"], format!("erasure.{}", STATES[state]));
        assert_eq!(body["timestamp"], erasure[times[state]]);
        assert_eq!(body["data"], expected_data(&erasure, state));
        // Whom it is about, in no form, anywhere.
        let whole = format!("{:?}{}", received.headers, body).to_lowercase();
        assert!(!whole.contains(NEEDLE), "{whole}");
    }
    for id in &ids {
        assert_eq!(shop.states()[id], [0, 1, 2, 3]);
        assert_eq!(desk.states()[id], [1, 3]);
    }
    desk.received()
        .iter()
        .for_each(|it| it.check_signature(&desks));
    server.until("nothing to tell", |server| {
        ["shop", "desk"]
            .iter()
            .all(|name| shown(server, name)["waiting"] == 0)
    });
    assert_eq!(
        shown(&server, "desk")["states"],
        json!(["erased", "certified"])
    );
    assert_eq!(count(&server, "shop", "delivered"), 16);
    let shops = shown(&server, "shop");
    assert!(shops["delivered_at"].is_string(), "{shops}");
    assert_eq!(shops["last_failure"], Value::Null);
    assert_eq!(
        (&shops["given_up"], &shops["dropped"]),
        (&json!(0), &json!(0))
    );
    // What is behind the host may be a secret.
    let said = format!("{}{}", server.logged(), server.get("/webhooks").text);
    assert!(
        said.contains("127.0.0.1") && !said.contains("s3cret"),
        "{said}"
    );
}

#[test]
fn states_are_posted_at_whole_multiples_of_the_interval() {
    let place = Place::new();
    let receiver = Receiver::start(|_| Reply::Status(200));
    let section = receiver
        .section("shop", "")
        .replace("every_seconds = 1", "every_seconds = 3");
    let server = place.start(&[section]);
    let id = erase(&server, &format!("user={NEEDLE}-u1"));
    until_told(&server, &receiver, std::slice::from_ref(&id));
    // The id begins with the time of its request, in milliseconds.
    let requested = i64::from_str_radix(&id.replace('-', "")[..12], 16).expect("a time");
    let next_look = (requested / 3_000 + 1) * 3;
    for received in receiver.received() {
        let sent: i64 = received
            .header("webhook-timestamp")
            .parse()
            .expect("seconds");
        assert!(
            sent >= next_look,
            "sent at {sent}, requested at {requested}"
        );
    }
}

#[test]
fn a_message_that_fails_is_sent_again_and_holds_up_no_other() {
    let place = Place::new();
    let receiver = Receiver::start(|_| Reply::Status(200));
    let server = place.start(&[receiver.section("shop", "")]);
    let mut stuck: Option<String> = None;
    // The first erasure that is told of, whichever that is, is refused until told otherwise.
    receiver.decide(move |received| {
        let id = received.about().0;
        let is_stuck = stuck.get_or_insert_with(|| id.clone()) == &id;
        Reply::Status(if is_stuck { 500 } else { 200 })
    });
    let first = erase(&server, &format!("user={NEEDLE}-u1"));
    server.until("refused", |_| receiver.count() > 0);
    let others: Vec<String> = (2..8)
        .map(|user| erase(&server, &format!("user={NEEDLE}-u{user}")))
        .collect();
    until_told(&server, &receiver, &others);
    let states = receiver.states();
    assert!(states[&first].iter().all(|state| *state == 0), "{states:?}");
    server.until("refused again", |_| receiver.states()[&first].len() > 1);
    server.until("the failure is shown", |server| {
        let failure = &shown(server, "shop")["last_failure"];
        failure["reason"] == "it answered 500" && failure["at"].is_string()
    });
    receiver.decide(|_| Reply::Cut);
    server.until("cut", |server| count(server, "shop", "failed") > 2);
    receiver.decide(|_| Reply::Status(200));
    until_told(&server, &receiver, std::slice::from_ref(&first));
    let mut states = receiver.states().remove(&first).expect("told of");
    assert!(states.is_sorted());
    states.dedup();
    assert_eq!(states, [0, 1, 2, 3]);
    let tries = receiver
        .received()
        .into_iter()
        .filter(|it| it.about().0 == first);
    let mut bodies: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for one in tries {
        let id = one.header("webhook-id").to_owned();
        bodies.entry(id).or_default().insert(one.body);
    }
    assert!(
        bodies.values().all(|bodies| bodies.len() == 1),
        "a message stays what it is"
    );
    let logged = server.logged();
    assert!(
        logged.contains("it answered 500") && !logged.contains(NEEDLE),
        "{logged}"
    );
}

#[test]
fn one_endpoint_that_is_down_holds_up_no_other_and_is_told_after_a_restart() {
    let place = Place::new();
    let (shop, desk) = (
        Receiver::start(|_| Reply::StatusWith(503, "retry-after: 1")),
        Receiver::start(|_| Reply::Status(200)),
    );
    let sections = [shop.section("shop", ""), desk.section("desk", "")];
    let server = place.start(&sections);
    let ids: Vec<String> = (1..4)
        .map(|user| erase(&server, &format!("user={NEEDLE}-u{user}")))
        .collect();
    until_told(&server, &desk, &ids);
    server.until("tried", |_| shop.count() > 0);
    server.until("seen to wait", |server| {
        let shown = shown(server, "shop");
        shown["waiting"] == 12 && shown["oldest_at"].is_string()
    });
    let waiting = "recant_webhooks_waiting{endpoint=\"shop\"} 12";
    assert!(server.get("/metrics").text.contains(waiting));
    let key_before = key(&server, "shop");
    assert_eq!(server.stop(), Some(0));
    let told = desk.count();
    shop.decide(|_| Reply::Status(200));
    let server = place.start(&sections);
    assert_eq!(key(&server, "shop"), key_before);
    until_told(&server, &shop, &ids);
    for received in shop.received() {
        received.check_signature(&key_before);
    }
    assert!(shop.states().values().all(|states| states.is_sorted()));
    // Whoever had acknowledged everything is told nothing again.
    server.until("nothing to tell", |server| {
        shown(server, "shop")["waiting"] == 0
    });
    assert_eq!(desk.count(), told);
}

#[test]
fn internal_addresses_are_refused_unless_allowed() {
    let place = Place::new();
    let receiver = Receiver::start(|_| Reply::Status(200));
    let port = receiver
        .address
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    let by = |host: &str| {
        let section = receiver
            .section("shop", "")
            .replace("allow_internal = true", "");
        section.replace(&receiver.address, &format!("{host}:{port}"))
    };
    for host in ["127.0.0.1", "localhost"] {
        let server = place.start(&[by(host)]);
        erase(&server, &format!("user={NEEDLE}-u1"));
        server.until("refused", |server| count(server, "shop", "failed") > 0);
        server.until("told in the log", |server| {
            server.logged().contains("its address is internal")
        });
        assert_eq!(server.stop(), Some(0));
    }
    assert_eq!(receiver.count(), 0);
}

#[test]
fn an_endpoint_that_is_gone_is_left_alone_until_the_next_start() {
    let place = Place::new();
    let receiver = Receiver::start(|_| Reply::Status(410));
    let section = [receiver.section("shop", "")];
    let server = place.start(&section);
    let id = erase(&server, &format!("user={NEEDLE}-u1"));
    server.until("gone", |server| shown(server, "shop")["gone"] == true);
    let failure = &shown(&server, "shop")["last_failure"];
    assert_eq!(failure["reason"], "it answered 410");
    let asked = receiver.count();
    server.until("seen to wait", |server| {
        shown(server, "shop")["waiting"] == 4
    });
    assert_eq!(receiver.count(), asked);
    assert_eq!(server.stop(), Some(0));
    receiver.decide(|_| Reply::Status(200));
    let server = place.start(&section);
    until_told(&server, &receiver, std::slice::from_ref(&id));
    let shop = shown(&server, "shop");
    assert_eq!(shop["gone"], false);
    assert_eq!(shop["last_failure"], Value::Null, "the start begins anew");
}

#[test]
fn more_than_may_wait_is_dropped_oldest_first_and_counted() {
    let place = Place::new();
    let receiver = Receiver::start(|_| Reply::Status(500));
    let few = receiver
        .section("shop", "waiting_max = 2")
        .replace("retry_seconds = [1]", "retry_seconds = [3600]");
    let server = place.start(&[few]);
    let ids: Vec<String> = (1..6)
        .map(|user| erase(&server, &format!("user={NEEDLE}-u{user}")))
        .collect();
    server.until("dropped", |server| {
        shown(server, "shop")["waiting"] == 8 && count(server, "shop", "dropped") > 0
    });
    assert!(server.logged().contains("the oldest are dropped"));
    server.until("what was dropped is shown", |server| {
        shown(server, "shop")["dropped"] == count(server, "shop", "dropped")
    });
    assert_eq!(server.stop(), Some(0));
    receiver.decide(|_| Reply::Status(200));
    let before = receiver.count();
    let server = place.start(&[receiver.section("shop", "")]);
    until_told(&server, &receiver, &ids[3..]);
    let told: BTreeSet<String> = receiver
        .received()
        .split_off(before)
        .iter()
        .map(|it| it.about().0)
        .collect();
    assert_eq!(told, ids[3..].iter().cloned().collect());
}

#[test]
fn what_an_endpoint_that_left_was_to_be_told_is_dropped_aloud() {
    let place = Place::new();
    let receiver = Receiver::start(|_| Reply::Status(500));
    let section = [receiver.section("shop", "")];
    let server = place.start(&section);
    erase(&server, &format!("user={NEEDLE}-u1"));
    server.until("tried", |_| receiver.count() > 0);
    assert_eq!(server.stop(), Some(0));
    let server = place.start(&[]);
    assert_eq!(server.get("/webhooks").json(), json!({"webhooks": []}));
    assert!(
        server.logged().contains("is dropped"),
        "{}",
        server.logged()
    );
    assert_eq!(server.stop(), Some(0));
    receiver.decide(|_| Reply::Status(200));
    let server = place.start(&section);
    let before = receiver.count();
    let id = erase(&server, &format!("user={NEEDLE}-u2"));
    until_told(&server, &receiver, std::slice::from_ref(&id));
    let told = receiver.received().split_off(before);
    assert!(told.iter().all(|received| received.about().0 == id));
}
