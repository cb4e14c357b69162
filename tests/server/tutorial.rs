//! The tutorial of docs/tutorial.md, followed line by line.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Server, recant, run};
use serde_json::json;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of `recant` in the tutorial that begin with `name`, with the store in `data`.
fn told(name: &str, data: &Path) -> Command {
    let text = std::fs::read_to_string(root().join("docs/tutorial.md")).expect("the tutorial");
    let begin = format!("$ recant {name} ");
    let line = text.lines().find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("the tutorial tells to {name}"));
    let mut command = recant();
    command.current_dir(root());
    for word in line["$ recant ".len()..].split_whitespace() {
        if word == "shop-data" {
            command.arg(data);
        } else {
            command.arg(word);
        }
    }
    command
}

/// The shop's server; killed when dropped.
struct Page {
    process: Child,
    address: String,
    agent: ureq::Agent,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page {
    /// `None`, with the reason printed, where there is no Python.
    fn start(server: &Server) -> Option<Self> {
        let python = Command::new("python3").arg("--version").output();
        if !python.is_ok_and(|output| output.status.success()) {
            eprintln!("python3 is not installed: the page is not tried");
            return None;
        }
        let mut process = Command::new("python3")
            .arg(root().join("examples/shop/page.py"))
            .arg(server.url("").trim_end_matches('/'))
            .arg("0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.split("/?").next().expect("an address").to_owned();
        let agent = ureq::Agent::config_builder().build().into();
        Some(Self {
            process,
            address,
            agent,
        })
    }

    fn of(&self, customer: &str) -> String {
        let address = format!("{}/?customer={customer}", self.address);
        let mut answer = self.agent.get(address).call().expect("a page");
        answer.body_mut().read_to_string().expect("text")
    }

    fn press(&self, button: &str, customer: &str, item: &str) -> String {
        let address = format!("{}/{button}?customer={customer}", self.address);
        let mut answer = self
            .agent
            .post(address)
            .send_form([("item", item)])
            .expect("a page");
        answer.body_mut().read_to_string().expect("text")
    }
}

/// The shop, as the tutorial's second section leaves it.
fn shop(folder: &Path) -> (PathBuf, Server) {
    let data = folder.join("data");
    let imported = run(&mut told("import", &data));
    for line in [
        "rows read                         174",
        "titles kept                        18",
    ] {
        assert!(imported.contains(line), "{imported}");
    }
    let trained = run(&mut told("train", &data));
    assert!(trained.contains("trained on 120 interactions of 24 users with 17 items"));
    assert!(trained.contains("of the one minimiser"), "{trained}");
    let server = serve(&data);
    (data, server)
}

fn serve(data: &Path) -> Server {
    Server::start_with(data, |command| {
        command
            .current_dir(root())
            .args(["--config", "examples/shop/shop.toml"]);
    })
}

fn listed(server: &Server, user: &str) -> Vec<String> {
    let answer = server.get(&format!("/recommend?user={user}&k=10")).json();
    let items = answer["items"].as_array().expect("a list").iter();
    items
        .map(|entry| entry["item"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn a_shop_s_files_become_lists_that_follow_its_catalogue() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, server) = shop(folder.path());
    let has = |user: &str, item: &str| listed(&server, user).iter().any(|i| i == item);
    for bought in ["tent-4", "mat", "bag"] {
        assert!(!has("anna", bought), "{bought} was bought");
    }
    assert!(has("anna", "lamp"), "what was viewed may be recommended");
    assert!(!has("anna", "hammock"), "nobody has touched it");
    let stranger = server.get("/recommend?user=nobody-yet&k=3").json();
    assert_eq!(stranger["source"], "popular");

    let change = |item: &str, body: serde_json::Value| {
        let text = body.to_string();
        let headers = [("content-type", "application/json")];
        let answer = server.send("PATCH", &format!("/items/{item}"), Some(&text), &headers);
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    let cheap = || {
        let body = json!({"user": "anna", "k": 10, "filter": "properties.price < 20.0"});
        server.post("/recommend", &body).text
    };
    assert!(!cheap().contains("\"lamp\""));
    change("lamp", json!({"properties": {"price": 19.0}}));
    assert!(cheap().contains("\"lamp\""));
    change("stove", json!({"hidden": true}));
    assert!(!has("anna", "stove"));
    change("stove", json!({"hidden": false}));
    assert!(has("anna", "stove"));

    let erased = server.post("/erasures", &json!({"users": ["anna"]})).json();
    let id = erased["id"].as_str().expect("an id").to_owned();
    server.until_erasure(&id, &["certified"]);
    let receipt = folder.path().join("receipt.jws");
    let compact = server.get(&format!("/erasures/{id}/receipt")).text;
    std::fs::write(&receipt, compact).expect("written");
    let keys = folder.path().join("jwks.json");
    std::fs::write(&keys, server.get("/.well-known/jwks.json").text).expect("written");
    let salt = erased["receipt_salt"].as_str().expect("a salt");
    let mut verify = recant();
    verify.arg("verify").arg(&receipt).arg("--jwks").arg(&keys);
    run(verify.args(["--salt", salt, "--user", "anna"]));
    server.stop();

    // The nightly import of the old orders brings nobody back.
    run(&mut told("import", &data));
    let server = serve(&data);
    assert_eq!(
        server.get("/recommend?user=anna").json()["source"],
        "popular"
    );
    assert_eq!(server.get("/export?user=anna").text, "");
}

#[test]
fn the_shop_s_page_takes_a_dislike_and_forgets() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, server) = shop(folder.path());
    let Some(page) = Page::start(&server) else {
        return;
    };
    let before = page.of("anna");
    assert!(before.contains("<h1>For you, anna</h1>"), "{before}");
    assert!(before.contains("Tent for two, 189.00"), "{before}");
    assert!(page.press("dislike", "anna", "tent-2").contains("Noted."));
    server.until("the dislike is learnt", |_| {
        !page.of("anna").contains("Tent for two")
    });
    let after = page.press("forget", "anna", "");
    assert!(after.contains("You are forgotten."), "{after}");
    let answer = server.get("/recommend?user=anna").json();
    assert_eq!(answer["source"], "popular");
}
