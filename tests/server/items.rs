//! What is said about items while a server runs, over a real socket.

use std::path::Path;

use crate::support::{Answer, Server, import_and_train, recant, run};
use serde_json::{Value, json};

const USERS: usize = 30;
const ITEMS: usize = 12;

fn csv() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..ITEMS).filter(|item| (user * 5 + item * 3) % 7 < 3) {
            csv.push_str(&format!("u{user},i{item}\n"));
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
    fn put(&self, id: &str, item: &Value) -> Answer {
        let text = item.to_string();
        self.send("PUT", &format!("/items/{id}"), Some(&text), &[])
    }

    fn patch(&self, id: &str, changes: &Value) -> Answer {
        let text = changes.to_string();
        self.send("PATCH", &format!("/items/{id}"), Some(&text), &[])
    }

    /// Ids and scores of a list, and what the answer says otherwise.
    fn list(&self, path: &str) -> Vec<(String, f64)> {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        let answer = answer.json();
        let items = answer["items"].as_array().expect("a list");
        let entry = |item: &Value| {
            let id = item["item"].as_str().expect("an id").to_owned();
            (id, item["score"].as_f64().expect("a score"))
        };
        items.iter().map(entry).collect()
    }
}

fn full(id: &str) -> Value {
    json!({"id": id, "title": "A title", "tags": ["a", "b"], "hidden": false,
           "properties": {"price": 12.5, "pages": 300, "language": "en", "new": true},
           "timestamp": 1_700_000_000})
}

fn ids(list: &[(String, f64)]) -> Vec<&str> {
    list.iter().map(|(id, _)| id.as_str()).collect()
}

#[test]
fn an_item_is_described_before_anybody_touched_it_and_stays_so_through_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    assert_eq!(server.get("/items/new").status, 404);
    let answer = server.put(
        "new",
        &json!({"title": "A title", "tags": ["b", "a", "b"],
        "properties": {"price": 12.5, "pages": 300, "language": "en", "new": true},
        "timestamp": 1_700_000_000}),
    );
    assert_eq!((answer.status, answer.json()), (200, full("new")));
    assert_eq!(server.get("/items/new").json(), full("new"));
    // The model is what it was: to the version, and to the bit of every score.
    server.until(
        "something is said between two lists of one version",
        |server| {
            let list = || {
                server
                    .get("/recommend?user=u1&k=100&exclude_seen=false")
                    .json()
            };
            let before = list();
            assert_eq!(server.put("other", &full("other")).status, 200);
            let after = list();
            let is_same_version = before["model_version"] == after["model_version"];
            assert!(!is_same_version || before == after, "{before} {after}");
            is_same_version
        },
    );
    let server = server.restarted();
    assert_eq!(server.get("/items/new").json(), full("new"));
    // People come, and it keeps what is said about it.
    let rows =
        json!({"interactions": [{"user": "u1", "item": "new"}, {"user": "u2", "item": "new"}]});
    assert_eq!(server.post("/interactions", &rows).status, 202);
    let titled = |server: &Server| {
        let answer = server.get("/recommend?user=u3&k=100&tag=a").json();
        answer["items"][0]["item"] == "new" && answer["items"][0]["title"] == "A title"
    };
    server.until("it is in a list", titled);
    let server = server.restarted();
    assert!(titled(&server));
    assert_eq!(server.get("/items/new").json(), full("new"));
    // They go, and it is still there.
    server.forget("item=new");
    assert!(server.list("/recommend?user=u3&k=100&tag=a").is_empty());
    assert_eq!(server.get("/items/new").json(), full("new"));
    assert_eq!(server.restarted().get("/items/new").json(), full("new"));
}

