//! Lists that are confined by what is said about items, and pages of lists, over a real socket. What a
//! list must be is computed here, by hand, from the whole list and from what was said.

use std::path::Path;

use crate::support::{Server, import_and_train};
use serde_json::{Value, json};

const USERS: usize = 60;
const ITEMS: usize = 40;

/// What is said about an item: tags by the remainders of its number, a price or none.
fn said(item: usize) -> Value {
    let tags: Vec<String> = [2, 3, 5]
        .into_iter()
        .filter(|by| item.is_multiple_of(*by))
        .map(|by| format!("by{by}"))
        .collect();
    let mut properties = json!({"number": item});
    if !item.is_multiple_of(4) {
        properties["price"] = json!(item as f64 / 2.0);
    }
    json!({"id": format!("i{item}"), "tags": tags, "properties": properties})
}

fn server(folder: &Path) -> Server {
    let data = folder.join("data");
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..USERS {
        for item in (0..ITEMS).filter(|item| (user * 7 + item * 3) % 10 < 4) {
            csv.push_str(&format!("u{user},i{item}\n"));
        }
    }
    import_and_train(&data, &csv, &["--dim", "12", "--lambda", "0.05"]);
    let server = Server::start(&data);
    let items: Vec<Value> = (0..ITEMS).map(said).collect();
    let answer = server.post("/items", &json!({ "items": items })).json();
    assert_eq!(answer["accepted"], ITEMS);
    server
}

/// The numbers of the items of a list, and its version.
fn list(server: &Server, path: &str) -> (Vec<usize>, Value) {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    read(&answer.json())
}

fn read(answer: &Value) -> (Vec<usize>, Value) {
    let items = answer["items"].as_array().expect("a list").iter();
    let number = |item: &Value| item["item"].as_str().expect("an id")[1..].parse();
    let numbers = items.map(|item| number(item).expect("a number"));
    (numbers.collect(), answer["model_version"].clone())
}

type Keeps = fn(usize) -> bool;

/// Parameters, the same in a body, and which items they leave.
fn selections() -> Vec<(&'static str, Value, Keeps)> {
    vec![
        ("tag=by2&tag=by3", json!({"tags": ["by2", "by3"]}), |i| {
            i % 2 == 0 || i % 3 == 0
        }),
        ("tag=by2,by3", json!({"tags": ["by2", "by3"]}), |i| {
            i % 2 == 0 || i % 3 == 0
        }),
        (
            "tags_all=by2&tags_all=by3",
            json!({"tags_all": ["by2", "by3"]}),
            |i| i % 6 == 0,
        ),
        ("tags_all=unknown", json!({"tags_all": ["unknown"]}), |_| {
            false
        }),
        (
            "tags_none=by2,by5",
            json!({"tags_none": ["by2", "by5"]}),
            |i| i % 2 != 0 && i % 5 != 0,
        ),
        (
            "tags_none=unknown",
            json!({"tags_none": ["unknown"]}),
            |_| true,
        ),
        (
            "tag=by2&tags_none=by3&exclude=i4&exclude=i8",
            json!({"tags": ["by2"], "tags_none": ["by3"], "exclude": ["i4", "i8"]}),
            |i| i % 2 == 0 && i % 3 != 0 && i != 4 && i != 8,
        ),
        (
            "filter=%22by3%22%20in%20tags%20%26%26%20properties.price%20%3C%2010",
            json!({"filter": "\"by3\" in tags && properties.price < 10"}),
            |i| i % 3 == 0 && i % 4 != 0 && i < 20,
        ),
        (
            "filter=!has(properties.price)&tags_none=by5&allow=i4,i8,i20,i9",
            json!({"filter": "!has(properties.price)", "tags_none": ["by5"],
                   "allow": ["i4", "i8", "i20", "i9"]}),
            |i| i == 4 || i == 8,
        ),
        ("filter=false", json!({"filter": "false"}), |_| false),
    ]
}

#[test]
fn every_list_is_the_whole_one_without_what_a_selection_leaves_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let lists = [
        (
            "/recommend?user=u1&exclude_seen=false",
            json!({"user": "u1", "exclude_seen": false}),
        ),
        ("/recommend?user=nobody", json!({"user": "nobody"})),
        ("/similar?item=i7", json!({"item": "i7"})),
    ];
    for (path, body) in &lists {
        for (parameters, fields, keeps) in selections() {
            let expected = |whole: Vec<usize>| -> Vec<usize> {
                whole.into_iter().filter(|item| keeps(*item)).collect()
            };
            let mut body = body.clone();
            body["k"] = json!(1_000);
            let whole_body = body.clone();
            for (name, value) in fields.as_object().expect("fields") {
                body[name] = value.clone();
            }
            let call = path.split('?').next().expect("a path");
            // A version may be swapped in between two questions; then both are asked again.
            server.until("two lists are of one version", |server| {
                let (whole, version) = list(server, &format!("{path}&k=1000"));
                let (found, then) = list(server, &format!("{path}&k=1000&{parameters}"));
                let (posted, last) = read(&server.post(call, &body).json());
                let same = version == then && then == last;
                assert!(
                    !same || found == expected(whole.clone()),
                    "{path} {parameters}"
                );
                assert!(!same || posted == found, "{path} {fields}");
                same
            });
            assert_eq!(server.post(call, &whole_body).status, 200);
        }
    }
    let batch = json!({"users": ["u1", "nobody"], "k": 1000, "exclude_seen": false,
                       "filter": "'by2' in tags"});
    let answer = server.post("/recommend", &batch);
    for line in answer.text.lines() {
        let (numbers, _) = read(&serde_json::from_str(line).expect("JSON"));
        assert_eq!(numbers.len(), ITEMS / 2);
        assert!(numbers.iter().all(|number| number % 2 == 0));
    }
}

