//! Described items that nobody has touched, in the lists of people who like what they are like.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Server, import_and_train};

const USERS: usize = 24;
const ITEMS: usize = 30;

/// Users of even number like items of even number, of which the tag is `red`; the others `blue`.
fn prepare(data: &Path) {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        let liked = (0..ITEMS).filter(|item| (item + user) % 2 == 0);
        for item in liked.filter(|item| (item * item + user * user + item * user / 2) % 7 < 4) {
            csv.push_str(&format!("u{user},i{item}\n"));
        }
    }
    import_and_train(data, &csv, &["--dim", "32", "--lambda", "0.05"]);
}

fn enabled(command: &mut Command) {
    command.env("RECANT__CONTENT__ENABLED", "true");
    command.env("RECANT__CONTENT__REFRESH_SECONDS", "1");
}

fn describe_touched(server: &Server) {
    let said = (0..ITEMS).map(|item| json!({"id": format!("i{item}"), "tags": [colour(item)]}));
    let body = json!({"items": said.collect::<Vec<_>>()});
    assert_eq!(server.post("/items", &body).status, 200);
}

fn colour(number: usize) -> &'static str {
    ["red", "blue"][number % 2]
}

fn put(server: &Server, id: &str, said: &Value) {
    let answer = server.send("PUT", &format!("/items/{id}"), Some(&said.to_string()), &[]);
    assert!(answer.status < 300, "{}", answer.text);
}

/// The items of a list, each with what it says of its source.
fn list(server: &Server, path: &str) -> Vec<(String, Option<String>)> {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    read(&answer.json())
}

fn read(answer: &Value) -> Vec<(String, Option<String>)> {
    let items = answer["items"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let read = items.map(|item| (text(&item["item"]).expect("an id"), text(&item["source"])));
    read.collect()
}

fn source(server: &Server, path: &str, item: &str) -> Option<Option<String>> {
    let listed = list(server, path).into_iter();
    listed
        .into_iter()
        .find(|(id, _)| id == item)
        .map(|(_, source)| source)
}

const CONTENT: Option<&str> = Some("content");

fn is_content(server: &Server, path: &str, item: &str) -> bool {
    source(server, path, item).is_some_and(|source| source.as_deref() == CONTENT)
}

/// Where an item stands in a user's list.
fn place(server: &Server, user: &str, item: &str) -> usize {
    let listed = list(server, &format!("/recommend?user={user}&k=100"));
    let place = listed.iter().position(|(id, _)| id == item);
    place.unwrap_or_else(|| panic!("{item} is listed: {listed:?}"))
}

#[test]
fn a_new_item_is_listed_for_those_who_like_its_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    prepare(&data);
    let server = Server::start_with(&data, enabled);
    describe_touched(&server);
    put(
        &server,
        "new",
        &json!({"tags": ["red"], "title": "New", "properties": {"n": 1}}),
    );
    let all = "/recommend?user=u0&k=100";
    server.until("listed", |server| is_content(server, all, "new"));
    // A map that is there already gives another its row at once.
    put(&server, "newer", &json!({"tags": ["blue"]}));
    assert!(is_content(&server, all, "newer"));
    // u0 likes red, u1 likes blue.
    assert!(place(&server, "u0", "new") < place(&server, "u0", "newer"));
    assert!(place(&server, "u1", "newer") < place(&server, "u1", "new"));
    for (item, source) in list(&server, all) {
        assert_eq!(source.is_some(), item.starts_with("new"), "{item}");
    }
    every_selection_holds(&server);
    pages_are_pages_of_one_list(&server);
    explanations_are_of_the_model_alone(&server);

    // It leaves with a word, and comes back with one.
    put(&server, "newer", &json!({"tags": ["blue"], "hidden": true}));
    assert_eq!(source(&server, all, "newer"), None);
    put(&server, "newer", &json!({"tags": ["blue"]}));
    assert!(is_content(&server, all, "newer"));
    assert_eq!(server.delete("/items/newer").status, 202);
    assert_eq!(source(&server, all, "newer"), None);

    // A restart makes the rows anew.
    assert_eq!(server.stop(), Some(0));
    let server = Server::start_with(&data, enabled);
    server.until("listed again", |server| is_content(server, all, "new"));

    let liked =
        json!({"interactions": [{"user": "u2", "item": "new"}, {"user": "u4", "item": "new"}]});
    assert_eq!(server.post("/interactions", &liked).status, 202);
    let of_the_model = |server: &Server| source(server, all, "new") == Some(None);
    server.until("of the model", of_the_model);
    // What was learnt is erased, what is said stays: it is new again.
    server.forget("item=new");
    server.until("new again", |server| is_content(server, all, "new"));
    drop(server);

    let server = Server::start(&data);
    assert_eq!(
        source(&server, all, "new"),
        None,
        "off unless it is turned on"
    );
}

