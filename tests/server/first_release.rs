//! What the first release wrote: its store, under its configuration file.
//!
//! The store in `tests/fixtures/release-1` was made by that release from twelve people with four
//! interactions each, who were learnt before `u3` was erased over HTTP.

use std::path::Path;

use crate::support::{Server, recant, run, unpack};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/release-1");
const ERASURE: &str = "01a22128-aa66-703e-8740-8a2f92d2aad2";
const SALT: &str = "8n-P6QfTkuOjkULKSw1S5nKH7EQktR10DSvBEckIXdE";

/// What that release answered to `/recommend?user=u5&k=3`.
const LIST: [(&str, f64); 3] = [
    ("i2", 0.149_038_43),
    ("i0", 0.138_929_96),
    ("i4", 0.064_697_62),
];

/// A server on a copy of the store, in `folder`.
fn serve(folder: &Path) -> Server {
    let data = folder.join("data");
    unpack(&Path::new(FIXTURES).join("store"), &data);
    let configuration = format!("{FIXTURES}/configuration.toml");
    Server::start_with(&data, |command| {
        command.arg("--config").arg(configuration);
    })
}

#[test]
fn a_store_of_the_first_release_is_served_as_it_was_and_goes_on_forgetting() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    assert_eq!(server.model()["users"], 11);
    let list = server.get("/recommend?user=u5&k=3").json();
    for (place, (item, score)) in LIST.into_iter().enumerate() {
        let found = &list["items"][place];
        assert_eq!(found["item"], item);
        let served = found["score"].as_f64().expect("a score");
        assert!((served - score).abs() < 1e-4, "{item}: {served}");
    }
    let of_erased = server.get("/recommend?user=u3&k=3").json();
    assert_eq!(of_erased["source"], "popular");
    server.forget("user=u5");
    assert_eq!(server.model()["users"], 10);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_receipt_of_the_first_release_is_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    let data = server.data.clone();
    assert_eq!(
        server.get(&format!("/erasures/{ERASURE}")).json()["status"],
        "certified"
    );
    let receipt = folder.path().join("receipt.jws");
    let text = server.get(&format!("/erasures/{ERASURE}/receipt")).text;
    std::fs::write(&receipt, text).expect("the receipt is kept");
    // The log of receipts is made from those that are there.
    let proof = folder.path().join("receipt.tlog-proof");
    let text = server.get(&format!("/erasures/{ERASURE}/inclusion")).text;
    std::fs::write(&proof, text).expect("the proof is kept");
    assert_eq!(server.stop(), Some(0));
    let verify = |user: &str| {
        let mut command = recant();
        command
            .arg("verify")
            .arg(&receipt)
            .arg("--data-dir")
            .arg(&data);
        command.args(["--salt", SALT, "--user", user]);
        command.arg("--inclusion").arg(&proof);
        command
    };
    run(&mut verify("u3"));
    let of_another = verify("u4").output().expect("the binary starts");
    assert_eq!(of_another.status.code(), Some(1));
}
