//! The service over a real socket: what a caller meets.

use crate::support::{Server, import_and_train};
use serde_json::{Value, json};

/// Two groups of users with tastes of their own: `a*` like items 0..10, `b*` items 10..20.
fn two_tastes() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for group in 0..2 {
        for user in 0..12 {
            for item in 0..10 {
                if (user * 7 + item * 3) % 10 < 6 {
                    let name = if group == 0 { 'a' } else { 'b' };
                    csv.push_str(&format!("{name}{user},item-{}\n", group * 10 + item));
                }
            }
        }
    }
    csv
}

fn server(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().join("data");
    import_and_train(&data, &two_tastes(), &["--dim", "20", "--lambda", "0.05"]);
    Server::start(&data)
}

fn items(answer: &Value) -> Vec<String> {
    let list = answer["items"]
        .as_array()
        .unwrap_or_else(|| panic!("no items in {answer}"));
    list.iter()
        .map(|item| item["item"].as_str().expect("an id").to_owned())
        .collect()
}

fn exported(server: &Server, user: &str) -> Vec<String> {
    let answer = server.get(&format!("/export?user={user}"));
    assert_eq!(answer.status, 200);
    let lines = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .map(|held| held["item"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn recommendations_follow_taste_and_leave_out_what_was_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let seen = exported(&server, "a1");
    let answer = server.get("/recommend?user=a1&k=4").json();
    assert_eq!(answer["source"], "model");
    assert_eq!(answer["user"], "a1");
    for item in items(&answer) {
        assert!(!seen.contains(&item), "{item} was seen");
        let number: usize = item["item-".len()..].parse().expect("a number");
        assert!(number < 10, "{item} is of the other taste: {answer}");
    }
    let all = server
        .get("/recommend?user=a1&k=20&exclude_seen=false")
        .json();
    assert_eq!(items(&all).len(), 20);
    let without = server
        .get("/recommend?user=a1&k=20&exclude_seen=false&exclude=item-3,item-4")
        .json();
    assert_eq!(items(&without).len(), 18);
}

#[test]
fn strangers_get_what_is_popular_and_sessions_are_folded_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let stranger = server.get("/recommend?user=nobody&k=3").json();
    assert_eq!(stranger["source"], "popular");
    assert_eq!(items(&stranger).len(), 3);
    let session = server
        .post(
            "/recommend",
            &json!({"history": ["item-11", "item-12", "unknown"], "k": 3}),
        )
        .json();
    assert_eq!(session["source"], "fold_in");
    for item in items(&session) {
        assert!(
            item["item-".len()..].parse::<usize>().expect("a number") >= 10,
            "{session}"
        );
        assert!(item != "item-11" && item != "item-12");
    }
    let body = server
        .post("/recommend", &json!({"user": "a1", "k": 4}))
        .json();
    assert_eq!(
        items(&body),
        items(&server.get("/recommend?user=a1&k=4").json())
    );
}

#[test]
fn similar_items_are_of_the_same_taste() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let similar = items(&server.get("/similar?item=item-2&k=5").json());
    assert_eq!(similar.len(), 5);
    assert!(!similar.contains(&String::from("item-2")));
    let same = similar
        .iter()
        .filter(|i| i["item-".len()..].parse::<usize>().is_ok_and(|n| n < 10));
    assert!(same.count() >= 4, "{similar:?}");
    assert_eq!(server.get("/similar?item=unknown").status, 404);
}

#[test]
fn what_is_held_of_somebody_is_told_without_an_id_in_the_url_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let by_query = server.get("/export?user=a1");
    let by_body = server.post("/export", &json!({"user": " a1 "}));
    assert_eq!((by_query.status, by_body.status), (200, 200));
    assert!(!by_query.text.is_empty());
    assert_eq!(by_query.text, by_body.text);
}

