//! Boosts, pins and diversity, over a real socket.

use std::collections::HashMap;
use std::path::Path;

use crate::support::{Server, import_and_train};
use serde_json::{Value, json};

const USERS: usize = 60;
const ITEMS: usize = 40;

fn server(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..ITEMS).filter(|item| item % 2 == user % 2 && (user * 7 + item * 3) % 10 < 5)
        {
            csv.push_str(&format!("u{user},i{item}\n"));
        }
    }
    import_and_train(&data, &csv, &["--dim", "12", "--lambda", "0.05"]);
    settled(Server::start(&data), "u1")
}

/// The server once its version is certified: from then on nothing changes that nobody changes.
fn settled(server: Server, user: &str) -> Server {
    let path = format!("/recommend?user={user}&explain=true");
    server.until("certified", |server| {
        server.get(&path).json()["explanation"]["score_bound"].is_number()
    });
    server
}

/// The ids of a list with their scores.
fn list(answer: &Value) -> Vec<(String, f64)> {
    let items = answer["items"].as_array().expect("a list").iter();
    let scored = items.map(|item| {
        let id = item["item"].as_str().expect("an id").to_owned();
        (id, item["score"].as_f64().expect("a score"))
    });
    scored.collect()
}

fn ids(answer: &Value) -> Vec<String> {
    list(answer).into_iter().map(|(id, _)| id).collect()
}

/// `body` with more fields.
fn with(body: &Value, more: &Value) -> Value {
    let mut body = body.clone();
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

fn ask(server: &Server, body: &Value) -> Value {
    let answer = server.post("/recommend", body);
    assert_eq!(answer.status, 200, "{body}: {}", answer.text);
    answer.json()
}

#[test]
fn boosts_move_items_and_pins_stand_on_top() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    for person in [
        json!({"user": "u1"}),
        json!({"user": "nobody"}),
        json!({"history": ["i3", "i8"]}),
    ] {
        let base = with(&person, &json!({"k": 1000, "exclude_seen": false}));
        let whole = list(&ask(&server, &base));
        assert_eq!(whole.len(), ITEMS);
        let (last, first) = (whole[ITEMS - 1].0.as_str(), whole[0].0.as_str());
        // By what divides the first and the last, and then the other way round.
        let range = whole[0].1 - whole[ITEMS - 1].1;
        let boosts = json!({last: range + 1.0, first: -range - 1.0, "unknown": 5});
        let boosted = ask(&server, &with(&base, &json!({"boosts": boosts})));
        let found = ids(&boosted);
        assert_eq!(
            (found[0].as_str(), found[ITEMS - 1].as_str()),
            (last, first)
        );
        let between: Vec<_> = whole[1..ITEMS - 1]
            .iter()
            .map(|(id, _)| id.clone())
            .collect();
        assert_eq!(found[1..ITEMS - 1], between);
        assert_eq!(boosted["items"][0]["boost"], json!(range + 1.0));
        assert_eq!(boosted["items"][1].get("boost"), None);
        // None of them is the first or the last, whoever asks.
        let (pin, left_out) = (whole[1].0.as_str(), whole[2].0.as_str());
        let pins = json!([pin, "unknown", last, left_out]);
        let asked = with(
            &base,
            &json!({"pins": pins, "boosts": boosts, "exclude": [left_out], "k": 5}),
        );
        let pinned = ask(&server, &asked);
        let rest: Vec<String> = found
            .into_iter()
            .filter(|id| ![pin, left_out, last].contains(&id.as_str()))
            .collect();
        let expected = [&[pin.to_owned(), last.to_owned()], &rest[..3]].concat();
        assert_eq!(ids(&pinned), expected);
        let marks = pinned["items"].as_array().expect("a list").iter();
        let marks: Vec<bool> = marks.map(|item| item["pinned"] == true).collect();
        assert_eq!(marks, [true, true, false, false, false]);
        let second = ask(&server, &with(&asked, &json!({"offset": 1, "k": 4})));
        assert_eq!(ids(&second), expected[1..]);
        // Each by itself, and many at once.
        let users = json!({"users": ["u1", "nobody"], "k": 5, "pins": pins, "boosts": {"i2": 0.5},
                           "diversity": 0.4});
        let batch = server.post("/recommend", &users);
        for line in batch.text.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let mut alone = users.clone();
            alone.as_object_mut().expect("fields").remove("users");
            alone["user"] = line["user"].clone();
            assert_eq!(line["items"], ask(&server, &alone)["items"]);
        }
    }
}

