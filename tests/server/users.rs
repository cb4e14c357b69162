//! What is said about people, over a real socket: kept, listed, told to whoever may know it, and gone
//! with the person from the moment an erasure is accepted.

use std::path::Path;

use crate::support::{Answer, Server, import_and_train, recant, run};
use serde_json::{Value, json};

const USERS: usize = 12;

fn csv() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..9).filter(|item| (user + 2 * item) % 3 != 0) {
            csv.push_str(&format!("u{user:02},i{item}\n"));
        }
    }
    csv
}

fn server(folder: &Path) -> Server {
    let data = folder.join("data");
    import_and_train(&data, &csv(), &["--dim", "8", "--lambda", "0.05"]);
    Server::start(&data)
}

impl Server {
    fn say(&self, user: &str, properties: &Value) -> Answer {
        let text = json!({ "properties": properties }).to_string();
        self.send("PUT", &format!("/users/{user}"), Some(&text), &[])
    }

    fn exported(&self, user: &str) -> Vec<Value> {
        let text = self.get(&format!("/export?user={user}")).text;
        let same = self.post("/export", &json!({ "user": user }));
        assert_eq!(same.text, text);
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().expect("JSON lines")
    }

    /// Ids of everybody listed, so many at a time.
    fn listed(&self, limit: usize) -> Vec<String> {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/users?limit={limit}{cursor}")).json();
            let users = page["users"].as_array().expect("a list");
            assert!(users.len() <= limit);
            let id = |user: &Value| user["user"].as_str().expect("an id").to_owned();
            seen.extend(users.iter().map(id));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
                None => return seen,
            }
        }
    }
}

fn ada() -> Value {
    json!({"city": "Turin", "age": 41, "height": 1.68, "member": true})
}

#[test]
fn what_is_said_about_somebody_is_kept_and_the_answer_does_not_tell_whether_they_were_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let model = server.model();
    let mut answers = Vec::new();
    for user in ["u01", "new"] {
        let answer = server.say(user, &ada());
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json(), json!({"user": user, "properties": ada()}));
        let names = answer.headers.iter().map(|(name, _)| name.clone());
        answers.push((names.collect::<Vec<_>>(), answer.text.len()));
    }
    assert_eq!(answers[0], answers[1]);
    let check = |server: &Server| {
        let known = server.get("/users/u01").json();
        assert_eq!(
            known,
            json!({"user": "u01", "properties": ada(), "interactions": 6, "restricted": false})
        );
        let new = server.get("/users/%20new").json();
        assert_eq!(
            new,
            json!({"user": "new", "properties": ada(), "interactions": 0, "restricted": false})
        );
        let nothing = server.get("/users/u02").json();
        assert_eq!(
            nothing,
            json!({"user": "u02", "properties": {}, "interactions": 6, "restricted": false})
        );
        let unknown = server.get("/users/nobody");
        assert_eq!(
            (unknown.status, &unknown.json()["code"]),
            (404, &json!("user_not_found"))
        );
    };
    check(&server);
    // The model is not concerned.
    assert_eq!(server.model()["interactions"], model["interactions"]);
    let server = server.restarted();
    check(&server);
    // Replaced as a whole, and taken back; of one nothing is left then.
    assert_eq!(server.say("u01", &json!({"age": 42})).status, 200);
    assert_eq!(
        server.get("/users/u01").json()["properties"],
        json!({"age": 42})
    );
    for user in ["u01", "new"] {
        assert_eq!(server.say(user, &json!({})).json()["properties"], json!({}));
    }
    let server = server.restarted();
    assert_eq!(server.get("/users/u01").json()["properties"], json!({}));
    assert_eq!(server.get("/users/new").status, 404);
    // They come, and keep what was said before.
    assert_eq!(server.say("late", &ada()).status, 200);
    let rows = json!({"interactions": [{"user": "late", "item": "i1"}]});
    assert_eq!(server.post("/interactions", &rows).status, 202);
    server.until("it is learnt", |server| {
        server.get("/users/late").json()["interactions"] == 1
    });
    assert_eq!(server.get("/users/late").json()["properties"], ada());
}

#[test]
fn everybody_of_whom_something_is_held_is_listed_in_order_a_page_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let mut expected: Vec<String> = (0..USERS).map(|user| format!("u{user:02}")).collect();
    for user in ["alone", "u03", "u5", "zoë", "a/b"] {
        let path = user.replace('/', "%2F").replace('ë', "%C3%AB");
        assert_eq!(server.say(&path, &ada()).status, 200);
        expected.push(user.to_owned());
    }
    expected.sort();
    expected.dedup();
    for limit in [1, 4, expected.len(), 1_000] {
        assert_eq!(server.listed(limit), expected);
    }
    server.forget("user=u03");
    server.forget("user=alone");
    expected.retain(|user| user != "u03" && user != "alone");
    assert_eq!(server.listed(5), expected);
    assert_eq!(server.restarted().listed(5), expected);
}

