//! The calls of gorse's clients over a real server: what is said reads back, what is deleted is an
//! erasure with a receipt, and no id of a path reaches the log.

use std::path::Path;

use crate::support::{Answer, Server, import_and_train};
use recant_types::UnixMillis;
use serde_json::{Value, json};

const CONFIGURATION: &str = "\
[gorse]
enabled = true

[feedback.types.star]

[feedback.types.watch]
combine = \"sum\"

[feedback.types.read]
weight = 0.1
target = 0.0
";

const USERS: usize = 24;
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

/// A server on a small model, in gorse's clothes.
fn start(folder: &Path) -> Server {
    let (data, config) = (folder.join("data"), folder.join("gorse.toml"));
    std::fs::write(&config, CONFIGURATION).expect("written");
    import_and_train(&data, &csv(), &["--dim", "12", "--lambda", "0.05"]);
    Server::start_with(&data, |command| {
        command.arg("--config").arg(&config);
    })
}

impl Server {
    /// A call of the face that is answered; exactly 200, as clients want it.
    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.gorse(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
        answer.json()
    }

    /// A call of the face, with the header that clients send; `null` as some send with every call.
    fn gorse(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("x-api-key", "none needed"), ("x-api-version", "2")];
        self.send(
            method,
            &format!("/api{path}"),
            Some(&body.to_string()),
            &headers,
        )
    }

    fn shown(&self, path: &str) -> Value {
        self.api("GET", path, &Value::Null)
    }

    /// The ids of a list.
    fn ids(&self, path: &str) -> Vec<String> {
        ids(&self.shown(path))
    }

    /// Type, item and value of what a user has.
    fn values(&self, user: &str) -> Vec<(String, String, f64)> {
        let held = self.shown(&format!("/user/{user}/feedback"));
        let held = held.as_array().expect("a list").iter().map(|held| {
            let text = |name: &str| held[name].as_str().expect("a text").to_owned();
            let value = held["Value"].as_f64().expect("a number");
            (text("FeedbackType"), text("ItemId"), value)
        });
        held.collect()
    }
}

fn ids(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    let id = |item: &Value| item["Id"].as_str().expect("an id").to_owned();
    items.map(id).collect()
}

fn one() -> Value {
    json!({"RowAffected": 1})
}

fn feedback(name: &str, user: &str, item: &str, value: f64) -> Value {
    json!({"FeedbackType": name, "UserId": user, "ItemId": item, "Value": value, "Timestamp": "",
        "Comment": ""})
}