#[test]
fn a_filter_follows_every_change_and_proofs_know_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    let path = "/recommend?user=u1&k=1000&exclude_seen=false&filter=properties.price%20%3E%20100";
    assert_eq!(list(&server, path).0, [0; 0]);
    let patch = |item: &str, changes: Value| {
        let path = format!("/items/{item}");
        let answer = server.send("PATCH", &path, Some(&changes.to_string()), &[]);
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    for (item, price) in [
        ("i3", json!(101)),
        ("i9", json!(102)),
        ("i3", json!(99)),
        ("i9", Value::Null),
    ] {
        patch(item, json!({"properties": {"price": price}}));
        let expected = if price.as_f64().is_some_and(|price| price > 100.0) {
            1
        } else {
            0
        };
        let found = list(&server, path).0;
        let is_there = found.contains(&item[1..].parse().expect("a number"));
        assert_eq!(is_there, expected == 1, "{item} {price}: {found:?}");
    }
    // Described first, touched later: the filter finds it then.
    patch("i3", json!({"properties": {"price": 500}}));
    let new = json!({"properties": {"price": 900}}).to_string();
    assert_eq!(
        server.send("PUT", "/items/i77", Some(&new), &[]).status,
        200
    );
    assert_eq!(list(&server, path).0, [3]);
    let rows = json!({"interactions": [{"user": "u1", "item": "i77"}]});
    assert_eq!(server.post("/interactions", &rows).status, 202);
    server.until("it is in the list", |server| {
        list(server, path).0.contains(&77)
    });
    let explained = server.get(&format!("{path}&explain=true")).json();
    assert_eq!(explained["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        explained["explanation"]["margin"],
        Value::Null,
        "{explained}"
    );
    let shown = server
        .get("/items?filter=properties.price%20%3E%20100&limit=1")
        .json();
    assert_eq!(shown["items"][0]["id"], "i3");
    let next = shown["next_cursor"].as_str().expect("there is more");
    let shown = server.get(&format!(
        "/items?filter=properties.price%20%3E%20100&cursor={next}"
    ));
    assert_eq!(shown.json()["items"][0]["id"], "i77");
}

#[test]
fn pages_of_one_version_are_one_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    for path in [
        "/recommend?user=u1&exclude_seen=false&tags_none=by5",
        "/recommend?user=nobody",
        "/similar?item=i7",
    ] {
        server.until("all pages are of one version", |server| {
            let (whole, version) = list(server, &format!("{path}&k=1000"));
            let pages: Vec<_> = (0..9)
                .map(|page| list(server, &format!("{path}&k=5&offset={}", page * 5)))
                .collect();
            let same = pages.iter().all(|(_, of)| *of == version);
            let together: Vec<usize> = pages.into_iter().flat_map(|(page, _)| page).collect();
            assert!(!same || together == whole, "{path}");
            same
        });
    }
    for bad in [
        "offset=-1",
        "offset=10001",
        "offset=x",
        "offset=5&explain=true",
    ] {
        let answer = server.get(&format!("/recommend?user=u1&{bad}"));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!("invalid_query")),
            "{bad}"
        );
    }
}

#[test]
fn a_wrong_filter_is_a_problem_that_says_where_and_not_what() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    for (filter, part) in [
        ("needle%20%3D%3D", "column"),
        ("tags%20%26%26%20needle", "(line 1, column 9)"),
        ("needle(tags)", "may call"),
        ("", "no expression"),
    ] {
        for path in ["/recommend?user=u1", "/similar?item=i1", "/items?limit=1"] {
            let answer = server.get(&format!("{path}&filter={filter}"));
            let problem = answer.json();
            assert_eq!(
                (answer.status, &problem["code"]),
                (400, &json!("invalid_filter"))
            );
            let detail = problem["detail"].as_str().expect("a detail");
            assert!(
                detail.contains(part) && !detail.contains("needle"),
                "{detail}"
            );
        }
    }
    let body = json!({"user": "u1", "filter": "needle"});
    let answer = server.post("/recommend", &body);
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (400, Some("invalid_filter"))
    );
    assert_eq!(
        server
            .get("/recommend?user=u1&filter='needle'%20in%20tags")
            .status,
        200
    );
    let log = std::fs::read_to_string(&server.log).expect("a log");
    assert!(!log.contains("needle") && !server.get("/metrics").text.contains("needle"));
}
