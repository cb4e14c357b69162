//! Lists for nobody in particular, over a real socket: what they must be is counted here, from what
//! people did and what of it was erased.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Server, import_and_train};
use serde_json::{Value, json};

const USERS: usize = 30;
const ITEMS: usize = 12;

/// How many hours ago something happened: no age is within hours of the end of a window below.
const AGES: [u64; 5] = [1, 10, 30, 100, 300];

/// Windows, with how many of the ages are within.
const WINDOWS: [(&str, usize); 4] = [("5h", 1), ("20h", 2), ("3d", 3), ("200h", 4)];

/// User, item and age of what people did.
type Did = BTreeSet<(usize, usize, u64)>;

fn seconds_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock after 1970").as_secs()
}

/// Some users like the first items, some the last, each at some time; every seventh pair at none.
fn did() -> Did {
    let all = (0..USERS).flat_map(|user| (0..ITEMS).map(move |item| (user, item)));
    let did = all.filter(|(user, item)| (user * 7 + item * 5) % (4 + item) < 3);
    let aged = did.map(|(user, item)| (user, item, AGES[(user + item * 2) % AGES.len()]));
    aged.collect()
}

fn server(data: &Path, did: &Did) -> Server {
    let now = seconds_now();
    let mut csv = String::from("user_id,item_id,timestamp\n");
    for (user, item, age) in did {
        csv.push_str(&format!("u{user},i{item},{}\n", now - age * 3_600));
    }
    import_and_train(data, &csv, &["--dim", "6", "--lambda", "0.05"]);
    Server::start(data)
}

fn list(server: &Server, path: &str) -> Vec<(String, f64)> {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    read(&answer.json())
}

fn read(answer: &Value) -> Vec<(String, f64)> {
    let items = answer["items"].as_array().expect("a list").iter();
    let read = items.map(|item| {
        let id = item["item"].as_str().expect("an id").to_owned();
        (id, item["score"].as_f64().expect("a number"))
    });
    read.collect()
}

/// What each item's events come to; items of which nothing counts are not among them.
fn sums(did: &Did, share: impl Fn(u64) -> f64) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (_, item, age) in did {
        *sums.entry(format!("i{item}")).or_insert(0.0) += share(*age);
    }
    sums.retain(|_, sum| *sum > 0.0);
    sums
}

/// That the lists are those of `did`: every number counted, and in order.
fn check(server: &Server, did: &Did) {
    let in_order = |listed: &[(String, f64)]| listed.is_sorted_by(|a, b| a.1 >= b.1);
    let popular = list(server, "/popular?k=100");
    assert!(in_order(&popular), "{popular:?}");
    let counted: BTreeMap<String, f64> = popular.into_iter().collect();
    assert_eq!(counted, sums(did, |_| 1.0));
    for (window, ages) in WINDOWS {
        let listed = list(server, &format!("/popular?k=100&window={window}"));
        assert!(in_order(&listed), "{window}: {listed:?}");
        let counted: BTreeMap<String, f64> = listed.into_iter().collect();
        let within = |age| f64::from(u8::from(AGES[..ages].contains(&age)));
        assert_eq!(counted, sums(did, within), "{window}");
    }
    for half_life in [24, 72] {
        let path = format!("/trending?k=100&half_life={half_life}h");
        let listed = list(server, &path);
        assert!(in_order(&listed), "{path}: {listed:?}");
        let half = |age: u64| 0.5_f64.powf(age as f64 / f64::from(half_life));
        let expected = sums(did, half);
        assert_eq!(listed.len(), expected.len(), "{path}");
        // Events are counted from the beginning of their hour.
        let hour = 0.5_f64.powf(1.1 / f64::from(half_life));
        for (item, score) in listed {
            let sum = expected[&item];
            assert!(
                (sum * hour..=sum).contains(&score),
                "{path}: {score} of {sum}"
            );
        }
    }
}

#[test]
fn lists_count_what_people_did_and_what_was_erased_leaves_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut did = did();
    let server = server(&data, &did);
    check(&server, &did);

    server.forget("user=u3");
    did.retain(|(user, ..)| *user != 3);
    check(&server, &did);
    let (user, item, _) = *did.iter().nth(17).expect("a pair");
    server.forget(&format!("user=u{user}&item=i{item}"));
    did.retain(|(by, with, _)| (*by, *with) != (user, item));
    check(&server, &did);
    server.forget("item=i4");
    did.retain(|(_, item, _)| *item != 4);
    check(&server, &did);

    let now = seconds_now();
    let new = json!({"interactions": [
        {"user": "u3", "item": "i4", "timestamp": now - 3_600},
        {"user": "newcomer", "item": "i5", "timestamp": now - 10 * 3_600},
        {"user": "newcomer", "item": "new", "timestamp": now - 30 * 3_600},
    ]});
    // Of one whom nothing was erased of: a tombstone holds back what happened before it.
    let answer = server.post("/interactions", &new).json();
    assert_eq!(answer["accepted"], 1 + 1, "{answer}");
    did.insert((USERS, 5, 10));
    let count = |item: &str| {
        let listed = list(&server, "/popular?k=100");
        listed.into_iter().find(|(id, _)| id == item)
    };
    server.until("the additions are learnt", |_| count("new").is_some());
    assert_eq!(count("new").map(|(_, count)| count), Some(1.0));
    server.forget("item=new");
    check(&server, &did);

    drop(server);
    check(&Server::start(&data), &did);
}