#[test]
fn a_hidden_item_leaves_every_list_at_once_and_what_was_learnt_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let lists = [
        "/recommend?user=u1&k=100&exclude_seen=false",
        "/recommend?user=u1&k=100&exclude_seen=false&as_of=certified",
        "/recommend?user=nobody&k=100",
        "/similar?item=i1&k=100",
    ];
    let session = json!({"history": ["i1", "i2"], "k": 100});
    let batch = json!({"users": ["u1", "nobody"], "k": 100, "exclude_seen": false});
    let before: Vec<_> = lists.iter().map(|path| server.list(path)).collect();
    let hidden = json!({"hidden": true});
    assert_eq!(server.patch("i3", &hidden).json()["hidden"], true);
    for (path, before) in lists.iter().zip(&before) {
        let mut without = before.clone();
        without.retain(|(id, _)| id != "i3");
        assert_eq!(without.len() + 1, before.len(), "{path}");
        assert_eq!(&server.list(path), &without, "{path}");
    }
    for body in [&session, &batch] {
        let answer = server.post("/recommend", body);
        assert!(answer.status == 200 && !answer.text.contains("\"i3\""));
    }
    // A proof does not speak of it either: nothing is outside a list of all others.
    let answer = server.get("/recommend?user=u1&k=100&exclude_seen=false&explain=true");
    assert_eq!(
        answer.json()["explanation"]["margin"],
        Value::Null,
        "{}",
        answer.text
    );
    let server = server.restarted();
    let all = server.list(lists[0]);
    assert!(!ids(&all).contains(&"i3"));
    assert_eq!(server.patch("i3", &json!({"hidden": null})).status, 200);
    let shown = server.list(lists[0]);
    assert_eq!(ids(&shown).len(), ITEMS);
}

#[test]
fn a_deleted_item_is_erased_with_its_description_and_the_answer_is_that_of_any_erasure() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let key = [("idempotency-key", "once"), ("prefer", "wait=60")];
    for id in ["i4", "untouched"] {
        assert_eq!(server.put(id, &full(id)).status, 200);
    }
    let mut shapes = Vec::new();
    for (id, headers) in [
        ("i4", &key[..]),
        ("untouched", &key[1..]),
        ("never-was", &key[1..]),
    ] {
        let answer = server.send("DELETE", &format!("/items/{id}"), None, headers);
        assert_eq!(answer.status, 200, "{}", answer.text);
        let erasure = answer.json();
        let location = format!("/erasures/{}", erasure["id"].as_str().expect("an id"));
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert!(erasure["receipt_salt"].is_string());
        let names: Vec<String> = erasure
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        shapes.push((
            names,
            answer.header("preference-applied").map(str::to_owned),
        ));
        assert_eq!(server.get(&format!("/items/{id}")).status, 404);
    }
    assert!(shapes.windows(2).all(|two| two[0] == two[1]), "{shapes:?}");
    let list = server.list("/recommend?user=u1&k=100&exclude_seen=false");
    assert!(!ids(&list).contains(&"i4"));
    // It is described anew; the same key erases nothing a second time.
    assert_eq!(server.put("i4", &full("i4")).status, 200);
    let again = server.send("DELETE", "/items/i4", None, &key);
    assert_eq!(again.status, 200);
    assert_eq!(server.get("/items/i4").json(), full("i4"));
    // The erasure of the interactions alone is another request.
    let other = server.send("DELETE", "/interactions?item=i4", None, &key);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
    let server = server.restarted();
    assert_eq!(server.get("/items/i4").json(), full("i4"));
    assert_eq!(server.get("/items/untouched").status, 404);
}

#[test]
fn many_items_come_as_json_or_lines_and_pages_show_them_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let mut items: Vec<Value> = (0..250)
        .map(|at| json!({"id": format!("z{at:03}")}))
        .collect();
    items.insert(3, json!({"id": "z", "title": 7}));
    items.insert(9, json!("needle"));
    let answer = server.post("/items", &json!({ "items": items })).json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["index"]),
        (&json!(250), &json!(3))
    );
    assert_eq!(answer["rejected"][1]["index"], 9);
    assert!(!answer.to_string().contains("needle"));
    let lines = "{\"id\":\"é/?&\",\"tags\":[\"x\"]}\n\n{\"id\":\"z000\",\"title\":\"new\"}\nno\n";
    let typed = [("content-type", "application/x-ndjson")];
    let answer = server.send("POST", "/items", Some(lines), &typed).json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["index"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        server.get("/items/%C3%A9%2F%3F%26").json()["tags"],
        json!(["x"])
    );
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/items?limit=60{cursor}")).json();
        let items = page["items"].as_array().expect("a list");
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().expect("an id").to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut expected: Vec<String> = (0..ITEMS).map(|at| format!("i{at}")).collect();
    expected.extend((0..250).map(|at| format!("z{at:03}")));
    expected.push(String::from("é/?&"));
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(server.get("/items/z000").json()["title"], "new");
    assert_eq!(server.get("/items/i1").json()["tags"], json!([]));
}