#[test]
fn users_and_items_read_back_and_are_listed_by_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let user = json!({"UserId": "1000", "Labels": {"gender": "M", "hobbies": ["a", "b"]},
        "Comment": "né"});
    assert_eq!(server.api("POST", "/user/", &user), one());
    assert_eq!(server.shown("/user/1000"), user);
    assert_eq!(
        server.api("PATCH", "/user/1000", &json!({"Comment": "new"})),
        one()
    );
    assert_eq!(server.shown("/user/1000")["Comment"], "new");
    assert_eq!(server.shown("/user/1000")["Labels"], user["Labels"]);
    let more = json!([{"UserId": "1001"}, {"UserId": "1002", "Labels": null}]);
    assert_eq!(
        server.api("POST", "/users", &more),
        json!({"RowAffected": 2})
    );
    let nothing = json!({"UserId": "1001", "Labels": null, "Comment": ""});
    assert_eq!(server.shown("/user/1001"), nothing);
    let absent = server.gorse("GET", "/user/nobody", &Value::Null);
    assert_eq!(
        (absent.status, absent.text.as_str()),
        (404, "user nobody not found")
    );
    let page = server.shown("/users?n=2&cursor=");
    assert_eq!(page["Users"][1], nothing, "in the order of ids");
    let cursor = page["Cursor"].as_str().expect("a text").to_owned();
    let rest = server.shown(&format!("/users?n=1000&cursor={cursor}"));
    assert_eq!(rest["Users"].as_array().map(Vec::len), Some(USERS + 1));
    assert_eq!(rest["Cursor"], "");

    let item = json!({"ItemId": "2000", "IsHidden": true, "Labels": {"embedding": [0.1, 0.2]},
        "Categories": ["Comedy", "Animation"], "Timestamp": "2022-08-07T00:26:46Z",
        "Comment": "Minions (2015)"});
    assert_eq!(server.api("POST", "/item", &item), one());
    assert_eq!(server.shown("/item/2000"), item);
    let patch = json!({"Comment": "小黄人 (2015)", "IsHidden": null, "Categories": null});
    assert_eq!(server.api("PATCH", "/item/2000", &patch), one());
    assert_eq!(server.shown("/item/2000")["Comment"], "小黄人 (2015)");
    for (method, expected) in [
        ("PUT", json!(["Comedy", "Animation", "War & Peace"])),
        ("DELETE", json!(["Comedy", "Animation"])),
    ] {
        let path = "/item/2000/category/War%20%26%20Peace";
        assert_eq!(server.api(method, path, &Value::Null), one());
        assert_eq!(server.shown("/item/2000")["Categories"], expected);
    }
    let absent = server.gorse("PATCH", "/item/nothing", &json!({"Comment": "x"}));
    assert_eq!(
        (absent.status, absent.text.as_str()),
        (404, "item nothing not found")
    );
    let page = server.shown("/items?n=1");
    assert_eq!(page["Items"][0]["ItemId"], "2000");
    let cursor = page["Cursor"].as_str().expect("a text");
    let rest = server.shown(&format!("/items?n=1000&cursor={cursor}"));
    assert_eq!(rest["Items"].as_array().map(Vec::len), Some(ITEMS));
    assert_eq!(rest["Items"][0]["ItemId"], "i0", "known by feedback alone");
}

#[test]
fn items_are_found_by_the_words_of_their_comments() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let named = |id: &str, comment: &str| json!({"ItemId": id, "Comment": comment});
    let items = json!([
        named("1", "Story of a Toy"),
        named("2", "Toy Story (1995)"),
        named("3", "Toys")
    ]);
    assert_eq!(
        server.api("POST", "/items", &items),
        json!({"RowAffected": 3})
    );
    let found = |query: &str| {
        let page = server.shown(&format!("/items?q={query}"));
        assert_eq!(page["Cursor"], "");
        let items = page["Items"].as_array().expect("a list").iter();
        let id = |item: &Value| item["ItemId"].as_str().expect("an id").to_owned();
        items.map(id).collect::<Vec<_>>()
    };
    assert_eq!(found("TOY%20%20story&n=3"), ["2", "1"]);
    assert_eq!(found("toy&n=2"), ["1", "2"]);
    assert_eq!(found("nothing"), [""; 0]);
}

