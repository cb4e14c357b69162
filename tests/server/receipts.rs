//! Receipts over a real server, checked by the real command.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Server, import_and_train, recant};
use recant_receipt::{SigningKey, sign_bytes};
use serde_json::{Value, json};

const CSV_USERS: usize = 12;

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..CSV_USERS {
        for item in 0..10 {
            if (user + 2 * item) % 3 != 0 {
                csv.push_str(&format!("usr-needle-{user},itm-needle-{item}\n"));
            }
        }
    }
    csv
}

/// A folder with a trained store in `data`.
fn trained() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    (folder, data)
}

/// An erasure as its requester knows it.
struct Asked {
    id: String,
    salt: String,
}

impl Asked {
    fn of(answer: &crate::support::Answer) -> Self {
        assert_eq!(answer.status, 202, "{}", answer.text);
        let body = answer.json();
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        Self {
            id: text("id"),
            salt: text("receipt_salt"),
        }
    }

    /// Waits for the receipt; every answer until then says that it is too early.
    fn receipt(&self, server: &Server, folder: &Path) -> PathBuf {
        let path = format!("/erasures/{}/receipt", self.id);
        server.until("a receipt", |server| {
            let answer = server.get(&path);
            if answer.status != 200 {
                assert_eq!(answer.status, 409, "{}", answer.text);
                assert_eq!(answer.json()["code"], "receipt_not_ready");
            }
            answer.status == 200
        });
        let answer = server.get(&path);
        assert_eq!(answer.header("content-type"), Some("application/jose"));
        let file = folder.join(format!("{}.jws", self.id));
        std::fs::write(&file, &answer.text).expect("written");
        file
    }
}

