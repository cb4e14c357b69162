//! Where scores come from, over a real socket.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Server, import_and_train};
use serde_json::{Value, json};

const USERS: usize = 40;
const ITEMS: usize = 30;

fn has(user: usize, item: usize) -> bool {
    item % 2 == user % 2 && (user * 7 + item * 3) % 10 < 6
}

fn server(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..ITEMS).filter(|item| has(user, *item)) {
            csv.push_str(&format!("u{user},i{item}\n"));
        }
    }
    import_and_train(&data, &csv, &["--dim", "12", "--lambda", "0.05"]);
    let server = Server::start(&data);
    let said: Vec<Value> = (0..ITEMS)
        .map(|item| json!({"id": format!("i{item}"), "title": format!("Number {item}")}))
        .collect();
    assert_eq!(server.post("/items", &json!({"items": said})).status, 200);
    server
}

fn history(user: usize) -> BTreeSet<String> {
    let items = (0..ITEMS).filter(|item| has(user, *item));
    items.map(|item| format!("i{item}")).collect()
}

/// The items that are named as causes, over the whole list, after each score was found to be the sum of
/// what is said of it.
fn named(answer: &Value) -> BTreeSet<String> {
    let items = answer["items"].as_array().expect("a list");
    assert!(!items.is_empty(), "{answer}");
    let mut all = BTreeSet::new();
    for item in items {
        let because = item["because"].as_array().expect("it was asked for");
        let share = |cause: &Value| cause["share"].as_f64().expect("a number");
        let sum: f64 = because.iter().map(share).sum();
        let (score, others) = (&item["score"], &item["others"]);
        let (score, others) = (score.as_f64().expect("one"), others.as_f64().expect("one"));
        assert!((sum + others - score).abs() < 1e-6, "{item}");
        let sizes: Vec<f64> = because.iter().map(|cause| share(cause).abs()).collect();
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{item}");
        for cause in because {
            let id = cause["item"].as_str().expect("an id");
            assert_eq!(cause["title"], format!("Number {}", &id[1..]));
            all.insert(id.to_owned());
        }
    }
    all
}

#[test]
fn scores_are_the_sums_of_the_shares_of_a_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    for as_of in ["live", "certified"] {
        let path = format!("/recommend?user=u1&explain=true&as_of={as_of}");
        let few = named(&server.get(&path).json());
        assert!(!few.is_empty() && few.is_subset(&history(1)), "{few:?}");
        let all = server.get(&format!("{path}&because=1000")).json();
        assert_eq!(named(&all), history(1));
        let body = json!({"user": "u1", "explain": true, "because": 1, "as_of": as_of});
        let one = server.post("/recommend", &body).json();
        named(&one);
        let items = one["items"].as_array().expect("a list");
        let lengths = items
            .iter()
            .map(|item| item["because"].as_array().map(Vec::len));
        assert!(lengths.into_iter().all(|length| length == Some(1)), "{one}");
    }
    let none = server
        .get("/recommend?user=u1&explain=true&because=0")
        .json();
    assert_eq!(named(&none), BTreeSet::new());
    let session = json!({"history": ["i3", "i8", "unknown"], "explain": true, "tags_none": ["x"]});
    let answer = server.post("/recommend", &session).json();
    assert_eq!(answer["source"], "fold_in");
    let expected = BTreeSet::from(["i3", "i8"].map(String::from));
    assert_eq!(named(&answer), expected);
    // Counts come from no history, and nothing is said that was not asked for.
    for path in ["/recommend?user=nobody&explain=true", "/recommend?user=u1"] {
        let answer = server.get(path).json();
        let items = answer["items"].as_array().expect("a list");
        let silent = |item: &Value| item.get("because").or(item.get("others")).is_none();
        assert!(!items.is_empty() && items.iter().all(silent), "{answer}");
    }
}

/// A history is the person's own: an item of it that lists no longer show is still a cause. What was
/// erased is none from the moment that the erasure is accepted.
#[test]
fn causes_are_what_the_export_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let ask = || {
        let answer = server.get("/recommend?user=u1&explain=true&because=1000&k=1000");
        named(&answer.json())
    };
    let before = ask();
    let (hidden, erased) = ("i1", "i5");
    assert!(
        before.contains(hidden) && before.contains(erased),
        "{before:?}"
    );
    let hide = json!({"hidden": true}).to_string();
    let path = format!("/items/{hidden}");
    assert_eq!(server.send("PATCH", &path, Some(&hide), &[]).status, 200);
    assert_eq!(ask(), before);
    let answer = server.delete(&format!("/interactions?user=u1&item={erased}"));
    assert_eq!(answer.status, 202);
    let mut left = before.clone();
    left.remove(erased);
    assert_eq!(ask(), left, "at once");
    server.forget(&format!("user=u1&item={erased}"));
    assert_eq!(ask(), left, "and when it is forgotten");
    assert_eq!(server.delete("/interactions?user=u1").status, 202);
    let answer = server
        .get("/recommend?user=u1&explain=true&because=1000")
        .json();
    let items = answer["items"].as_array().expect("a list").iter();
    let causes = items.filter_map(|item| item["because"].as_array());
    assert_eq!(causes.map(Vec::len).sum::<usize>(), 0, "{answer}");
}

#[test]
fn a_number_of_causes_that_nobody_would_see_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    for (query, part) in [
        ("explain=true&because=1001", "from 0 to 1000"),
        ("explain=true&because=-1", "from 0 to 1000"),
        ("because=3", "explain"),
        ("explain=false&because=3", "explain"),
    ] {
        let answer = server.get(&format!("/recommend?user=u1&{query}"));
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["code"]),
            (400, &json!("invalid_query"))
        );
        assert!(
            problem["detail"].as_str().is_some_and(|d| d.contains(part)),
            "{problem}"
        );
    }
    for body in [
        json!({"user": "u1", "explain": true, "because": 1001}),
        json!({"user": "u1", "because": 3}),
        json!({"user": "u1", "explain": true, "because": "all"}),
        json!({"users": ["u1"], "explain": true, "because": 3}),
    ] {
        let answer = server.post("/recommend", &body);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (422, &json!("invalid_body"))
        );
    }
}