/// What lists leave out no pin brings back: what somebody has, and what is hidden.
#[test]
fn pins_are_for_what_may_be_in_the_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let hide = json!({"hidden": true}).to_string();
    assert_eq!(
        server.send("PATCH", "/items/i6", Some(&hide), &[]).status,
        200
    );
    let seen = server.get("/export?user=u1").text;
    let seen: Value = serde_json::from_str(seen.lines().next().expect("a line")).expect("JSON");
    let ask = |more: Value| {
        let pins = json!({"user": "u1", "k": 3, "pins": ["i6", seen["item"], "i2"]});
        ids(&ask(&server, &with(&pins, &more)))
    };
    assert_eq!(ask(json!({}))[0], "i2");
    let all = ask(json!({"exclude_seen": false}));
    assert_eq!(all[..2], [seen["item"].as_str().expect("an id"), "i2"]);
    assert!(!ask(json!({"filter": "false"})).contains(&String::from("i2")));
    let proof = json!({"user": "u1", "k": 1, "pins": ["i2"], "explain": true});
    let proof = server.post("/recommend", &proof).json();
    assert_eq!(proof["explanation"]["top_k_proven"], true, "{proof}");
}

/// So many items that not all of them are in the pool: of the first 400 each has three people, of the
/// others two.
#[test]
fn diversity_orders_a_pool_anew_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (items, pool) = (450, 400);
    let mut csv = String::from("user_id,item_id\n");
    for item in 0..items {
        for turn in 0..if item < pool { 3 } else { 2 } {
            csv.push_str(&format!(
                "u{},i{item}\n",
                (item + turn * (1 + item % 9)) % 30
            ));
        }
    }
    import_and_train(&data, &csv, &["--dim", "8", "--lambda", "0.05"]);
    let server = settled(Server::start(&data), "u1");
    for user in ["nobody", "u1"] {
        let path = format!("/recommend?user={user}&exclude_seen=false&k=1000");
        let plain = ids(&server.get(&path).json());
        let diverse = ids(&server.get(&format!("{path}&diversity=0.7")).json());
        assert_eq!((plain.len(), diverse.len()), (items, items));
        assert_ne!(plain, diverse);
        assert_eq!(plain[pool..], diverse[pool..]);
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        assert_eq!(sorted(&plain[..pool]), sorted(&diverse[..pool]));
        assert_eq!(
            ids(&server.get(&format!("{path}&diversity=0")).json()),
            plain
        );
        // Across the end of the pool.
        for (offset, k) in [(0, 10), (10, 10), (390, 20), (445, 10)] {
            let path = format!(
                "/recommend?user={user}&exclude_seen=false&k={k}&offset={offset}&diversity=0.7"
            );
            let end = items.min(offset + k);
            assert_eq!(ids(&server.get(&path).json()), diverse[offset..end]);
        }
    }
    let explained = |more: &str| {
        let path = format!("/recommend?user=nobody&diversity=0.7&explain=true{more}");
        server.get(&path).json()["explanation"].clone()
    };
    let proven = explained("");
    assert_eq!(
        (&proven["pool_size"], &proven["pool_proven"]),
        (&json!(400), &json!(true))
    );
    assert_eq!(
        (&proven["top_k_proven"], &proven["margin"]),
        (&json!(false), &json!(1.0))
    );
    assert_eq!(proven["leading_set_proven"], 0);
    assert!(
        proven["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("pool"))
    );
    let tied = explained("&exclude=i0");
    assert_eq!(
        (&tied["pool_proven"], &tied["margin"]),
        (&json!(false), &json!(0.0))
    );
    let whole = explained("&k=1000");
    assert_eq!(
        (&whole["top_k_proven"], &whole["pool_proven"]),
        (&json!(true), &json!(true))
    );
}