#[test]
fn an_export_begins_with_what_is_said_and_an_accepted_erasure_takes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let plain = server.exported("u04");
    for user in ["u04", "u05", "u06", "alone"] {
        assert_eq!(server.say(user, &ada()).status, 200);
    }
    let first = json!({"user": "u04", "properties": ada()});
    let exported = server.exported("u04");
    assert_eq!((&exported[0], &exported[1..]), (&first, &plain[..]));
    assert_eq!(server.exported("alone").len(), 1);
    // An item and every pair of somebody are no erasure of the person.
    server.forget("item=i0");
    assert_eq!(server.get("/users/u05").json()["properties"], ada());
    let pairs = server.exported("u05")[1..]
        .iter()
        .map(|line| json!({"user": "u05", "item": line["item"]}))
        .collect::<Vec<_>>();
    let batch = json!({ "interactions": pairs });
    let answer = server.send("DELETE", "/interactions", Some(&batch.to_string()), &[]);
    assert_eq!(answer.status, 202);
    let last = json!({"user": "u05", "properties": ada()});
    assert_eq!(server.exported("u05"), [last]);
    // Gone when it is answered, by whichever way, with interactions or without.
    assert_eq!(server.delete("/interactions?user=u04").status, 202);
    assert_eq!(server.exported("u04"), [] as [Value; 0]);
    let users = json!({"users": ["u05", "alone", "u06", "nobody"]});
    assert_eq!(server.post("/erasures", &users).status, 202);
    let gone = |server: &Server| {
        for user in ["u04", "u05", "u06", "alone", "nobody"] {
            assert_eq!(server.exported(user), [] as [Value; 0]);
            assert_eq!(server.get(&format!("/users/{user}")).status, 404);
        }
    };
    gone(&server);
    // What is said afterwards is new, and outlives the erasure before it.
    assert_eq!(server.say("u07", &ada()).status, 200);
    server.delete("/interactions?user=u07");
    assert_eq!(server.say("u07", &json!({"age": 1})).status, 200);
    let server = server.restarted();
    gone(&server);
    let again = json!({"user": "u07", "properties": {"age": 1}});
    assert_eq!(server.exported("u07"), [again]);
}

#[test]
fn a_backup_brings_what_is_said_back_unless_the_person_was_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    for user in ["u04", "u05", "alone", "other"] {
        assert_eq!(server.say(user, &ada()).status, 200);
    }
    let data = server.data.clone();
    let backup = folder.path().join("backup");
    run(recant()
        .args(["backup", "--to"])
        .arg(&backup)
        .arg("--data-dir")
        .arg(&data));
    server.forget("user=u04");
    server.forget("user=alone");
    server.say("u05", &json!({}));
    assert_eq!(server.stop(), Some(0));
    let said = run(recant()
        .arg("restore")
        .arg(&backup)
        .arg("--data-dir")
        .arg(&data)
        .arg("--json"));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["users_with_properties"], 2, "{said}");
    let server = Server::start(&data);
    let held = |user: &str| server.get(&format!("/users/{user}")).json()["properties"].clone();
    assert_eq!((held("u05"), held("other")), (ada(), ada()));
    assert_eq!((held("u04"), held("alone")), (Value::Null, Value::Null));
}

#[test]
fn what_is_wrong_is_a_problem_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    assert_eq!(server.say("u01", &ada()).status, 200);
    let many: serde_json::Map<String, Value> =
        (0..101).map(|at| (format!("p{at}"), json!(1))).collect();
    let many = json!({ "properties": many }).to_string();
    let long = json!({"properties": {"a": "needle".repeat(200)}}).to_string();
    for (path, body, status, code) in [
        ("/users/u01", "", 400, "malformed_body"),
        ("/users/u01", "{", 400, "malformed_body"),
        ("/users/u01", "[1]", 422, "invalid_body"),
        ("/users/u01", r#"{"needle":1}"#, 422, "invalid_body"),
        ("/users/u01", r#"{"properties":[1]}"#, 422, "invalid_body"),
        (
            "/users/u01",
            r#"{"properties":{"needle":[]}}"#,
            422,
            "invalid_body",
        ),
        (
            "/users/u01",
            r#"{"properties":{"needle needle":1}}"#,
            422,
            "invalid_body",
        ),
        ("/users/u01", &many, 422, "invalid_body"),
        ("/users/u01", &long, 422, "invalid_body"),
        ("/users/%00", "{}", 400, "invalid_user_id"),
        ("/users/null", "{}", 400, "invalid_user_id"),
        ("/users/%ff", "{}", 400, "invalid_user_id"),
        ("/users/u01?Needle=1", "{}", 400, "invalid_query"),
    ] {
        let answer = server.send("PUT", path, Some(body), &[]);
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert_eq!(answer.json()["code"], code, "{path}: {}", answer.text);
        assert!(!answer.text.contains("needle"), "{path}: {}", answer.text);
    }
    let typed = [("content-type", "text/csv")];
    let answer = server.send("PUT", "/users/u01", Some("{}"), &typed);
    assert_eq!(answer.status, 415);
    assert_eq!(server.get("/users/u01").json()["properties"], ada());
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("/users/{id}") && !metrics.contains("u01"));
}