#[test]
fn an_export_comes_as_one_object_to_those_who_prefer_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let said = json!({"properties": {"city": "Turin"}}).to_string();
    assert_eq!(
        server.send("PUT", "/users/a1", Some(&said), &[]).status,
        200
    );
    for (user, said) in [
        ("a1", json!({"city": "Turin"})),
        ("a2", json!({})),
        ("nobody", json!({})),
    ] {
        let path = format!("/export?user={user}");
        let asked = json!({ "user": user }).to_string();
        let lines = server.get(&path);
        let rows = lines
            .text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let rows: Vec<Value> = rows.filter(|row: &Value| row["item"].is_string()).collect();
        assert_eq!(rows.is_empty(), user == "nobody");
        let expected = json!({"user": user, "properties": said, "interactions": rows});
        let json = [("accept", "application/json")];
        let both = [("accept", "application/json, */*")];
        for (method, path, body) in [
            ("GET", path.as_str(), None),
            ("POST", "/export", Some(&*asked)),
        ] {
            let whole = server.send(method, path, body, &json);
            assert_eq!((whole.status, whole.json()), (200, expected.clone()));
            assert_eq!(whole.header("content-type"), Some("application/json"));
            assert_eq!(whole.header("vary"), Some("accept"));
            let same = server.send(method, path, body, &both);
            assert_eq!((same.status, &same.text), (200, &lines.text));
            assert_eq!(same.header("content-type"), Some("application/x-ndjson"));
            assert_eq!(same.header("vary"), Some("accept"));
        }
    }
}

#[test]
fn an_erased_pair_is_gone_from_export_model_and_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let before = server.model();
    let pair = exported(&server, "b2")[0].clone();
    let erasure = server.forget(&format!("user=b2&item={pair}"));
    let id = erasure["id"].as_str().expect("an id");
    assert!(!exported(&server, "b2").contains(&pair));
    let after = server.model();
    assert_eq!(
        after["interactions"].as_u64().expect("a count") + 1,
        before["interactions"].as_u64().expect("a count")
    );
    assert!(after["version"].as_u64() > before["version"].as_u64());
    assert!(items(&server.get("/recommend?user=b2&k=20").json()).contains(&pair));
    let record = server.until_erasure(id, &["certified"]);
    for time in ["accepted_at", "erased_at", "forgotten_at", "certified_at"] {
        assert!(record[time].is_string(), "{time} is missing in {record}");
    }
    let certificate = &record["certificate"];
    assert_eq!(certificate["kind"], "duality_gap");
    assert_eq!(certificate["holds"], true, "{certificate}");
    assert!(record["model_version_after"].as_u64() > record["model_version_before"].as_u64());
}

#[test]
fn an_erased_user_is_a_stranger_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let users = server.model()["users"].as_u64().expect("a count");
    server.forget("user=a3");
    assert_eq!(server.get("/recommend?user=a3").json()["source"], "popular");
    assert!(exported(&server, "a3").is_empty());
    assert_eq!(server.model()["users"].as_u64(), Some(users - 1));
}

#[test]
fn an_erased_item_is_recommended_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    server.forget("item=item-4");
    let all = items(
        &server
            .get("/recommend?user=a1&k=20&exclude_seen=false")
            .json(),
    );
    assert_eq!(all.len(), 19);
    assert!(!all.contains(&String::from("item-4")));
    for user in 0..12 {
        assert!(!exported(&server, &format!("a{user}")).contains(&String::from("item-4")));
    }
}

#[test]
fn what_was_never_there_is_answered_like_what_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let known = server.delete("/interactions?user=a1");
    let unknown = server.delete("/interactions?user=stranger");
    let names = |answer: &crate::support::Answer| {
        let body = answer.json();
        body.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (known.status, names(&known)),
        (unknown.status, names(&unknown))
    );
    assert_eq!(known.status, 202);
    let id = unknown.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        unknown.header("location"),
        Some(format!("/erasures/{id}").as_str())
    );
    server.until_erasure(&id, &["certified"]);
}