/// The order that maximal marginal relevance makes of items like one, out of the cosines that `/similar`
/// tells of each.
#[test]
fn similar_items_are_diverse_by_the_cosines_that_similar_tells() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let similar = |item: &str| list(&server.get(&format!("/similar?item={item}&k=1000")).json());
    let all: Vec<String> = (0..ITEMS).map(|item| format!("i{item}")).collect();
    let cosines: HashMap<&str, HashMap<String, f64>> = all
        .iter()
        .map(|item| (item.as_str(), similar(item).into_iter().collect()))
        .collect();
    let mut changed = 0;
    for diversity in [0.0, 0.4, 0.9] {
        let plain = similar("i3");
        let path = format!("/similar?item=i3&k=1000&diversity={diversity}");
        let diverse = list(&server.get(&path).json());
        let by_item = |list: &[(String, f64)]| list.iter().cloned().collect::<HashMap<_, _>>();
        assert_eq!(diverse.len(), ITEMS - 1);
        assert_eq!(by_item(&diverse), by_item(&plain), "the same scores");
        changed += usize::from(diverse != plain);
        let (most, least) = (plain[0].1, plain[plain.len() - 1].1);
        let marginal = |at: usize, (item, score): &(String, f64)| {
            let before = diverse[..at].iter();
            let likeness = before.map(|(taken, _)| cosines[item.as_str()][taken]);
            let relevance = (score - least) / (most - least);
            (1.0 - diversity) * relevance - diversity * likeness.reduce(f64::max).unwrap_or(0.0)
        };
        for at in 0..diverse.len() {
            let taken = marginal(at, &diverse[at]);
            for later in &diverse[at..] {
                assert!(marginal(at, later) <= taken + 1e-5, "{at} {later:?}");
            }
        }
        let body = json!({"item": "i3", "k": 1000, "diversity": diversity});
        assert_eq!(list(&server.post("/similar", &body).json()), diverse);
        for (offset, k) in [(0, 5), (5, 7), (30, 20)] {
            let body = with(&body, &json!({"k": k, "offset": offset}));
            let end = (ITEMS - 1).min(offset + k);
            assert_eq!(
                list(&server.post("/similar", &body).json()),
                diverse[offset..end]
            );
        }
    }
    assert_eq!(changed, 2);
    let confined =
        json!({"item": "i3", "k": 1000, "diversity": 0.9, "user": "u1", "exclude": ["i5"]});
    let mut plain = confined.clone();
    plain["diversity"] = json!(0);
    let sorted = |body: &Value| {
        let mut ids = ids(&server.post("/similar", body).json());
        ids.sort();
        ids
    };
    assert_eq!(sorted(&confined), sorted(&plain));
    for bad in [json!(1.5), json!(-0.1), json!("much"), json!([0.5])] {
        let answer = server.post("/similar", &json!({"item": "i3", "diversity": bad}));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (422, &json!("invalid_body")),
            "{bad}"
        );
    }
    for bad in ["1.1", "NaN", "x", ""] {
        let answer = server.get(&format!("/similar?item=i3&diversity={bad}"));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!("invalid_query")),
            "{bad}"
        );
    }
}

#[test]
fn an_arrangement_out_of_bounds_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let many = |count: usize| (0..count).map(|item| format!("i{item}"));
    let boosts = |count| Value::Object(many(count).map(|item| (item, json!(1))).collect());
    let pins = |count| json!(many(count).collect::<Vec<_>>());
    for good in [
        json!({"boosts": boosts(1_000), "pins": pins(100), "diversity": 1}),
        json!({"boosts": {}, "pins": [], "diversity": 0}),
        json!({"boosts": {"i1": -1e6}}),
    ] {
        let answer = server.post("/recommend", &with(&json!({"user": "u1"}), &good));
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    for bad in [
        json!({"boosts": boosts(1_001)}),
        json!({"boosts": {"i1": 1e7}}),
        json!({"boosts": {"i1": "much"}}),
        json!({"boosts": {"": 1}}),
        json!({"boosts": {"i1": 1, " i1": 2}}),
        json!({"boosts": ["i1"]}),
        json!({"pins": pins(101)}),
        json!({"pins": ["i1", "i2", "i1"]}),
        json!({"pins": "i1"}),
        json!({"diversity": 1.01}),
        json!({"diversity": -0.01}),
        json!({"diversity": "much"}),
    ] {
        let answer = server.post("/recommend", &with(&json!({"user": "u1"}), &bad));
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["code"]),
            (422, &json!("invalid_body")),
            "{bad}"
        );
        assert!(!answer.text.contains("i1"), "{}", answer.text);
    }
    let twice = r#"{"user":"u1","boosts":{"i1":1,"i1":2}}"#;
    assert_eq!(
        server.send("POST", "/recommend", Some(twice), &[]).status,
        422
    );
    for bad in [
        "diversity=1.1",
        "diversity=NaN",
        "diversity=x",
        "diversity=",
        "boosts=i1",
        "pins=i1",
    ] {
        let answer = server.get(&format!("/recommend?user=u1&{bad}"));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!("invalid_query")),
            "{bad}"
        );
    }
}
