//! Types of feedback over a real server: sent, shown, erased by type, and kept over a restart.

use std::path::Path;
use std::process::Command;

use crate::support::{Server, import, recant, run};
use serde_json::{Value, json};

const USERS: usize = 24;
const ITEMS: usize = 12;

const CONFIGURATION: &str = "\
[feedback.types.view]
weight = 0.5
seen = false
combine = \"sum\"

[feedback.types.dislike]
weight = 4.0
target = 0.0
";

fn csv() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..ITEMS).filter(|item| (user * 5 + item * 3) % 7 < 3) {
            csv.push_str(&format!("u{user},i{item}\n"));
        }
    }
    csv
}

/// A trained store, and the configuration with the types.
fn prepared(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (data, config) = (folder.join("data"), folder.join("types.toml"));
    std::fs::write(&config, CONFIGURATION).expect("written");
    import(&data, &csv());
    let mut train = recant();
    train.arg("train").arg("--data-dir").arg(&data);
    run(train
        .arg("--config")
        .arg(&config)
        .args(["--dim", "12", "--lambda", "0.05"]));
    (data, config)
}

fn serve(data: &Path, config: &Path) -> Server {
    Server::start_with(data, |command| {
        command.arg("--config").arg(config);
    })
}

impl Server {
    fn add(&self, rows: Value) -> Value {
        let answer = self.post("/interactions", &json!({"interactions": rows}));
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()
    }

    /// The score of an item for a user, in a list of everything.
    fn score(&self, user: &str, item: &str) -> Option<f64> {
        let path = format!("/recommend?user={user}&k=1000&exclude_seen=false");
        let answer = self.get(&path).json();
        let items = answer["items"].as_array().expect("a list");
        let found = items.iter().find(|entry| entry["item"] == item)?;
        found["score"].as_f64()
    }

    /// Whether an item is in what is recommended to a user.
    fn recommends(&self, user: &str, item: &str) -> bool {
        let answer = self.get(&format!("/recommend?user={user}&k=1000")).json();
        let items = answer["items"].as_array().expect("a list");
        items.iter().any(|entry| entry["item"] == item)
    }

    /// Type and weight of everything that is held of a user and an item, by type.
    fn held(&self, user: &str, item: &str) -> Vec<(String, f64)> {
        let answer = self.get(&format!("/export?user={user}"));
        let lines = answer.text.lines();
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let own = lines.filter(|line| line["item"] == item).map(|line| {
            let feedback = line["type"].as_str().expect("a type").to_owned();
            (feedback, line["weight"].as_f64().expect("a weight"))
        });
        let mut own: Vec<_> = own.collect();
        own.sort_by(|a, b| a.0.cmp(&b.0));
        own
    }
}

/// An item of the catalogue that `user` has nothing to do with.
fn unknown_to(user: usize) -> String {
    let free = (0..ITEMS).find(|item| (user * 5 + item * 3) % 7 >= 3);
    format!("i{}", free.expect("an item"))
}

