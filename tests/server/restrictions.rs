//! Restriction of processing over a real socket, with the real commands: whoever is restricted is kept and
//! unknown to everything, is told so, and comes back.

use std::path::Path;

use crate::support::{Answer, Server, import_and_train, recant, run};
use serde_json::{Value, json};

const USERS: usize = 12;

/// What `u01` has, from the import, and what comes of them later.
const IMPORTED: usize = 6;
const LATER: &str = "i-of-nobody-else";

fn csv() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..9).filter(|item| (user + 2 * item) % 3 != 0) {
            csv.push_str(&format!("usr-needle-{user:02},i{item}\n"));
        }
    }
    csv
}

fn trained(folder: &Path) -> Server {
    let data = folder.join("data");
    import_and_train(&data, &csv(), &["--dim", "12", "--lambda", "0.05"]);
    Server::start(&data)
}

impl Server {
    fn restrict(&self, user: &str) -> Answer {
        self.send("PUT", &format!("/users/{user}/restriction"), None, &[])
    }

    fn lift(&self, user: &str) -> Answer {
        self.delete(&format!("/users/{user}/restriction"))
    }

    fn person(&self, user: &str) -> Value {
        self.get(&format!("/users/{user}")).json()
    }

    fn recommended(&self, user: &str) -> Value {
        let mut answer = self.get(&format!("/recommend?user={user}&k=20")).json();
        // Versions come as refinements end.
        answer["user"].take();
        answer["model_version"].take();
        answer
    }

    /// How many people wanted each item.
    fn wanted(&self) -> Value {
        self.get("/popular?k=100").json()["items"].clone()
    }

    fn until_learnt(&self, interactions: u64) {
        self.until("everything learnt", |server| {
            server.model()["interactions"] == interactions
        });
    }
}

/// What can be told from an answer, but for ids, salts and times.
fn shape(answer: &Answer) -> (u16, Vec<String>, Vec<String>, usize) {
    let names = answer.headers.iter().map(|(name, _)| name.clone());
    let body = answer.json();
    let fields = body.as_object().expect("an object").keys().cloned();
    (
        answer.status,
        names.collect(),
        fields.collect(),
        answer.text.len(),
    )
}

/// Whoever is restricted is answered like a stranger and told that they are restricted.
fn assert_kept(server: &Server, interactions: usize) {
    let person = server.person("usr-needle-01");
    assert_eq!(person["restricted"], true);
    assert_eq!(person["interactions"], interactions);
    let stranger = server.recommended("stranger");
    assert_eq!(stranger["source"], "popular");
    assert_eq!(server.recommended("usr-needle-01"), stranger);
    let export = server.get("/export?user=usr-needle-01").text;
    let lines: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["restricted"], true);
    assert_eq!(lines.len(), 1 + interactions);
    let model = server.model();
    assert_eq!(
        (&model["users"], &model["interactions"]),
        (&json!(11), &json!(66))
    );
    for item in server.wanted().as_array().expect("a list") {
        assert_ne!(item["item"], LATER);
    }
}

fn add(server: &Server, user: &str, item: &str) -> Answer {
    let rows = json!({"interactions": [{"user": user, "item": item}]});
    server.post("/interactions", &rows)
}

#[test]
fn whoever_is_restricted_is_kept_unknown_to_everything_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = trained(folder.path());
    let before = server.wanted();
    let total = server.model()["interactions"].as_u64().expect("a number");
    assert_eq!(total, 72);
    // Known, unknown, and again: nobody can tell which.
    let accepted =
        ["usr-needle-01", "usr-needle-99", "usr-needle-01"].map(|of| server.restrict(of));
    assert_eq!(accepted[0].status, 202, "{}", accepted[0].text);
    assert!(accepted.iter().all(|one| shape(one) == shape(&accepted[0])));
    for answer in &accepted {
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        assert_eq!(answer.header("location"), Some(&*format!("/erasures/{id}")));
        let state = server.until_erasure(&id, &["certified"]);
        assert_eq!(
            (&state["kind"], &state["erased_at"]),
            (&json!("restriction"), &Value::Null)
        );
        assert!(state["restricted_at"].is_string() && state["certificate"].is_object());
    }
    assert_kept(&server, IMPORTED);
    // What comes of them is taken like anything else, and kept.
    let taken = ["usr-needle-01", "usr-needle-02"].map(|of| add(&server, of, LATER));
    assert_eq!(taken[0].status, 202, "{}", taken[0].text);
    assert_eq!(shape(&taken[0]), shape(&taken[1]));
    server.forget("user=usr-needle-02&item=i-of-nobody-else");
    assert_kept(&server, IMPORTED + 1);
    let server = server.restarted();
    assert_kept(&server, IMPORTED + 1);
    let data = server.data.clone();
    server.stop();
    assert_commands(&data);
    let server = Server::start(&data);
    assert_kept(&server, IMPORTED + 1);
    let lifted = ["usr-needle-01", "usr-needle-98", "usr-needle-01"].map(|of| server.lift(of));
    assert_eq!(lifted[0].status, 202, "{}", lifted[0].text);
    assert!(lifted.iter().all(|one| shape(one) == shape(&lifted[0])));
    server.until_learnt(total + 1);
    let person = server.person("usr-needle-01");
    assert_eq!(
        person,
        json!({
            "user": "usr-needle-01", "properties": {}, "interactions": IMPORTED + 1, "restricted": false,
        })
    );
    assert_eq!(server.recommended("usr-needle-01")["source"], "model");
    let mut wanted: Vec<Value> = server.wanted().as_array().expect("a list").clone();
    wanted.retain(|item| item["item"] != LATER);
    let sorted = |items: &[Value]| {
        let mut pairs: Vec<_> = items
            .iter()
            .map(|it| (it["item"].to_string(), it["score"].to_string()))
            .collect();
        pairs.sort();
        pairs
    };
    assert_eq!(sorted(&wanted), sorted(before.as_array().expect("a list")));
    assert_eq!(
        server.get("/users/usr-needle-99").json()["restricted"],
        true
    );
    let users = json!({"users": ["usr-needle-99"]});
    assert_eq!(server.post("/restrictions/lift", &users).status, 202);
    assert_eq!(server.get("/users/usr-needle-99").status, 404);
}