#[test]
fn a_batch_is_one_erasure() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let (mine, theirs) = (exported(&server, "a1"), exported(&server, "b1"));
    let body = json!({"interactions": [
        {"user": "a1", "item": mine[0]},
        {"user": "b1", "item": theirs[0]},
        {"user": "b1", "item": "never-seen"},
    ]});
    let answer = server.post("/erasures", &body);
    assert_eq!(answer.status, 202, "{}", answer.text);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    server.until_erasure(&id, &["forgotten", "certified"]);
    assert_eq!(exported(&server, "a1"), mine[1..]);
    assert_eq!(exported(&server, "b1"), theirs[1..]);
}

#[test]
fn an_idempotency_key_names_one_erasure() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let erase = |path: &str| server.send("DELETE", path, None, &[("idempotency-key", "once")]);
    let first = erase("/interactions?user=a1");
    let again = erase("/interactions?user=a1");
    assert_eq!(first.json()["id"], again.json()["id"]);
    let other = erase("/interactions?user=a2");
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
}

#[test]
fn what_is_added_is_learnt_live() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let body = json!({"interactions": [
        {"user": "newcomer", "item": "item-1", "weight": 2.0, "timestamp": 1_700_000_000},
        {"user": "newcomer", "item": "item-2"},
        {"user": "", "item": "item-3"},
        {"user": "newcomer", "item": "item-3", "weight": -1},
    ]});
    let answer = server.post("/interactions", &body);
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["accepted"], 2);
    let rejected = answer.json()["rejected"]
        .as_array()
        .expect("a list")
        .clone();
    let indices: Vec<_> = rejected.iter().map(|r| r["index"].as_u64()).collect();
    assert_eq!(indices, [Some(2), Some(3)]);
    server.until("learnt", |s| {
        s.get("/recommend?user=newcomer").json()["source"] == "model"
    });
    for item in items(&server.get("/recommend?user=newcomer&k=4").json()) {
        assert!(
            item["item-".len()..].parse::<usize>().expect("a number") < 10,
            "{item}"
        );
    }
    let export = server.get("/export?user=newcomer");
    let held: Vec<Value> = export
        .text
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(held.len(), 2);
    let first = held
        .iter()
        .find(|h| h["item"] == "item-1")
        .expect("the first item");
    assert_eq!(
        (first["weight"].as_f64(), first["timestamp"].as_i64()),
        (Some(2.0), Some(1_700_000_000))
    );
}

#[test]
fn new_users_with_new_items_are_learnt_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let mut interactions = Vec::new();
    for user in 0..20 {
        for item in 0..6 {
            if (user + item) % 3 != 0 {
                interactions.push(json!({"user": format!("u{user}"), "item": format!("i{item}")}));
            }
        }
    }
    let answer = server.post("/interactions", &json!({"interactions": interactions}));
    assert_eq!(
        answer.json()["accepted"].as_u64(),
        Some(interactions.len() as u64)
    );
    server.until("learnt", |s| {
        s.model()["interactions"].as_u64() == Some(interactions.len() as u64)
    });
    // The first version may hold no more than what its time budget allowed; refining completes it.
    server.until("a model that has learnt", |s| {
        let answer = s.get("/recommend?user=u1&k=2").json();
        let best = answer["items"][0]["score"].as_f64();
        answer["source"] == "model" && best.is_some_and(|score| score > 0.05)
    });
}

#[test]
fn no_id_reaches_logs_or_metrics() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let needle = "needle-5f3759df";
    let add =
        json!({"interactions": [{"user": needle, "item": "item-1"}, {"user": needle, "item": ""}]});
    server.post("/interactions", &add);
    server.get(&format!("/recommend?user={needle}"));
    server.get(&format!("/recommend?user={needle}&k=0"));
    server.get(&format!("/similar?item={needle}"));
    server.get(&format!("/{needle}"));
    server.get(&format!("/erasures/{needle}"));
    server.post("/erasures", &json!({"interactions": [{"user": needle}]}));
    server.forget(&format!("user={needle}"));
    assert!(
        !server.get("/metrics").text.contains(needle),
        "in the metrics"
    );
    assert!(!server.logged().contains(needle), "in the log");
}