#[test]
fn feedback_is_one_of_a_type_and_pair_and_is_shown_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let rows = json!([
        feedback("watch", "2000", "i1", 1.0),
        feedback("watch", "2000", "i2", 2.0),
        feedback("star", "2000", "i1", 0.0)
    ]);
    assert_eq!(
        server.api("POST", "/feedback/", &rows),
        json!({"RowAffected": 3})
    );
    let of = |name: &str, item: &str, value| (name.to_owned(), item.to_owned(), value);
    let held = [
        of("star", "i1", 1.0),
        of("watch", "i1", 1.0),
        of("watch", "i2", 2.0),
    ];
    assert_eq!(server.values("2000"), held);
    assert_eq!(
        server.shown("/user/2000")["UserId"],
        "2000",
        "known by feedback alone"
    );

    // What is posted adds up where the type says so; what is put takes the place.
    server.api(
        "POST",
        "/feedback",
        &json!([feedback("watch", "2000", "i2", 3.0)]),
    );
    server.api(
        "PUT",
        "/feedback",
        &json!([feedback("star", "2000", "i1", 4.0)]),
    );
    let held = [
        of("star", "i1", 4.0),
        of("watch", "i1", 1.0),
        of("watch", "i2", 5.0),
    ];
    assert_eq!(server.values("2000"), held);
    let refused = server.gorse(
        "PUT",
        "/feedback",
        &json!([feedback("watch", "2000", "i2", 1.0)]),
    );
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("combine"), "{}", refused.text);
    let refused = server.gorse(
        "POST",
        "/feedback",
        &json!([feedback("like", "2000", "i2", 1.0)]),
    );
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("feedback.types"), "{}", refused.text);

    let typed = server.shown("/user/2000/feedback/watch");
    assert_eq!(typed.as_array().map(Vec::len), Some(2));
    let pair = server.shown("/feedback/2000/i1");
    assert_eq!(pair.as_array().map(Vec::len), Some(2));
    let one_of_them = server.shown("/feedback/star/2000/i1");
    assert_eq!(one_of_them["Value"], 4.0);
    assert_eq!(server.shown("/feedback/read/2000/i1"), json!({}));
    let of_item = server.shown("/item/i1/feedback");
    let of_item = of_item.as_array().expect("a list").iter();
    let users: Vec<&str> = of_item
        .map(|held| held["UserId"].as_str().expect("an id"))
        .collect();
    let others = csv().lines().filter(|line| line.ends_with(",i1")).count();
    assert_eq!(users.len(), others + 2);
    assert_eq!(
        users.iter().filter(|user| **user == "2000").count(),
        2,
        "of two types"
    );
    let typed = server.shown("/item/i1/feedback/star");
    assert_eq!(typed, json!([one_of_them]));
}

#[test]
fn all_feedback_is_paged_without_a_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    server.api(
        "POST",
        "/feedback",
        &json!([feedback("star", "u3", "i9", 1.0)]),
    );
    let walk = |path: &str, n: usize| {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = server.shown(&format!("{path}?n={n}&cursor={cursor}"));
            let rows = page["Feedback"].as_array().expect("a list");
            assert!(rows.len() <= n);
            all.extend(rows.iter().map(|row| {
                let text = |name: &str| row[name].as_str().expect("a text").to_owned();
                (text("UserId"), text("FeedbackType"), text("ItemId"))
            }));
            page["Cursor"]
                .as_str()
                .expect("a text")
                .clone_into(&mut cursor);
            if cursor.is_empty() {
                return all;
            }
        }
    };
    let all = walk("/feedback", 1_000);
    assert!(all.is_sorted() && all.len() == csv().lines().count());
    for n in [1, 7] {
        assert_eq!(walk("/feedback", n), all, "{n} a page");
    }
    let starred = [("u3", "star", "i9")].map(|(u, t, i)| (u.into(), t.into(), i.into()));
    assert_eq!(walk("/feedback/star", 1), starred);
}

