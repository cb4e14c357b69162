//! Who sees which erasures: a key with the role `erase` those that it requested, `admin` all.

use std::path::{Path, PathBuf};

use crate::support::{Answer, Server, import_and_train};
use sha2::{Digest, Sha256};

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..12 {
        for item in 0..10 {
            if (user + 2 * item) % 3 != 0 {
                csv.push_str(&format!("u{user},i{item}\n"));
            }
        }
    }
    csv
}

/// A configuration with a key for each name, which is its secret too, with one role each.
fn with_keys(folder: &Path, keys: &[(&str, &str)]) -> PathBuf {
    let mut text = String::new();
    for (name, role) in keys {
        let digest = Sha256::digest(name);
        text.push_str(&format!(
            "[[access.keys]]\nname = \"{name}\"\nsha256 = \"{digest:x}\"\nroles = [\"{role}\"]\n"
        ));
    }
    let path = folder.join("keys.toml");
    std::fs::write(&path, text).expect("space for it");
    path
}

/// A server, called by the holder of one key.
struct Holder<'a>(&'a Server, String);

impl<'a> Holder<'a> {
    fn of(server: &'a Server, key: &str) -> Self {
        Self(server, format!("Bearer {key}"))
    }

    fn call(&self, method: &str, path: &str) -> Answer {
        self.0
            .send(method, path, None, &[("authorization", &self.1)])
    }

    /// Erases a user; returns the id of the erasure.
    fn erase(&self, user: &str) -> String {
        let answer = self.call("DELETE", &format!("/interactions?user={user}"));
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// The ids of every erasure that is listed, read `limit` at a time, newest first.
    fn listed(&self, limit: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/erasures?limit={limit}{cursor}");
            let page = self.call("GET", &path).json();
            let erasures = page["erasures"].as_array().expect("a list");
            assert!(erasures.len() <= limit);
            ids.extend(
                erasures
                    .iter()
                    .map(|e| e["id"].as_str().expect("an id").to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }
}

#[test]
fn a_key_sees_the_erasures_that_it_requested_and_admin_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    // One is of a time without keys.
    let early = {
        let server = Server::start(&data);
        let id = server.delete("/interactions?user=u9").json()["id"].clone();
        server.until_erasure(id.as_str().expect("an id"), &["certified"]);
        id.as_str().expect("an id").to_owned()
    };
    let keys = [("shop", "erase"), ("desk", "erase"), ("officer", "admin")];
    let config = with_keys(folder.path(), &keys);
    let start = || {
        Server::start_with(&data, |command| {
            command.arg("--config").arg(&config);
        })
    };
    let server = start();
    let [shop, desk, officer] = keys.map(|(key, _)| Holder::of(&server, key));
    let of_shop: Vec<String> = ["u0", "u1", "u2"].map(|user| shop.erase(user)).into();
    let of_desk = desk.erase("nobody-of-this-name");
    let by_officer = officer.erase("u3");
    let newest_first = |ids: &[String]| ids.iter().rev().cloned().collect::<Vec<_>>();
    let check = |shop: &Holder<'_>, desk: &Holder<'_>, officer: &Holder<'_>| {
        for limit in [1, 2, 50] {
            assert_eq!(shop.listed(limit), newest_first(&of_shop), "{limit}");
            assert_eq!(
                desk.listed(limit),
                std::slice::from_ref(&of_desk),
                "{limit}"
            );
        }
        assert_eq!(officer.listed(2).len(), 6);
        assert!(officer.listed(2).contains(&early));
        for (holder, sees) in [(shop, &of_shop[0]), (desk, &of_desk), (officer, &of_desk)] {
            assert_eq!(holder.call("GET", &format!("/erasures/{sees}")).status, 200);
        }
        for (holder, hidden) in [
            (shop, &of_desk),
            (shop, &by_officer),
            (shop, &early),
            (desk, &of_shop[1]),
        ] {
            for path in [
                format!("/erasures/{hidden}"),
                format!("/erasures/{hidden}/receipt"),
            ] {
                let answer = holder.call("GET", &path);
                let other = holder.call(
                    "GET",
                    &path.replace(hidden.as_str(), "00000000-0000-0000-0000-000000000000"),
                );
                assert_eq!((answer.status, &answer.text), (404, &other.text), "{path}");
            }
        }
    };
    check(&shop, &desk, &officer);
    drop(server);
    // Who requested it is remembered.
    let server = start();
    let [shop, desk, officer] = keys.map(|(key, _)| Holder::of(&server, key));
    check(&shop, &desk, &officer);
}

/// Two callers may choose the same idempotency key; neither is given the erasure of the other for its own.
#[test]
fn idempotency_keys_of_two_api_keys_are_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let config = with_keys(folder.path(), &[("shop", "erase"), ("desk", "erase")]);
    let server = Server::start_with(&data, |command| {
        command.arg("--config").arg(&config);
    });
    let erase = |key: &str, user: &str| {
        let key = format!("Bearer {key}");
        let headers = [
            ("authorization", key.as_str()),
            ("idempotency-key", "first"),
        ];
        server.send(
            "DELETE",
            &format!("/interactions?user={user}"),
            None,
            &headers,
        )
    };
    let accepted = |answer: Answer| {
        assert_eq!(answer.status, 202, "{}", answer.text);
        let body = answer.json();
        (body["id"].clone(), body["receipt_salt"].clone())
    };
    let of_shop = accepted(erase("shop", "u0"));
    let of_desk = accepted(erase("desk", "u0"));
    assert_ne!(of_shop.0, of_desk.0);
    assert_ne!(of_shop.1, of_desk.1, "the salt opens the receipt");
    assert_eq!(accepted(erase("shop", "u0")), of_shop, "repeated");
    assert_eq!(accepted(erase("desk", "u0")), of_desk, "repeated");
    let refused = erase("shop", "u1");
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (422, &"idempotency_key_reused".into())
    );
}
