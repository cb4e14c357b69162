//! `recant erase` against a real server.

use crate::support::{Server, import_and_train, recant};
use serde_json::Value;

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in [
        "-usr-needle",
        "usr-needle-1",
        "usr-needle-2",
        "usr-needle-3",
        "other-1",
        "other-2",
    ] {
        for item in 0..8 {
            if (user.len() + item) % 4 != 0 || user.starts_with("other") {
                csv.push_str(&format!("{user},itm-{item}\n"));
            }
        }
    }
    csv
}

#[test]
fn an_operator_erases_people_and_pairs_and_holds_verified_receipts() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let server = Server::start(&data);
    let leavers = folder.path().join("leavers");
    std::fs::write(&leavers, "usr-needle-1\nusr-needle-2\n").expect("space for it");
    let receipts = folder.path().join("receipts.jws");
    let output = recant()
        .args(["erase", "--json", "--url", &server.url("")])
        .args(["--user", "-usr-needle", "--pair", "usr-needle-3", "itm-2"])
        .arg("--users-file")
        .arg(&leavers)
        .arg("--receipts")
        .arg(&receipts)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("usr-needle"), "{said}");
    let erased: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(erased[0]["holds"], true, "{erased}");
    assert_eq!(erased[0]["names"], 4);
    for user in ["-usr-needle", "usr-needle-1", "usr-needle-2"] {
        assert_eq!(
            server.get(&format!("/export?user={user}")).text,
            "",
            "{user}"
        );
    }
    let left = server.get("/export?user=usr-needle-3").text;
    assert!(!left.is_empty() && !left.contains("itm-2"), "{left}");

    // The receipt says the same to somebody who was not there.
    let request = folder.path().join("request.json");
    let body = r#"{"users":["usr-needle-2","usr-needle-1","-usr-needle"],
                   "interactions":[{"user":"usr-needle-3","item":"itm-2"}]}"#;
    std::fs::write(&request, body).expect("space for it");
    let salt = erased[0]["receipt_salt"].as_str().expect("a salt");
    let verified = recant()
        .arg("verify")
        .arg(&receipts)
        .args(["--salt", salt, "--pairs"])
        .arg(&request)
        .arg("--data-dir")
        .arg(&data)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{said}");
    assert!(said.contains("the certificate holds"), "{said}");
    assert!(said.contains("the salt opens it"), "{said}");
}