#[test]
fn what_is_deleted_is_erased_whether_or_not_it_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    server.api(
        "POST",
        "/user",
        &json!({"UserId": "u1", "Labels": ["needle"]}),
    );
    let described = json!({"ItemId": "i2", "Comment": "needle"});
    server.api("POST", "/item", &described);
    for path in [
        "/feedback/star/u3/i3",
        "/feedback/u2/i1",
        "/feedback/nobody/nothing",
        "/user/u1",
        "/user/nobody",
        "/item/i2",
        "/item/nothing",
    ] {
        let answer = server.gorse("DELETE", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let erased = answer.json();
        assert_eq!(erased["RowAffected"], 1, "{path}");
        let location = answer.header("location").expect("where to follow it");
        let link = format!("<{location}>; rel=\"status\"");
        assert_eq!(answer.header("link"), Some(link.as_str()));
        let id = erased["ErasureId"].as_str().expect("an id");
        assert_eq!(location, format!("/erasures/{id}"));
        assert!(erased["ReceiptSalt"].is_string());
        assert_eq!(server.get(location).status, 200, "{path}");
    }
    for (path, text) in [
        ("/user/u1", "user u1 not found"),
        ("/item/i2", "item i2 not found"),
    ] {
        server.until("erased", |s| {
            s.gorse("GET", path, &Value::Null).status == 404
        });
        assert_eq!(server.gorse("GET", path, &Value::Null).text, text);
    }
    assert_eq!(server.values("u1"), []);
    let has = |user: &str, item: &str| server.values(user).iter().any(|held| held.1 == item);
    assert!(!has("u2", "i1"));
    assert!((0..USERS).all(|user| !has(&format!("u{user}"), "i2")));
    // What happens after an erasure is new, even when a client says when to the second.
    server.until("taken again", |server| {
        let now = UnixMillis(UnixMillis::now().0 / 1_000 * 1_000);
        let mut row = feedback("star", "u1", "i4", 1.0);
        row["Timestamp"] = json!(now.to_rfc3339());
        server.api("POST", "/feedback", &json!([row]));
        !server.values("u1").is_empty()
    });
    let mut old = feedback("star", "u1", "i5", 1.0);
    old["Timestamp"] = json!("2022-08-07T00:26:46Z");
    let counted = server.api("POST", "/feedback", &json!([old]));
    assert_eq!(
        counted,
        one(),
        "the answer does not tell that it is held back"
    );
    assert_eq!(server.values("u1").len(), 1);
}

#[test]
fn lists_are_for_everybody_and_of_all_categories_that_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let item = |id: &str, categories: Value, time: &str| json!({"ItemId": id, "Categories": categories, "Timestamp": time});
    let items = json!([
        item("i0", json!(["a", "b"]), "2024-01-01T00:00:00Z"),
        item("i1", json!(["a"]), "2024-01-02T00:00:00Z"),
        item("i2", json!(["b"]), "2024-01-03T00:00:00Z"),
        item("new", json!(["b", "a"]), "2024-01-04T00:00:00Z")
    ]);
    server.api("POST", "/items", &items);
    server.api("POST", "/user", &json!({"UserId": "new"}));

    // Nothing is known of somebody new: what most wanted is for them.
    let popular = server.ids("/popular/?n=3");
    assert_eq!(server.ids("/recommend/new/?n=3"), popular);
    assert_eq!(server.ids("/non-personalized/popular?n=3"), popular);
    assert_eq!(server.ids("/recommend/new?n=2&offset=1"), popular[1..]);
    let plain = server
        .send("GET", "/api/recommend/new?n=3", None, &[])
        .json();
    assert_eq!(
        plain,
        json!(popular),
        "ids alone, unless version 2 is asked for"
    );

    assert_eq!(
        server.ids("/recommend/new?n=9&category=a&category=b"),
        ["i0"]
    );
    let mut of_a = server.ids("/recommend/new/a?n=9");
    of_a.sort_unstable();
    assert_eq!(of_a, ["i0", "i1"]);
    assert_eq!(server.ids("/latest/?n=2"), ["new", "i2"]);
    assert_eq!(server.ids("/latest/a"), ["new", "i1", "i0"]);
    let latest = server.shown("/latest?category=b&category=a&n=1");
    assert_eq!(latest[0]["Score"], 1_704_326_400.0);
    assert_eq!(server.ids("/non-personalized/latest?n=1"), ["new"]);

    let near = server.ids("/item/i0/neighbors/?n=3");
    assert_eq!(near.len(), 3);
    assert!(!near.contains(&String::from("i0")));
    assert_eq!(server.ids("/item-to-item/neighbors/i0?n=3"), near);
    assert_eq!(server.ids("/item/i1/neighbors/b?n=9").len(), 2);
    assert_eq!(server.ids("/item/unheard-of/neighbors"), [""; 0]);
    let theirs: Vec<String> = server.values("u3").into_iter().map(|held| held.1).collect();
    let near = server.ids("/item/i0/neighbors?n=12&user-id=u3");
    assert!(near.iter().all(|item| !theirs.contains(item)), "{near:?}");
    for path in ["/item-to-item/other/i0", "/non-personalized/other"] {
        let absent = server.gorse("GET", path, &Value::Null);
        assert_eq!(absent.status, 404);
        assert!(absent.text.ends_with("other not found"), "{}", absent.text);
    }
}