fn verify(arguments: &[&str], receipts: &[PathBuf]) -> Output {
    let mut command = recant();
    command.arg("verify").args(receipts).args(arguments);
    command.output().expect("the binary starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn key_file(server: &Server, folder: &Path) -> String {
    let keys = server.get("/.well-known/jwks.json");
    assert_eq!(
        keys.header("content-type"),
        Some("application/jwk-set+json")
    );
    assert_eq!(keys.json()["keys"][0]["kty"], "OKP");
    assert_eq!(keys.json()["keys"][0].get("d"), None, "the secret half");
    let file = folder.join("jwks.json");
    std::fs::write(&file, keys.text).expect("written");
    file.to_str().expect("UTF-8").to_owned()
}

fn payload(receipt: &Path) -> Value {
    use base64::Engine;
    let compact = std::fs::read_to_string(receipt).expect("a receipt");
    let part = compact.split('.').nth(1).expect("three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.expect("base64url")).expect("JSON")
}

#[test]
fn every_kind_of_erasure_ends_in_a_receipt_that_its_salt_opens() {
    let (folder, data) = trained();
    let server = Server::start(&data);
    let batch = json!({"interactions": [
        {"user": "usr-needle-3", "item": "itm-needle-3"},
        {"user": "usr-needle-2", "item": "itm-needle-3"},
        {"user": "usr-needle-3", "item": "itm-needle-3"},
    ]});
    let batch_file = folder.path().join("batch.json");
    std::fs::write(&batch_file, batch.to_string()).expect("written");
    let batch_file = batch_file.to_str().expect("UTF-8");
    let asked = [
        (
            server.delete("/interactions?user=usr-needle-1"),
            vec!["--user", "usr-needle-1"],
            json!(["user", null]),
        ),
        (
            server.delete("/interactions?user=usr-needle-nobody"),
            vec!["--user", "usr-needle-nobody"],
            json!(["user", null]),
        ),
        (
            server.delete("/interactions?user=usr-needle-2&item=itm-needle-1"),
            vec!["--user", "usr-needle-2", "--item", "itm-needle-1"],
            json!(["pairs", 1]),
        ),
        (
            server.delete("/interactions?item=itm-needle-5"),
            vec!["--item", "itm-needle-5"],
            json!(["item", null]),
        ),
        (
            server.post("/erasures", &batch),
            vec!["--pairs", batch_file],
            json!(["pairs", 2]),
        ),
    ];
    let keys = key_file(&server, folder.path());
    let mut receipts = Vec::new();
    for (answer, named, expected) in &asked {
        let asked = Asked::of(answer);
        let receipt = asked.receipt(&server, folder.path());
        let claims = payload(&receipt);
        assert_eq!(json!([claims["kind"], claims["pairs"]]), *expected);
        assert_eq!(claims["jti"], asked.id.as_str());
        assert!(!claims.to_string().contains("needle"), "{claims}");
        let record = server.get(&format!("/erasures/{}", asked.id)).json();
        for name in [
            "accepted_at",
            "erased_at",
            "forgotten_at",
            "certified_at",
            "model_version_before",
            "model_version_after",
            "certificate",
        ] {
            assert_eq!(claims[name], record[name], "{name}");
        }
        let one = std::slice::from_ref(&receipt);
        let with_salt = [&["--jwks", &keys, "--salt", &asked.salt][..], named].concat();
        let output = verify(&with_salt, one);
        assert_eq!(code(&output), 0, "{output:?}");
        let other = [
            "--jwks",
            &keys,
            "--salt",
            &asked.salt,
            "--user",
            "somebody-else",
        ];
        assert_eq!(code(&verify(&other, one)), 1);
        receipts.push(receipt);
    }
    let output = verify(&["--jwks", &keys, "--complete", "--json"], &receipts);
    assert_eq!(code(&output), 0, "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["holds"], &report["chain"]["links"]),
        (&json!(true), &json!(4))
    );
    // Without one in the middle, in another order, the rest still holds, and the gap is named.
    let part = [&receipts[4], &receipts[0], &receipts[1]].map(PathBuf::clone);
    let sequence = |receipt: &PathBuf| payload(receipt)["sequence"].as_u64().expect("a number");
    assert_eq!(sequence(&part[0]).max(sequence(&part[1])), 5);
    let output = verify(&["--jwks", &keys, "--json"], &part);
    assert_eq!(code(&output), 0, "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        !report["chain"]["gaps"]
            .as_array()
            .expect("a list")
            .is_empty()
    );
    assert_eq!(code(&verify(&["--jwks", &keys, "--complete"], &part)), 1);
    // The keys of the store serve as well as the published ones.
    let here = ["--data-dir", data.to_str().expect("UTF-8")];
    assert_eq!(code(&verify(&here, &receipts)), 0);
    assert!(!server.logged().contains("needle"), "{}", server.logged());
}

#[test]
fn a_forged_receipt_is_refused() {
    let (folder, data) = trained();
    let server = Server::start(&data);
    let first = Asked::of(&server.delete("/interactions?user=usr-needle-1"));
    let receipt = first.receipt(&server, folder.path());
    let keys = key_file(&server, folder.path());
    let compact = std::fs::read_to_string(&receipt).expect("a receipt");
    let place = compact.find('.').expect("three parts") + 21;
    let changed = if &compact[place..=place] == "A" {
        "B"
    } else {
        "A"
    };
    let mut forged = compact.clone();
    forged.replace_range(place..=place, changed);
    std::fs::write(&receipt, &forged).expect("written");
    let one = std::slice::from_ref(&receipt);
    assert_eq!(code(&verify(&["--jwks", &keys], one)), 1);
    // One bad receipt among good ones is enough.
    let both = folder.path().join("both.jws");
    std::fs::write(&both, format!("{compact}\n{forged}\n")).expect("written");
    assert_eq!(code(&verify(&["--jwks", &keys], &[both])), 1);
    // Another service's key does not do.
    let (_other_folder, other_data) = trained();
    let other = Server::start(&other_data);
    std::fs::write(&receipt, &compact).expect("written");
    let other_keys = key_file(&other, other_data.parent().expect("a folder"));
    assert_eq!(code(&verify(&["--jwks", &other_keys], one)), 1);
    assert_eq!(code(&verify(&["--jwks", &keys], one)), 0);
}

#[test]
fn what_cannot_be_checked_is_a_usage_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let receipt = folder.path().join("r.jws");
    std::fs::write(&receipt, "a.b.c").expect("written");
    let one = [receipt];
    let nowhere = folder.path().join("nowhere");
    let nowhere = nowhere.to_str().expect("UTF-8");
    for arguments in [
        &["--jwks", nowhere][..],
        &["--data-dir", nowhere],
        &["--jwks", one[0].to_str().expect("UTF-8")],
        &["--user", "ada"],
        &["--jwks", nowhere, "--salt", "short", "--user", "ada"],
    ] {
        let output = verify(arguments, &one);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    }
}

#[test]
fn a_repeated_request_leads_to_the_same_receipt_and_the_same_salt() {
    let (folder, data) = trained();
    let server = Server::start(&data);
    let path = "/interactions?user=usr-needle-4";
    let key = [("idempotency-key", "k-1")];
    let first = Asked::of(&server.send("DELETE", path, None, &key));
    first.receipt(&server, folder.path());
    server.kill();
    let server = Server::start(&data);
    let again = Asked::of(&server.send("DELETE", path, None, &key));
    assert_eq!((&again.id, &again.salt), (&first.id, &first.salt));
    let other = Asked::of(&server.send("DELETE", path, None, &[("idempotency-key", "k-2")]));
    assert!(other.id != first.id && other.salt != first.salt);
    let receipt = again.receipt(&server, folder.path());
    let keys = key_file(&server, folder.path());
    let opened = [
        "--jwks",
        &keys,
        "--salt",
        &again.salt,
        "--user",
        "usr-needle-4",
    ];
    assert_eq!(code(&verify(&opened, &[receipt])), 0);
}

#[test]
fn the_chain_goes_on_after_a_restart_and_a_kill() {
    let (folder, data) = trained();
    let mut receipts = Vec::new();
    let mut keys = String::new();
    for round in 0..3 {
        let server = Server::start(&data);
        for step in 0..2 {
            let user = 2 * round + step;
            let answer = server.delete(&format!("/interactions?user=usr-needle-{user}"));
            receipts.push(Asked::of(&answer).receipt(&server, folder.path()));
        }
        keys = key_file(&server, folder.path());
        if round == 1 {
            server.kill();
        } else {
            assert_eq!(server.stop(), Some(0));
        }
    }
    receipts.reverse();
    let output = verify(&["--jwks", &keys, "--complete"], &receipts);
    assert_eq!(code(&output), 0, "{output:?}");
}

#[test]
fn an_unknown_erasure_has_no_receipt() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    let unknown = server.get("/erasures/00000000-0000-0000-0000-000000000000/receipt");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["code"], "erasure_not_found");
    assert_eq!(server.get("/erasures/none/receipt").status, 400);
}

