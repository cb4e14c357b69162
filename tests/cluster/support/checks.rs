//! What must be true of a cluster that nothing is done to.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::cluster::ClusterProcesses;
use super::load::Client;
use super::process::{Caller, PATIENCE, recant, said};

/// Everything acknowledged is there, everything erased is gone, whichever node is asked, and nodes are alike.
pub fn check_settled(cluster: &mut ClusterProcesses, clients: &mut [Client]) {
    check_settled_beside(cluster, clients, [0, 0]);
}

/// The same, beside people and pairs that nobody of `clients` knows, so many.
pub fn check_settled_beside(
    cluster: &mut ClusterProcesses,
    clients: &mut [Client],
    [mut users, mut pairs]: [u64; 2],
) {
    cluster.until_ready();
    for node in &cluster.nodes {
        let logged = node.logged();
        let found = logged
            .lines()
            .find(|line| line.contains("does not hold what"));
        assert_eq!(found, None, "{} differed", node.name);
    }
    let callers = cluster.callers();
    for (client, caller) in clients.iter_mut().zip(callers.iter().cycle()) {
        client.ledger.check_gone(caller);
        client.ledger.check_said(caller);
        client.ledger.check_erasures(caller);
    }
    callers[0].settle();
    for client in &mut *clients {
        let (of_client, pairs_of_client) = client.ledger.check_settled(&callers[0]);
        callers
            .iter()
            .for_each(|caller| client.ledger.check_erasures(caller));
        users += of_client;
        pairs += pairs_of_client;
    }
    let all = clients.iter().flat_map(|client| client.ledger.users());
    check_alike(&callers, &all.collect());
    for caller in &callers {
        let model = caller.must_get("/model").json();
        assert_eq!(model["users"], users, "{model}");
        assert_eq!(model["interactions"], pairs, "{model}");
    }
}

/// Waits until all nodes show one model, and compares what they answer readers.
pub fn check_alike(callers: &[Caller], users: &BTreeSet<String>) {
    let began = Instant::now();
    loop {
        let version = one_version(callers);
        let compared: Vec<_> = users.iter().map(|user| lists(callers, user)).collect();
        // Another version may have come while they were asked.
        if version == one_version(callers) {
            for lists in compared {
                let differs = lists.iter().find(|list| **list != lists[0]);
                assert_eq!(differs, None, "{:?}", lists[0]);
            }
            return;
        }
        assert!(began.elapsed() < PATIENCE, "versions keep coming");
    }
}

/// The model that all show, once they do.
fn one_version(callers: &[Caller]) -> (Value, Value) {
    let began = Instant::now();
    loop {
        let model = |caller: &Caller| {
            let model = caller.must_get("/model").json();
            (model["term"].clone(), model["version"].clone())
        };
        let models: Vec<_> = callers.iter().map(model).collect();
        if models.iter().all(|model| *model == models[0]) {
            return models[0].clone();
        }
        assert!(began.elapsed() < PATIENCE, "versions differ: {models:?}");
        std::thread::yield_now();
    }
}

/// What each node recommends to somebody, in an order of its own: that of equal scores is no promise.
fn lists(callers: &[Caller], user: &str) -> Vec<(Value, Vec<String>)> {
    let list = |caller: &Caller| {
        let listed = caller.must_get(&format!("/recommend?user={user}&k=50"));
        let mut listed = listed.json();
        let items = listed["items"].take();
        let mut items: Vec<_> = items
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| format!("{} {}", item["score"], item["item"]))
            .collect();
        items.sort();
        (listed, items)
    };
    callers.iter().map(list).collect()
}

/// Erases everybody whom the clients know, so that what is left can be certified however few dimensions the
/// model has; what they were answered is looked at before.
pub fn erase_all(caller: &Caller, clients: &[Client]) {
    let users = clients.iter().flat_map(|client| client.ledger.users());
    let users: Vec<_> = users.collect();
    for users in users.chunks(1_000) {
        let body = serde_json::json!({ "users": users });
        let answer = caller.must("POST", "/erasures", Some(&body), 202).json();
        let id = answer["id"].as_str().expect("an id");
        caller.until_erasure(id, &["forgotten", "certified"]);
    }
}

/// Waits until every erasure is certified and nobody owes any, and verifies the whole chain of receipts and
/// settlements (I7). How many there are.
pub fn certified_receipts(caller: &Caller, folder: &Path) -> usize {
    certified_receipts_but(caller, folder, &BTreeSet::new())
}

/// The same, but for nodes whose disks are somewhere: what these owe stays open.
pub fn certified_receipts_but(
    caller: &Caller,
    folder: &Path,
    lost_disks: &BTreeSet<String>,
) -> usize {
    let all = all_receipts(caller);
    let began = Instant::now();
    loop {
        let verified = verify(caller, folder, &all);
        assert_eq!(verified["chain"]["faults"], json!([]), "{verified}");
        assert_eq!(verified["chain"]["gaps"], json!([]), "{verified}");
        let receipts = verified["receipts"].as_array().expect("a list");
        assert!(receipts.iter().all(|it| it["holds"] == true), "{verified}");
        let owing = receipts.iter().filter_map(|it| it["owed_by"].as_array());
        let owing: BTreeSet<_> = owing.flatten().filter_map(Value::as_str).collect();
        if owing.iter().all(|node| lost_disks.contains(*node)) {
            assert_eq!(verified["holds"], owing.is_empty(), "{verified}");
            return receipts.len();
        }
        assert!(began.elapsed() < PATIENCE, "open: {owing:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The receipts of all erasures, once they are certified.
fn all_receipts(caller: &Caller) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = caller.must_get(&format!("/erasures?limit=500{cursor}"));
        let page = page.json();
        for erasure in page["erasures"].as_array().expect("a list") {
            let id = erasure["id"].as_str().expect("an id");
            caller.until_erasure(id, &["certified"]);
            all.push(caller.must_get(&format!("/erasures/{id}/receipt")).text);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// What `recant verify --complete` makes of receipts, and of the settlements that there are by now.
fn verify(caller: &Caller, folder: &Path, receipts: &[String]) -> Value {
    let (given, keys) = (folder.join("receipts"), folder.join("jwks.json"));
    let settlements = caller.must_get("/receipts/settlements").text;
    std::fs::write(&given, receipts.join("\n") + "\n" + &settlements).expect("written");
    let known = caller.must_get("/.well-known/jwks.json").text;
    std::fs::write(&keys, known).expect("written");
    let mut verify = recant();
    verify.arg("verify").arg(&given).arg("--jwks").arg(&keys);
    let verified = verify.args(["--complete", "--json"]).output();
    let verified = verified.expect("the binary starts");
    let outcome = serde_json::from_slice(&verified.stdout);
    outcome.unwrap_or_else(|_| panic!("{}", said(&verified)))
}

/// What a receipt or a settlement claims, whoever signed it.
pub fn claims(compact: &str) -> Value {
    let payload = compact.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}