#[test]
fn lists_leave_out_what_a_user_has_and_what_a_selection_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let did = did();
    let server = server(&folder.path().join("data"), &did);
    let tagged: Vec<Value> = (0..ITEMS)
        .map(|item| {
            let odd = item % 2 == 1;
            json!({"id": format!("i{item}"), "tags": if odd { vec!["odd"] } else { vec![] },
                   "hidden": item == 7})
        })
        .collect();
    server.post("/items", &json!({ "items": tagged }));
    let number = |id: &str| id[1..].parse::<usize>().expect("a number");
    for path in ["/popular", "/popular?window=200h", "/trending"] {
        let with = |more: &str| {
            let sign = if path.contains('?') { '&' } else { '?' };
            list(&server, &format!("{path}{sign}k=100&{more}"))
        };
        let whole = with("offset=0");
        assert!(whole.iter().all(|(id, _)| number(id) != 7), "{path}");
        let ids = |listed: Vec<(String, f64)>| -> Vec<String> {
            listed.into_iter().map(|(id, _)| id).collect()
        };
        let expected = |keeps: &dyn Fn(usize) -> bool| -> Vec<String> {
            let kept = whole.iter().filter(|(id, _)| keeps(number(id)));
            kept.map(|(id, _)| id.clone()).collect()
        };
        let has = |item: usize| {
            did.iter()
                .any(|(user, held, _)| (*user, *held) == (5, item))
        };
        assert_eq!(ids(with("user=u5")), expected(&|item| !has(item)), "{path}");
        assert_eq!(ids(with("user=nobody")), expected(&|_| true), "{path}");
        assert_eq!(ids(with("tag=odd")), expected(&|item| item % 2 == 1));
        assert_eq!(ids(with("tags_none=odd")), expected(&|item| item % 2 == 0));
        let filter = "filter=!(%22odd%22%20in%20tags)&exclude=i2";
        assert_eq!(
            ids(with(filter)),
            expected(&|item| item % 2 == 0 && item != 2)
        );
        assert_eq!(
            ids(with("allow=i1,i2,i7")),
            expected(&|item| [1, 2].contains(&item))
        );
        assert_eq!(ids(with("offset=3")), expected(&|_| true)[3..]);
    }
    let body = json!({"k": 100, "window": "3d", "user": "u5", "tags": ["odd"]});
    let by_body = read(&server.post("/popular", &body).json());
    let by_query = list(&server, "/popular?k=100&window=3d&user=u5&tag=odd");
    assert_eq!(by_body, by_query);
}

#[test]
fn the_latest_items_need_nobody_to_have_touched_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let did = did();
    let data = folder.path().join("data");
    let server = server(&data, &did);
    let now = seconds_now();
    let item = |id: &str, hours: i64, more: Value| {
        let mut item = json!({"id": id, "timestamp": now as i64 - hours * 3_600});
        let fields = more.as_object().expect("an object");
        item.as_object_mut()
            .expect("an object")
            .extend(fields.clone());
        item
    };
    let items = json!({"items": [
        item("fresh", 2, json!({"title": "Fresh", "tags": ["new"], "properties": {"price": 3}})),
        item("i1", 30, json!({"tags": ["new"]})),
        item("i2", 5, json!({})),
        item("to-come", -5, json!({})),
        item("withdrawn", 1, json!({"hidden": true})),
        item("old", 3_000, json!({"properties": {"price": 30}})),
        {"id": "undated", "title": "Undated"},
    ]});
    assert_eq!(server.post("/items", &items).status, 200);
    let ids = |server: &Server, path: &str| -> Vec<String> {
        let listed = list(server, path);
        listed.into_iter().map(|(id, _)| id).collect()
    };
    let check = |server: &Server| {
        let listed = list(server, "/latest");
        assert_eq!(listed[0], (String::from("fresh"), (now - 2 * 3_600) as f64));
        assert_eq!(ids(server, "/latest"), ["fresh", "i2", "i1", "old"]);
        assert_eq!(ids(server, "/latest?window=1d"), ["fresh", "i2"]);
        assert_eq!(ids(server, "/latest?offset=1&k=2"), ["i2", "i1"]);
        assert_eq!(ids(server, "/latest?tag=new"), ["fresh", "i1"]);
        assert_eq!(ids(server, "/latest?tags_none=new&exclude=old"), ["i2"]);
        assert_eq!(ids(server, "/latest?allow=old,i1,to-come"), ["i1", "old"]);
        let priced = "/latest?filter=has(properties.price)%20%26%26%20properties.price%20%3C%2010";
        assert_eq!(ids(server, priced), ["fresh"]);
        let body = json!({"filter": "has(properties.price)"});
        let by_body = server.post("/latest", &body).json();
        assert_eq!(by_body["items"][1]["item"], "old");
        assert_eq!(by_body["items"][0]["title"], "Fresh");
        let having = did.iter().find(|(_, item, _)| *item == 2);
        let (user, ..) = having.expect("somebody has it");
        let of_user = ids(server, &format!("/latest?user=u{user}"));
        assert!(!of_user.contains(&String::from("i2")), "{of_user:?}");
    };
    check(&server);
    drop(server);
    check(&Server::start(&data));
}

#[test]
fn spans_that_are_none_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder.path().join("data"), &did());
    for (path, part) in [
        ("/popular?window=7", "window is no span of time"),
        ("/popular?window=1s", "window must be from 1h to 3650d"),
        ("/trending?half_life=0h", "half_life must be from"),
        ("/trending?half_life=forever", "half_life is no span"),
        ("/popular?half_life=3d", "`half_life` is unknown"),
        ("/latest?half_life=3d", "`half_life` is unknown"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        assert!(answer.text.contains(part), "{path}: {}", answer.text);
    }
    for path in ["/popular", "/latest"] {
        let answer = server.post(path, &json!({"half_life": "3d"}));
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
    }
}