/// A file of the folder with what a call answers.
fn kept(server: &Server, path: &str, file: &Path) -> String {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    std::fs::write(file, &answer.text).expect("written");
    file.to_str().expect("UTF-8").to_owned()
}

#[test]
fn the_log_of_receipts_shows_one_without_the_others_and_that_it_only_grew() {
    let (folder, data) = trained();
    let folder = folder.path();
    let server = Server::start(&data);
    let keys = key_file(&server, folder);
    let empty = server.get("/receipts/checkpoint");
    assert_eq!(empty.text.lines().nth(1), Some("0"), "{}", empty.text);
    let erase = |user: u32| {
        let path = format!("/interactions?user=usr-needle-{user}");
        let asked = Asked::of(&server.delete(&path));
        let receipt = asked.receipt(&server, folder);
        (asked.id, receipt)
    };
    let erased: Vec<(String, PathBuf)> = (0..3).map(erase).collect();
    let earlier = kept(&server, "/receipts/checkpoint", &folder.join("checkpoint"));
    let erased: Vec<_> = erased.into_iter().chain((3..5).map(erase)).collect();
    assert_eq!(server.stop(), Some(0));

    // A restart changes nothing of it.
    let server = Server::start(&data);
    let head = server.get("/receipts/checkpoint").text;
    assert_eq!(head.lines().nth(1), Some("5"));
    for (id, receipt) in &erased {
        let proof = folder.join(format!("{id}.tlog-proof"));
        let proof = kept(&server, &format!("/erasures/{id}/inclusion"), &proof);
        let arguments = ["--jwks", &keys, "--inclusion", &proof];
        let output = verify(&arguments, std::slice::from_ref(receipt));
        assert!(matches!(code(&output), 0 | 3), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("is in the log of 5 receipts"), "{said}");
        let other = erased
            .iter()
            .find(|(other, _)| other != id)
            .expect("another");
        let output = verify(&arguments, std::slice::from_ref(&other.1));
        assert_eq!(code(&output), 1);
    }
    let consistency = folder.join("consistency.json");
    let consistency = kept(&server, "/receipts/consistency?from=3", &consistency);
    let arguments = [
        "--jwks",
        &keys,
        "--checkpoint",
        &earlier,
        "--consistency",
        &consistency,
    ];
    let output = verify(&arguments, &[]);
    assert_eq!(code(&output), 0, "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("the log only grew, to 5 receipts"), "{said}");

    // A head that says something else about the first three.
    let forged = std::fs::read_to_string(&earlier).expect("written");
    let forged = forged.replace("\n3\n", "\n2\n");
    std::fs::write(folder.join("forged"), forged).expect("written");
    let forged = folder.join("forged");
    let forged = forged.to_str().expect("UTF-8");
    let arguments = [
        "--jwks",
        &keys,
        "--checkpoint",
        forged,
        "--consistency",
        &consistency,
        "--json",
    ];
    let output = verify(&arguments, &[]);
    assert_eq!(code(&output), 1);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["log"][0]["holds"], false, "{said}");

    for path in [
        "/receipts/consistency",
        "/receipts/consistency?from=0",
        "/receipts/consistency?from=6",
    ] {
        assert_eq!(server.get(path).json()["code"], "invalid_query", "{path}");
    }
    // One machine owes nobody, and its receipts say nothing of nodes.
    let settlements = server.get("/receipts/settlements");
    assert_eq!((settlements.status, settlements.text.as_str()), (200, ""));
    let refused = server.get("/receipts/settlements?from=1").json();
    assert_eq!(refused["code"], "invalid_query", "{refused}");
    let nobody = "/erasures/019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a/inclusion";
    assert_eq!(server.get(nobody).json()["code"], "erasure_not_found");
}