#[test]
fn types_are_learnt_shown_and_erased_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, config) = prepared(folder.path());
    let server = serve(&data, &config);
    let item = unknown_to(3);
    let before = server.score("u3", &item).expect("a score");

    server.add(json!([
        {"user": "u3", "item": item, "type": "view"},
        {"user": "u3", "item": item, "type": "view", "weight": 3}]));
    server.until("the views are learnt", |s| {
        s.held("u3", &item) == [("view".to_owned(), 4.0)]
    });
    server.until("the score rises", |s| {
        s.score("u3", &item).expect("a score") > before + 0.05
    });
    assert!(
        server.recommends("u3", &item),
        "what was merely viewed stays in the lists"
    );
    let viewed = server.score("u3", &item).expect("a score");

    server.add(json!([{"user": "u3", "item": item, "type": "dislike", "weight": 2}]));
    server.until("the score falls", |s| {
        s.score("u3", &item).expect("a score") < viewed - 0.05
    });
    server.until("what is disliked leaves the lists", |s| {
        !s.recommends("u3", &item)
    });
    let both = [("dislike".to_owned(), 2.0), ("view".to_owned(), 4.0)];
    assert_eq!(server.held("u3", &item), both);

    let erased = server.forget(&format!("user=u3&item={item}&type=dislike"));
    assert_eq!(server.held("u3", &item), [("view".to_owned(), 4.0)]);
    let id = erased["id"].as_str().expect("an id");
    server.until_erasure(id, &["forgotten", "certified"]);
    assert!(
        server.recommends("u3", &item),
        "and comes back when the dislike is gone"
    );
    let forgotten = server.score("u3", &item).expect("a score");
    assert!(
        (forgotten - viewed).abs() < 0.05,
        "{forgotten} and {viewed}"
    );
    server.until_erasure(id, &["certified"]);
    let certified = server.score("u3", &item).expect("a score");

    let server = {
        server.stop();
        serve(&data, &config)
    };
    assert_eq!(server.held("u3", &item), [("view".to_owned(), 4.0)]);
    assert!(server.recommends("u3", &item));
    let restarted = server.score("u3", &item).expect("a score");
    assert!(
        (restarted - certified).abs() < 1e-3,
        "{restarted} and {certified}"
    );
}

#[test]
fn a_receipt_says_which_type_was_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, config) = prepared(folder.path());
    let server = serve(&data, &config);
    let item = unknown_to(5);
    server.add(json!([{"user": "u5", "item": item, "type": "view"},
                      {"user": "u5", "item": item, "type": "dislike"}]));
    let body = json!({"interactions": [{"user": "u5", "item": item, "type": "dislike"}]});
    let accepted = server.post("/erasures", &body).json();
    let (id, salt) = (
        &accepted["id"],
        accepted["receipt_salt"].as_str().expect("a salt"),
    );
    let id = id.as_str().expect("an id");
    server.until_erasure(id, &["certified"]);
    assert_eq!(server.held("u5", &item), [("view".to_owned(), 1.0)]);
    let receipt = folder.path().join("receipt.jws");
    let compact = server.get(&format!("/erasures/{id}/receipt")).text;
    std::fs::write(&receipt, compact).expect("written");
    let verify = |change: &dyn Fn(&mut Command)| {
        let mut command = recant();
        command
            .arg("verify")
            .arg(&receipt)
            .arg("--data-dir")
            .arg(&data);
        command.args(["--salt", salt]);
        change(&mut command);
        command.output().expect("it runs").status.code()
    };
    let named = |feedback: &'static str| {
        let item = item.clone();
        move |command: &mut Command| {
            command.args(["--user", "u5", "--item", &item, "--type", feedback]);
        }
    };
    assert_eq!(verify(&named("dislike")), Some(0));
    assert_eq!(verify(&named("view")), Some(1), "it was about another type");
    let request = folder.path().join("request.json");
    std::fs::write(&request, body.to_string()).expect("written");
    let by_request = verify(&|command| {
        command.arg("--pairs").arg(&request);
    });
    assert_eq!(by_request, Some(0));
}

#[test]
fn types_that_nobody_configured_are_refused_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, config) = prepared(folder.path());
    let server = serve(&data, &config);
    let answer = server.add(json!([{"user": "u1", "item": "i1", "type": "needle"},
                                   {"user": "u1", "item": "i1", "type": "view"},
                                   {"user": "u1", "item": "i1", "type": "view", "weight": 1e-6}]));
    assert_eq!(answer["accepted"], 1);
    let reasons: Vec<&str> = answer["rejected"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["reason"].as_str().expect("a text"))
        .collect();
    assert!(
        reasons[0].contains("feedback.types") && !reasons[0].contains("needle"),
        "{reasons:?}"
    );
    assert!(reasons[1].contains("out of the range"), "{reasons:?}");
    for path in [
        "/interactions?user=u1&item=i1&type=needle",
        "/interactions?user=u1&type=view",
    ] {
        assert_eq!(server.delete(path).status, 400, "{path}");
    }
    let body = json!({"interactions": [{"user": "u1", "item": "i1", "type": "needle"}]});
    assert_eq!(server.post("/erasures", &body).status, 422);
    server.stop();

    let file = folder.path().join("views.csv");
    std::fs::write(&file, "user_id,item_id\nu1,i2\nu1,i2\n").expect("written");
    let mut unknown = recant();
    unknown
        .arg("import")
        .arg(&file)
        .arg("--data-dir")
        .arg(&data);
    let output = unknown.args(["--type", "view"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("[feedback.types.view]"), "{said}");
    let mut served = recant();
    served
        .arg("serve")
        .arg("--data-dir")
        .arg(&data)
        .args(["--listen", "127.0.0.1:0"]);
    let output = served.output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("[feedback.types.view]"),
        "a store that holds views: {said}"
    );
}