#[test]
fn a_session_is_a_history_and_leaves_what_it_names_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let rows = json!([
        {"FeedbackType": "star", "UserId": "", "ItemId": "i0", "Timestamp": "2024-01-01"},
        {"FeedbackType": "watch", "ItemId": "i3"},
        {"FeedbackType": "read", "ItemId": "i1"}]);
    let list = ids(&server.api("POST", "/session/recommend/?n=12", &rows));
    assert_eq!(list.len(), ITEMS - 3, "{list:?}");
    for named in ["i0", "i1", "i3"] {
        assert!(!list.iter().any(|item| item == named), "{named}");
    }
    let own = json!({"history": ["i0", "i3"], "exclude": ["i1"], "k": 12});
    let own = server.post("/recommend", &own).json();
    let own = own["items"].as_array().expect("a list").iter();
    let own: Vec<&str> = own
        .map(|item| item["item"].as_str().expect("an id"))
        .collect();
    assert_eq!(list, own, "what is only read says nothing of taste");
}

#[test]
fn a_list_that_is_written_back_leaves_the_next_one_when_its_time_has_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let first = server.ids("/recommend/u3?n=2");
    let later = "/recommend/u3?n=2&write-back-type=read&write-back-delay=1h";
    assert_eq!(server.ids(later), first);
    assert!(
        server.shown("/user/u3/feedback/read") == json!([]),
        "not yet"
    );
    assert_eq!(server.ids("/recommend/u3?n=2&write-back-type=read"), first);
    let read = server.shown("/user/u3/feedback/read");
    assert_eq!(
        read.as_array().map(Vec::len),
        Some(2),
        "durable when answered"
    );
    server.until("out of the list", |s| {
        let next = s.ids("/recommend/u3?n=2");
        next.iter().all(|item| !first.contains(item))
    });
    let soon = "/recommend/u5?n=1&write-back-type=read&write-back-delay=10ms";
    assert_eq!(server.ids(soon).len(), 1);
    server.until("written back", |s| {
        let read = s.shown("/user/u5/feedback/read");
        read.as_array().is_some_and(|read| read.len() == 1)
    });
}

#[test]
fn what_was_erased_stays_away_when_it_is_sent_again_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let now = UnixMillis(UnixMillis::now().0 / 1_000 * 1_000);
    let said = |item: &str| {
        let mut row = feedback("star", "2000", item, 2.0);
        row["Timestamp"] = json!(now.to_rfc3339());
        json!([row])
    };
    // A first word deletes what is not there, as programs do that clean up before they begin.
    server.api("DELETE", "/feedback/2000/i1", &Value::Null);
    server.api("POST", "/feedback", &said("i1"));
    let held = server.shown("/feedback/star/2000/i1");
    assert_eq!(held["Timestamp"], now.to_rfc3339().replace(".000Z", "Z"));
    server.api("POST", "/feedback", &said("i2"));
    server.api("DELETE", "/feedback/2000/i2", &Value::Null);
    server.api("POST", "/feedback", &said("i2"));
    assert_eq!(server.values("2000").len(), 1, "the pair came back");
    server.api("DELETE", "/user/2000", &Value::Null);
    server.api("POST", "/feedback", &said("i1"));
    assert_eq!(server.values("2000"), [], "the person came back");
    // The same word again is no older than it was the first time.
    let mut again = said("i3");
    again[0]["UserId"] = json!("2001");
    server.api("POST", "/feedback", &again);
    again[0]["Value"] = json!(5.0);
    server.api("PUT", "/feedback", &again);
    assert_eq!(server.values("2001")[0].2, 5.0);
}