/// A signature says who stated something, not that it is good: a receipt of a service that stated a bound
/// beyond its target is authentic, and no success.
#[test]
fn an_authentic_receipt_whose_certificate_misses_is_no_success() {
    let (folder, data) = trained();
    let server = Server::start(&data);
    // An id that looks like a flag, beside that.
    let asked = Asked::of(&server.delete("/interactions?user=-x"));
    let receipt = asked.receipt(&server, folder.path());
    let own_keys = key_file(&server, folder.path());
    let opened = |keys: &str, receipt: &PathBuf, more: &[&str]| {
        let flags = ["--jwks", keys, "--salt", &asked.salt, "--user", "-x"];
        verify(&[&flags[..], more].concat(), std::slice::from_ref(receipt))
    };
    assert_eq!(code(&opened(&own_keys, &receipt, &[])), 0);

    let key = SigningKey::from_seed(&[7; 32]);
    let mut claims = payload(&receipt);
    let certificate = &mut claims["certificate"];
    let target = certificate["target"].as_f64().expect("a bound");
    certificate["holds"] = false.into();
    certificate["root_mean_square"] = (2.0 * target).into();
    let weak = folder.path().join("weak.jws");
    let signed = sign_bytes(&key, claims.to_string().as_bytes());
    std::fs::write(&weak, signed).expect("written");
    let keys = folder.path().join("others.json");
    std::fs::write(&keys, json!({"keys": [key.public()]}).to_string()).expect("written");
    let keys = keys.to_str().expect("UTF-8");

    let output = opened(keys, &weak, &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 3, "{said}");
    assert!(said.contains("DOES NOT HOLD"), "{said}");
    assert!(said.contains("the salt opens it"), "{said}");
    let output = opened(keys, &weak, &["--json"]);
    assert_eq!(code(&output), 3);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["holds"], false, "{report}");
    assert_eq!(report["commitment_opened"], true, "{report}");
    assert_eq!(report["receipts"][0]["signature_holds"], true, "{report}");
    // Of a key that is not this service's it is not even authentic.
    assert_eq!(code(&opened(&own_keys, &weak, &[])), 1);
    // One failure of the other kind goes before.
    let output = verify(&["--jwks", keys], &[weak, receipt]);
    assert_eq!(code(&output), 1);
}
