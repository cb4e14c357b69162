//! Weights far above the rest: what is claimed is true or nothing is claimed, and forgetting goes on.

use std::path::Path;

use crate::support::{Server, import_and_train, recant, run};
use serde_json::Value;

/// Forty people with ten items each, whose weights are for `weight` to say.
fn catalogue(weight: impl Fn(usize, usize) -> f64) -> String {
    let mut csv = String::from("user_id,item_id,weight\n");
    for user in 0..40 {
        for place in 0..10 {
            let item = (user * 3 + place * (1 + user % 4)) % 30;
            csv.push_str(&format!("u{user},i{item},{}\n", weight(user, item)));
        }
    }
    csv
}

/// Whether nothing about an erasure is claimed that a retrain contradicts; the store is closed.
fn audited(data: &Path) -> Value {
    let said = run(recant().args(["audit", "--json", "--data-dir"]).arg(data));
    let audit: Value = serde_json::from_str(&said).expect("JSON");
    assert_ne!(audit["bound_held"], false, "{audit}");
    audit
}

/// What is served of a model trained with these flags forgets, and claims nothing untrue.
fn forgets_beside(name: &str, csv: &str, train: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, csv, train);
    assert_eq!(Server::start(&data).stop(), Some(0), "{name}");
    let server = Server::start(&data);
    let before = server.model();
    let id = server.forget("user=u20")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    server.forget("user=u21&item=i3");
    let after = server.model();
    let users = |model: &Value| model["users"].as_u64().expect("a count");
    assert_eq!(users(&after) + 1, users(&before), "{name}");
    // Certified, or with the reason why not.
    let record = || server.get(&format!("/erasures/{id}")).json();
    server.until("judged", |_| {
        let record = record();
        record["status"] == "certified" || record["failure"].is_string()
    });
    let record = record();
    if record["status"] == "certified" {
        assert_eq!(record["certificate"]["holds"], true, "{name}: {record}");
    }
    assert_eq!(server.get("/healthz").status, 200, "{name}");
    assert_eq!(server.stop(), Some(0), "{name}");
    audited(&data);
}

#[test]
fn beside_huge_weights_nothing_untrue_is_certified_and_the_worker_lives() {
    let one = |weight: f64| move |user, item| if (user, item) == (3, 9) { weight } else { 1.0 };
    let datas: [(&str, String); 4] = [
        ("one of 1e4", catalogue(one(1e4))),
        ("one of 3e5", catalogue(one(3e5))),
        ("one of 1e6", catalogue(one(1e6))),
        ("all of 1e5", catalogue(|_, _| 1e5)),
    ];
    for (name, csv) in datas {
        forgets_beside(name, &csv, &["--dim", "32"]);
        // With as many dimensions as there are by default.
        forgets_beside(name, &csv, &[]);
    }
}