#[test]
fn files_have_types_by_flag_or_by_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, config) = prepared(folder.path());
    let of_one_type = folder.path().join("views.csv");
    std::fs::write(&of_one_type, "user_id,item_id\nu7,new\nu7,new\n").expect("written");
    let mixed = folder.path().join("mixed.jsonl");
    let lines = "{\"user\":\"u7\",\"item\":\"new\",\"feedback_type\":\"dislike\",\"weight\":2}\n\
                 {\"user\":\"u7\",\"item\":\"new\"}\n\
                 {\"user\":\"u7\",\"item\":\"new\",\"feedback_type\":\"unheard-of\"}\n";
    std::fs::write(&mixed, lines).expect("written");
    let summary = |file: &Path, more: &[&str]| -> Value {
        let mut import = recant();
        import.arg("import").arg(file).arg("--data-dir").arg(&data);
        import.arg("--config").arg(&config).arg("--json").args(more);
        serde_json::from_str(&run(&mut import)).expect("JSON")
    };
    let views = summary(&of_one_type, &["--type", "view"]);
    assert_eq!(
        (&views["kept"], &views["duplicate"]),
        (&json!(1), &json!(1))
    );
    let mixed = summary(&mixed, &[]);
    assert_eq!((&mixed["kept"], &mixed["rejected"]), (&json!(2), &json!(1)));
    let server = serve(&data, &config);
    let all = [("dislike", 2.0), ("interaction", 1.0), ("view", 2.0)];
    let all = all.map(|(name, weight)| (name.to_owned(), weight));
    server.until("it is served", |s| s.held("u7", "new") == all);
}

/// An item is a cause of a score as long as something that is held says that it was wanted.
#[test]
fn what_nothing_held_says_was_wanted_is_no_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, config) = prepared(folder.path());
    let server = serve(&data, &config);
    let causes = |server: &Server| -> Vec<String> {
        let path = "/recommend?user=u1&k=1000&exclude_seen=false&explain=true&because=1000";
        let answer = server.get(path).json();
        let items = answer["items"].as_array().expect("a list").iter();
        let because = items.filter_map(|item| item["because"].as_array());
        let named = because.flatten().map(|cause| cause["item"].as_str());
        named.map(|id| id.expect("an id").to_owned()).collect()
    };
    let is_cause = |server: &Server, item: &str| causes(server).iter().any(|cause| cause == item);
    let had = (0..ITEMS).find(|item| (5 + item * 3) % 7 < 3);
    let (had, other) = (format!("i{}", had.expect("one")), unknown_to(1));
    assert!(is_cause(&server, &had));
    server.add(json!([
        {"user": "u1", "item": had, "type": "dislike"},
        {"user": "u1", "item": other, "type": "dislike"},
    ]));
    server.until("the dislikes are learnt", |s| !s.recommends("u1", &other));
    assert!(is_cause(&server, &had) && !is_cause(&server, &other));
    let answer = server.delete(&format!(
        "/interactions?user=u1&item={had}&type=interaction"
    ));
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert!(!is_cause(&server, &had), "at once");
    server.forget(&format!("user=u1&item={had}&type=interaction"));
    assert!(!is_cause(&server, &had), "and when it is forgotten");
}