/// The commands know nothing of what is kept, and no file tells of whom it is.
fn assert_commands(data: &Path) {
    let with = |command: &str, more: &[&str]| {
        let mut call = recant();
        call.arg(command).arg("--data-dir").arg(data).args(more);
        run(&mut call)
    };
    let audit: Value = serde_json::from_str(&with("audit", &["--json"])).expect("JSON");
    assert_eq!(audit["bound_held"], true, "{audit}");
    let exported = with("export-interactions", &["--output", "-"]);
    assert_eq!(exported.lines().count(), 66);
    assert!(!exported.contains("usr-needle-01") && exported.contains("usr-needle-02"));
    with("scan", &["--needle", "usr-needle", "--needle", LATER]);
    with("train", &["--dim", "12", "--lambda", "0.05"]);
}

#[test]
fn a_restriction_is_asked_for_waited_for_and_receipted_as_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = trained(folder.path());
    let body = json!({"users": ["usr-needle-03", "usr-needle-77"]}).to_string();
    let headers = [("prefer", "wait=60"), ("idempotency-key", "a-key")];
    let asked = || server.send("POST", "/restrictions", Some(&body), &headers);
    let (first, again) = (asked(), asked());
    assert_eq!((first.status, again.status), (200, 200), "{}", first.text);
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(first.json()["receipt_salt"], again.json()["receipt_salt"]);
    let other = json!({"users": ["usr-needle-03"]}).to_string();
    let other = server.send("POST", "/restrictions", Some(&other), &headers[1..]);
    assert_eq!(other.status, 422, "{}", other.text);
    let id = first.json()["id"].as_str().expect("an id").to_owned();
    server.until_erasure(&id, &["certified"]);
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file
    };
    let keys = write("jwks.json", &server.get("/.well-known/jwks.json").text);
    let receipt = server.get(&format!("/erasures/{id}/receipt")).text;
    let (receipt, body) = (write("receipt.jws", &receipt), write("body.json", &body));
    let salt = first.json()["receipt_salt"]
        .as_str()
        .expect("a salt")
        .to_owned();
    let verified = |restriction: &[&str]| {
        let mut command = recant();
        command.arg("verify").arg(&receipt).arg("--jwks").arg(&keys);
        command
            .args(["--salt", &salt, "--pairs"])
            .arg(&body)
            .args(restriction);
        let output = command.output().expect("the binary starts");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("UTF-8"),
        )
    };
    let (code, text) = verified(&["--restriction"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("for restriction {id}")), "{text}");
    let (code, text) = verified(&[]);
    assert_eq!(code, Some(1), "it is no receipt of an erasure: {text}");
    // The state after `accepted` has a name of its own, to be asked for too.
    assert_eq!(server.get("/erasures?status=restricted").status, 200);
    let listed = server.get("/erasures?status=certified").json();
    assert_eq!(listed["erasures"][0]["kind"], "restriction");
    // Erased like anybody, with the restriction.
    server.forget("user=usr-needle-03");
    assert_eq!(server.get("/users/usr-needle-03").status, 404);
    assert_eq!(server.get("/export?user=usr-needle-03").text, "");
    assert_eq!(add(&server, "usr-needle-03", "i1").status, 202);
    server.until("somebody new", |server| {
        server.recommended("usr-needle-03")["source"] == "model"
    });
}