fn every_selection_holds(server: &Server) {
    let listed = |selection: &str| {
        let path = format!("/recommend?user=u0&k=100&{selection}");
        let new = ["new", "newer"];
        new.map(|item| is_content(server, &path, item))
    };
    for (selection, expected) in [
        ("tag=red", [true, false]),
        ("tags_none=red", [false, true]),
        ("tags_all=red,blue", [false, false]),
        ("exclude=new", [false, true]),
        ("allow=new,i1", [true, false]),
        ("filter=properties.n%20%3D%3D%201", [true, false]),
        ("filter=true&tag=blue", [false, true]),
        ("diversity=0.5", [true, true]),
    ] {
        assert_eq!(listed(selection), expected, "{selection}");
    }
    let ask = |body: Value| server.post("/recommend", &body);
    let pinned =
        ask(json!({"user": "u1", "k": 3, "pins": ["new"], "boosts": {"newer": 100.0}})).json();
    assert_eq!(pinned["items"][0]["item"], "new");
    assert_eq!(pinned["items"][0]["pinned"], true);
    assert_eq!(pinned["items"][0]["title"], "New");
    assert_eq!(pinned["items"][1]["item"], "newer");
    assert_eq!(pinned["items"][1]["boost"], 100.0);
    let session = read(&ask(json!({"history": ["i0", "new"], "k": 100})).json());
    let new: Vec<_> = session
        .iter()
        .filter(|(_, source)| source.is_some())
        .collect();
    assert_eq!(new.len(), 1, "what the session names is not listed");
    let lines = ask(json!({"users": ["u0", "nobody"], "k": 100})).text;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(read(&lines[0]), list(server, "/recommend?user=u0&k=100"));
    assert!(read(&lines[1]).iter().all(|(_, source)| source.is_none()));
}

fn pages_are_pages_of_one_list(server: &Server) {
    let whole = list(server, "/recommend?user=u1&k=100");
    let pages = (0..whole.len()).step_by(3);
    let paged = pages.flat_map(|at| list(server, &format!("/recommend?user=u1&k=3&offset={at}")));
    assert_eq!(paged.collect::<Vec<_>>(), whole);
}

/// What is proven is that of the same question without content items.
fn explanations_are_of_the_model_alone(server: &Server) {
    let ask = |rest: &str| {
        server
            .get(&format!("/recommend?user=u0&k=4&explain=true{rest}"))
            .json()
    };
    // A certificate may come between two questions.
    let same = |_: &Server| ask("")["explanation"] == ask("&exclude=new,newer")["explanation"];
    server.until("the same proof", same);
    let proven = |_: &Server| ask("")["explanation"]["top_k_proven"] == true;
    server.until("a proof that holds", proven);
    let with = ask("");
    assert!(with["explanation"]["margin"].is_number(), "{with}");
    for item in with["items"].as_array().expect("a list") {
        assert_eq!(
            item["source"].is_null(),
            item["because"].is_array(),
            "{item}"
        );
    }
}