#[test]
fn what_is_wrong_is_a_problem_changes_nothing_and_is_never_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    assert_eq!(server.put("x", &full("x")).status, 200);
    let many = |count: usize| json!({"items": vec![json!({"id": "a"}); count]}).to_string();
    let cases = [
        ("PUT", "/items/x", r#"{"id":"needle"}"#, 422, "invalid_body"),
        (
            "PUT",
            "/items/x",
            r#"{"title":"x","properties":{"needle":[1]}}"#,
            422,
            "invalid_body",
        ),
        (
            "PUT",
            "/items/x",
            r#"{"tags":"needle"}"#,
            422,
            "invalid_body",
        ),
        ("PUT", "/items/x", "[1]", 422, "invalid_body"),
        ("PUT", "/items/x", "{", 400, "malformed_body"),
        ("PUT", "/items/%00", "{}", 400, "invalid_item_id"),
        ("PUT", "/items/null", "{}", 400, "invalid_item_id"),
        ("PUT", "/items/%ff", "{}", 400, "invalid_item_id"),
        ("PUT", "/items/x?Needle=1", "{}", 400, "invalid_query"),
        ("PATCH", "/items/x", r#"{"needle":1}"#, 422, "invalid_body"),
        (
            "PATCH",
            "/items/x",
            r#"{"properties":{"needle needle":1}}"#,
            422,
            "invalid_body",
        ),
        ("PATCH", "/items/needle", "{}", 404, "item_not_found"),
        ("POST", "/items", r#"{"needle":[]}"#, 422, "invalid_body"),
        ("POST", "/items", &many(10_001), 413, "body_too_large"),
        ("GET", "/items?limit=0", "", 400, "invalid_query"),
        ("GET", "/items?cursor=", "", 400, "invalid_query"),
        ("GET", "/items/needle", "", 404, "item_not_found"),
    ];
    for (method, path, body, status, code) in cases {
        let body = (method != "GET").then_some(body);
        let answer = server.send(method, path, body, &[]);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{method} {path}: {problem}");
        assert!(
            !answer.text.contains("needle"),
            "{method} {path}: {problem}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
    let typed = [("content-type", "text/csv")];
    assert_eq!(server.send("POST", "/items", Some("a"), &typed).status, 415);
    assert_eq!(server.get("/items/x").json(), full("x"));
    let secret = json!({"title": "needle", "tags": ["needle"], "properties": {"p": "needle"}});
    assert_eq!(server.put("needle", &secret).status, 200);
    assert_eq!(server.delete("/items/needle").status, 202);
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("/items/{id}") && !metrics.contains("needle"));
    let log = std::fs::read_to_string(&server.log).expect("a log");
    assert!(!log.contains("needle"), "{log}");
}

/// Descriptions do not take part in training: the factors are the same to the bit.
#[test]
fn the_model_is_the_same_with_and_without_descriptions() {
    let folder = tempfile::tempdir().expect("a folder");
    let pairs = folder.path().join("pairs.csv");
    std::fs::write(&pairs, csv()).expect("the file takes the rows");
    let items = folder.path().join("items.jsonl");
    // Some that nobody touched, before, between and after the others.
    let lines = (0..40).map(|at| full(&format!("i{}", at * 7 % 40)).to_string() + "\n");
    std::fs::write(&items, lines.collect::<String>()).expect("the file takes the rows");
    let lists = [false, true].map(|described| {
        let data = folder.path().join(format!("data-{described}"));
        let mut import = recant();
        import
            .arg("import")
            .arg(&pairs)
            .arg("--data-dir")
            .arg(&data);
        if described {
            import.arg("--items").arg(&items);
        }
        run(&mut import);
        let train = ["--dim", "8", "--lambda", "0.05"];
        run(recant()
            .arg("train")
            .arg("--data-dir")
            .arg(&data)
            .args(train));
        let server = Server::start(&data);
        if described {
            assert_eq!(server.get("/items/i39").json(), full("i39"));
            assert_eq!(server.get("/items/i1").json(), full("i1"));
        }
        let lists: Vec<_> = (0..USERS)
            .map(|user| server.list(&format!("/recommend?user=u{user}&k=100")))
            .collect();
        (server.get("/model").json()["items"].clone(), lists)
    });
    assert_eq!(lists[0], lists[1]);
}
