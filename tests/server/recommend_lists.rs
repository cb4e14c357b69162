//! Lists that are confined, and many lists at once, over a real socket.

use std::path::Path;

use crate::support::{Server, recant, run};
use serde_json::{Value, json};

const USERS: usize = 150;
const ITEMS: usize = 40;

/// Users of two tastes; items tagged by the remainder of their number.
fn server(folder: &Path) -> Server {
    let (pairs, items) = (folder.join("pairs.csv"), folder.join("items.csv"));
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..ITEMS).filter(|item| item % 2 == user % 2) {
            if (user * 7 + item * 3) % 10 < 5 {
                csv.push_str(&format!("u{user},i{item}\n"));
            }
        }
    }
    std::fs::write(&pairs, csv).expect("the file takes the rows");
    let mut csv = String::from("item_id,title,tags\n");
    for item in 0..ITEMS {
        let fizz = if item % 3 == 0 { "three | " } else { "" };
        let buzz = if item % 5 == 0 { "five" } else { "" };
        csv.push_str(&format!("i{item},Number {item},{fizz}{buzz}\n"));
    }
    std::fs::write(&items, csv).expect("the file takes the rows");
    let data = folder.join("data");
    let import = [
        "--items".as_ref(),
        items.as_os_str(),
        "--data-dir".as_ref(),
        data.as_os_str(),
    ];
    run(recant().arg("import").arg(&pairs).args(import));
    let train = ["--dim", "20", "--lambda", "0.05"];
    run(recant()
        .arg("train")
        .arg("--data-dir")
        .arg(&data)
        .args(train));
    Server::start(&data)
}

fn numbers(answer: &Value) -> Vec<usize> {
    let list = answer["items"].as_array().expect("a list");
    let number = |item: &Value| {
        item["item"].as_str().expect("an id")[1..]
            .parse()
            .expect("i7")
    };
    list.iter().map(number).collect()
}

/// The list of all items, filtered by hand: what a confined one must be.
fn all_but(whole: &[usize], keep: impl Fn(usize) -> bool) -> Vec<usize> {
    whole.iter().copied().filter(|item| keep(*item)).collect()
}

#[test]
fn lists_are_confined_by_tags_and_by_items() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    // A user of the model, and one it does not know, who gets what is popular.
    for user in ["u1", "nobody"] {
        let get = |more: &str| {
            let target = format!("/recommend?user={user}&k=1000&exclude_seen=false{more}");
            let answer = server.get(&target);
            assert_eq!(answer.status, 200, "{}", answer.text);
            numbers(&answer.json())
        };
        let whole = get("");
        assert_eq!(whole.len(), ITEMS);
        assert_eq!(get("&tag=three"), all_but(&whole, |item| item % 3 == 0));
        let either = |item: usize| item.is_multiple_of(3) || item.is_multiple_of(5);
        assert_eq!(get("&tag=three,five,unknown"), all_but(&whole, either));
        assert_eq!(get("&tag=unknown"), [0; 0]);
        assert_eq!(
            get("&allow=i4,i9,nothing,i4"),
            all_but(&whole, |item| [4, 9].contains(&item))
        );
        assert_eq!(get("&allow=i4,i9&tag=three"), [9]);
        assert_eq!(get("&allow=i4,i9&exclude=i4"), [9]);
        assert_eq!(get("&allow="), [0; 0]);
        let body = json!({"user": user, "k": 1000, "exclude_seen": false, "tags": ["five"],
                          "exclude": ["i5"]});
        let answer = server.post("/recommend", &body).json();
        assert_eq!(
            numbers(&answer),
            all_but(&whole, |item| item % 5 == 0 && item != 5)
        );
    }
    let session = json!({"history": ["i3", "i5"], "allow": ["i3", "i7", "i11"], "k": 5});
    let answer = server.post("/recommend", &session).json();
    assert_eq!(
        (answer["source"].as_str(), numbers(&answer).len()),
        (Some("fold_in"), 2)
    );
    assert_eq!(server.get("/recommend?user=u1&tag=three,,five").status, 400);
}

#[test]
fn many_users_get_what_each_would_get_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let mut users: Vec<String> = (0..USERS).map(|user| format!("u{user}")).collect();
    users.insert(70, String::from("nobody"));
    let options = json!({"k": 7, "exclude": ["i2"], "tags": ["three", "five"]});
    let ask = |name: &str, value: &Value| {
        let mut body = options.clone();
        body[name] = value.clone();
        let answer = server.post("/recommend", &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer
    };
    // A version may be swapped in between two questions; then both are asked again.
    server.until("a batch and its lists are of one version", |_| {
        let batch = ask("users", &json!(users));
        assert_eq!(batch.header("content-type"), Some("application/x-ndjson"));
        let lines = batch
            .text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let lines: Vec<Value> = lines.collect();
        assert_eq!(lines.len(), users.len());
        lines.iter().zip(&users).all(|(line, user)| {
            assert_eq!(line["model_version"], lines[0]["model_version"]);
            let alone = ask("user", &json!(user)).json();
            let same_version = line["model_version"] == alone["model_version"];
            assert!(!same_version || *line == alone, "{line} {alone}");
            same_version
        })
    });
    let nobody = server.post("/recommend", &json!({"users": []}));
    assert_eq!((nobody.status, nobody.text.as_str()), (200, ""));
    let both = server.post("/recommend", &json!({"users": ["u1"], "user": "u1"}));
    assert_eq!(both.status, 422);
}

/// Tags stay with an item whose every interaction was erased, and are there when it comes back.
#[test]
fn tags_outlive_the_interactions_of_their_item() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let listed = |server: &Server| {
        let answer = server.get("/recommend?user=nobody&k=1000&tag=five").json();
        numbers(&answer).contains(&5)
    };
    assert!(listed(&server));
    server.forget("item=i5");
    assert!(!listed(&server));
    let rows = json!({"interactions": [{"user": "u3", "item": "i5"}]});
    assert_eq!(server.post("/interactions", &rows).status, 202);
    server.until("the item is back", listed);
}
