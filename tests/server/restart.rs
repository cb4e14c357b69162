//! Restarts, gentle and not: what was acknowledged is still true.

use crate::support::{Server, import_and_train};
use serde_json::{Value, json};

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..40usize {
        for item in 0..25usize {
            if (user * user + 3 * item + user * item) % 4 == 0 {
                csv.push_str(&format!("user-{user},item-{item}\n"));
            }
        }
    }
    csv
}

fn pairs(csv: &str) -> Vec<(String, String)> {
    csv.lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .map(|(user, item)| (user.to_owned(), item.to_owned()))
        .collect()
}

fn held(server: &Server, user: &str) -> Vec<String> {
    let text = server.get(&format!("/export?user={user}")).text;
    let mut items: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["item"].clone())
        .map(|item| item.as_str().expect("an id").to_owned())
        .collect();
    items.sort();
    items
}

fn recommendations(server: &Server) -> Vec<Value> {
    let of = |user| {
        server
            .get(&format!("/recommend?user=user-{user}&k=10"))
            .json()["items"]
            .clone()
    };
    (0..40).map(of).collect()
}

#[test]
fn a_gentle_stop_and_a_restart_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "32"]);
    let server = Server::start(&data);
    let erasure = server.forget("user=user-3&item=item-1");
    let id = erasure["id"].as_str().expect("an id").to_owned();
    server.until_erasure(&id, &["certified"]);
    let (model, lists) = (server.model(), recommendations(&server));
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(&data);
    server.until_erasure(&id, &["certified"]);
    for count in ["version", "users", "items", "interactions"] {
        assert_eq!(server.model()[count], model[count], "{count}");
    }
    for (before, after) in lists.iter().zip(recommendations(&server)) {
        let names = |list: &Value| -> Vec<Value> {
            list.as_array()
                .expect("a list")
                .iter()
                .map(|s| s["item"].clone())
                .collect()
        };
        assert_eq!(names(before), names(&after));
    }
}

#[test]
fn acknowledged_work_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let csv = catalogue();
    import_and_train(&data, &csv, &["--dim", "32"]);
    let mut expected = pairs(&csv);
    let mut ids: Vec<String> = Vec::new();
    for round in 0..8usize {
        let server = Server::start(&data);
        let model = server.model();
        // The worker may still be behind; the counts follow once everything is forgotten.
        for id in &ids {
            server.until_erasure(id, &["forgotten", "certified"]);
        }
        server.until("caught up", |s| {
            s.model()["interactions"].as_u64() == Some(expected.len() as u64)
        });
        assert!(server.model()["version"].as_u64() >= model["version"].as_u64());
        for step in 0..6usize {
            let (user, item) = expected.remove((round * 31 + step * 17) % expected.len());
            let answer = server.delete(&format!("/interactions?user={user}&item={item}"));
            assert_eq!(answer.status, 202, "{}", answer.text);
            ids.push(answer.json()["id"].as_str().expect("an id").to_owned());
            let (user, item) = (format!("user-{}", 50 + round), format!("item-{step}"));
            let add = json!({"interactions": [{"user": user, "item": item}]});
            assert_eq!(server.post("/interactions", &add).json()["accepted"], 1);
            expected.push((user, item));
            if step % 3 == round % 3 {
                // Let some of the work get further than others before the end.
                server.until_erasure(ids.last().expect("an id"), &["forgotten", "certified"]);
            }
        }
        server.kill();
    }
    let server = Server::start(&data);
    server.until("caught up", |s| {
        s.model()["interactions"].as_u64() == Some(expected.len() as u64)
    });
    let mut users: Vec<String> = expected.iter().map(|(user, _)| user.clone()).collect();
    users.sort();
    users.dedup();
    assert_eq!(server.model()["users"].as_u64(), Some(users.len() as u64));
    for user in users {
        let mut items: Vec<String> = expected
            .iter()
            .filter(|(u, _)| *u == user)
            .map(|(_, i)| i.clone())
            .collect();
        items.sort();
        assert_eq!(held(&server, &user), items);
    }
    for id in ids {
        server.until_erasure(&id, &["certified"]);
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let _first = Server::start(&data);
    let second = crate::support::recant()
        .arg("serve")
        .arg("--data-dir")
        .arg(&data)
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .expect("the binary starts");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(
        said.contains("in use") || said.contains("another process"),
        "{said}"
    );
}