#[test]
fn a_list_that_waits_to_be_written_back_is_held_back_by_an_erasure() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let read = |user: &str| server.shown(&format!("/user/{user}/feedback/read"));
    let later = |user: &str| {
        let path = "n=2&write-back-type=read&write-back-delay=500ms";
        server.ids(&format!("/recommend/{user}?{path}"))
    };
    assert_eq!(later("u3").len(), 2);
    server.api("DELETE", "/user/u3", &Value::Null);
    assert_eq!(later("u5").len(), 2);
    // What waits comes in its order, so that of the erased user came before.
    server.until("written back", |_| {
        read("u5").as_array().is_some_and(|read| read.len() == 2)
    });
    assert_eq!(read("u3"), json!([]));
    assert_eq!(server.values("u3"), []);
}

#[test]
fn ids_of_paths_reach_no_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    server.api(
        "POST",
        "/user",
        &json!({"UserId": "needle", "Labels": {"a": "needle"}}),
    );
    server.api(
        "POST",
        "/feedback",
        &json!([feedback("star", "needle", "i1", 1.0)]),
    );
    server.shown("/recommend/needle/?n=3");
    server.gorse("GET", "/user/needle-2", &Value::Null);
    server.gorse("POST", "/user", &json!({"UserId": "needle\u{7}"}));
    server.api("DELETE", "/user/needle", &Value::Null);
    server.until("logged", |s| s.logged().contains("/api/user/{user}"));
    assert!(!server.logged().contains("needle"), "{}", server.logged());
}

/// What a caller's language writes where it has no value makes nobody; who is there by such a name can be
/// looked up and erased.
#[test]
fn words_for_nothing_are_refused_by_every_call_that_brings_something() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let user = |id: Value| json!({"UserId": id, "Labels": null, "Comment": ""});
    let item = |id: Value| json!({"ItemId": id, "IsHidden": false, "Categories": [], "Timestamp": "", "Labels": null, "Comment": ""});
    for word in [
        json!("null"),
        json!("None"),
        json!(" NaN "),
        json!(""),
        json!(null),
    ] {
        let good = |kind: &str| json!(format!("good-{kind}"));
        let row = |user: &Value, item: &Value| json!({"FeedbackType": "star", "UserId": user, "ItemId": item, "Value": 1, "Timestamp": ""});
        for (method, path, body) in [
            ("POST", "/user", user(word.clone())),
            (
                "POST",
                "/users",
                json!([user(good("u")), user(word.clone())]),
            ),
            ("POST", "/item", item(word.clone())),
            (
                "POST",
                "/items",
                json!([item(good("i")), item(word.clone())]),
            ),
            (
                "POST",
                "/feedback",
                json!([row(&good("u"), &good("i")), row(&word, &good("i"))]),
            ),
            ("PUT", "/feedback", json!([row(&good("u"), &word)])),
        ] {
            let answer = server.gorse(method, path, &body);
            assert_eq!(
                answer.status, 400,
                "{method} {path} {word}: {}",
                answer.text
            );
            assert!(!answer.text.contains("good-"), "{}", answer.text);
        }
    }
    // A change makes a user who is not there, and no item.
    for (path, changed) in [("/user/null", 400), ("/item/NaN", 404)] {
        let answer = server.gorse("PATCH", path, &json!({"Comment": "x"}));
        assert_eq!(answer.status, changed, "{path}: {}", answer.text);
        for (method, status) in [("GET", 404), ("DELETE", 200)] {
            let answer = server.gorse(method, path, &Value::Null);
            assert_eq!(answer.status, status, "{method} {path}");
        }
    }
    // All or nothing, as gorse does: what came beside them is not there.
    for path in ["/user/good-u", "/item/good-i"] {
        assert_eq!(
            server.gorse("GET", path, &Value::Null).status,
            404,
            "{path}"
        );
    }
}
