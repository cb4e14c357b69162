//! Neural models over a real socket: trained, served exactly, made to forget, restarted.

use std::path::{Path, PathBuf};

use crate::support::{Server, import, recant, run};
use recant_service::load;
use recant_store::{Store, StoreOptions};
use recant_types::{IalsHyperparameters, ItemId, UserId};
use serde_json::{Value, json};

/// Kinds with the section that configures a small one.
const KINDS: [(&str, &str); 2] = [
    (
        "neumf",
        "[model.neumf]\nfactors = 4\nlayers = [16, 8]\nlambda = 0.01\n",
    ),
    (
        "lightgcn",
        "[model.lightgcn]\ndim = 8\nlayers = 2\nlambda = 0.01\n",
    ),
];

/// Two groups of users with tastes of their own: `a*` like items 0..10, `b*` items 10..20.
fn two_tastes() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for (group, name) in [(0, 'a'), (1, 'b')] {
        for user in 0..14 {
            for item in (0..10).filter(|item| (user * 7 + item * 3) % 10 < 6) {
                csv.push_str(&format!("{name}{user},item-{}\n", group * 10 + item));
            }
        }
    }
    csv
}

fn configuration(folder: &Path, kind: &str, section: &str, rounds: u32) -> PathBuf {
    let path = folder.join("recant.toml");
    let text = format!(
        "[model]\nkind = \"{kind}\"\nseed = 3\n{section}\
         [training]\nepochs = 60\nbatch = 256\nlearning_rate = 0.02\nrounds = {rounds}\n"
    );
    std::fs::write(&path, text).expect("the file takes the text");
    path
}

/// Imports both tastes, trains, and returns what the command says of it.
fn train(data: &Path, configuration: &Path) -> Value {
    import(data, &two_tastes());
    let trained = run(recant()
        .args(["train", "--json", "--config"])
        .arg(configuration)
        .arg("--data-dir")
        .arg(data));
    serde_json::from_str(&trained).expect("JSON")
}

fn start(data: &Path, configuration: &Path) -> Server {
    Server::start_with(data, |command| {
        command.arg("--config").arg(configuration);
    })
}

fn list(answer: &Value) -> Vec<(String, f64)> {
    let items = answer["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| {
            let id = item["item"].as_str().expect("an id").to_owned();
            (id, item["score"].as_f64().expect("a score"))
        })
        .collect()
}

fn everything(server: &Server, user: &str) -> Vec<(String, f64)> {
    list(
        &server
            .get(&format!("/recommend?user={user}&k=20&exclude_seen=false"))
            .json(),
    )
}

/// How many of the items are of the first taste.
fn first_taste(items: &[(String, f64)]) -> usize {
    let number = |item: &str| item["item-".len()..].parse::<usize>().expect("a number");
    items.iter().filter(|(item, _)| number(item) < 10).count()
}

/// The list of `user` by scores of the stored model, every item scored.
fn by_brute_force(data: &Path, user: &str) -> Vec<(String, f64)> {
    let store = Store::open(data, &StoreOptions::default()).expect("a store");
    let trainer = load(&store, IalsHyperparameters::default(), 3)
        .expect("a readable model")
        .trainer;
    let row = trainer
        .users
        .directory()
        .row(&UserId::new(user).expect("an id"));
    let scores = trainer
        .learner
        .neural()
        .expect("a neural model")
        .served()
        .catalogue(&[row.expect("a known user")]);
    let mut list: Vec<(String, f64)> = (0..)
        .zip(&scores)
        .filter(|(row, _)| !trainer.matrix.item(*row).is_empty())
        .map(|(row, score)| {
            let id: &ItemId = trainer.items.directory().id(row).expect("an item");
            (id.expose().to_owned(), f64::from(*score))
        })
        .collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    list
}

#[test]
fn a_neural_model_is_trained_served_and_forgets() {
    for (kind, section) in KINDS {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let configuration = configuration(folder.path(), kind, section, 5);
        let trained = train(&data, &configuration);
        assert_eq!(trained["kind"], kind);
        let server = start(&data, &configuration);
        serves_its_taste(&server, kind);
        forgets_a_pair_and_a_user(&server);
        learns_a_newcomer(&server);
        let (before, version) = (everything(&server, "a1"), server.model()["version"].clone());
        assert_eq!(server.stop(), Some(0));
        let expected = by_brute_force(&data, "a1");
        assert_eq!(before.len(), expected.len());
        for (found, (_, score)) in before.iter().zip(&expected) {
            assert!(
                (found.1 - score).abs() < 1e-5 * score.abs().max(1.0),
                "{kind}"
            );
        }
        let server = start(&data, &configuration);
        assert_eq!(server.model()["kind"], kind);
        assert_eq!(everything(&server, "a1"), before, "{kind} restarted");
        assert!(server.model()["version"].as_u64() >= version.as_u64());
    }
}

/// Trained as its authors do, a model is at no minimum; whoever erases moves the rows that the erasure
/// touched, and nobody else's list is trained on for it.
#[test]
fn a_model_that_is_not_refined_is_held_while_it_forgets() {
    for (kind, section) in KINDS {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let configuration = configuration(folder.path(), kind, section, 0);
        train(&data, &configuration);
        let server = start(&data, &configuration);
        let residual = server.model()["residual"].as_f64().expect("measured");
        assert!(residual > 1e-3, "{kind}: at no minimum, {residual}");
        let others = everything(&server, "b2");
        forgets_a_pair_and_a_user(&server);
        let after = everything(&server, "b2");
        let moved = after.iter().map(|(item, score)| {
            let before = others.iter().find(|(other, _)| other == item);
            (score - before.expect("an item as before").1).abs()
        });
        let moved = moved.fold(0.0, f64::max);
        let range = others[0].1 - others[19].1;
        assert!(moved < 0.2 * range, "{kind}: {moved} of {range}");
        assert!(first_taste(&after[..8]) <= 1, "{kind}: {after:?}");
        learns_a_newcomer(&server);
        let before = everything(&server, "a1");
        assert_eq!(server.stop(), Some(0));
        let server = start(&data, &configuration);
        assert_eq!(everything(&server, "a1"), before, "{kind} restarted");
    }
}

fn serves_its_taste(server: &Server, kind: &str) {
    let model = server.model();
    assert_eq!(model["kind"], kind);
    assert_eq!(model["certificate"]["kind"], "residual");
    assert!(model["hyper_parameters"]["lambda"].is_number(), "{model}");
    assert!(
        model["residual"].as_f64().expect("measured") < 0.1,
        "{model}"
    );
    let answer = server.get("/recommend?user=a1&k=4").json();
    assert_eq!(answer["source"], "model");
    assert!(first_taste(&list(&answer)) >= 3, "{kind}: {answer}");
    let long = everything(server, "b2");
    assert_eq!(long.len(), 20);
    assert!(first_taste(&long[..8]) <= 1, "{kind}: {long:?}");
    let short = list(
        &server
            .get("/recommend?user=b2&k=3&exclude_seen=false&exclude=item-11")
            .json(),
    );
    let without: Vec<_> = long.iter().filter(|(item, _)| item != "item-11").collect();
    assert!(short.iter().eq(without.into_iter().take(3)));
    let session = json!({"history": ["item-11", "item-12", "item-16", "unknown"], "k": 5});
    let session = server.post("/recommend", &session).json();
    assert_eq!(session["source"], "fold_in");
    assert!(first_taste(&list(&session)) <= 2, "{kind}: {session}");
    let batch = server.post(
        "/recommend/batch",
        &json!({"users": ["b2", "nobody"], "k": 3}),
    );
    if batch.status == 200 {
        assert!(batch.text.contains("popular"), "{}", batch.text);
    }
    assert_eq!(server.get("/similar?item=item-2&k=5").status, 200);
    let explained = server.get("/recommend?user=a1&k=4&explain=true").json();
    assert_eq!(
        explained["explanation"]["top_k_proven"], false,
        "{explained}"
    );
    // The scores of a network are no sums over a history.
    let items = explained["items"].as_array().expect("items").iter();
    assert!(items.into_iter().all(|item| item.get("because").is_none()));
}

fn forgets_a_pair_and_a_user(server: &Server) {
    let held = |user: &str| server.get(&format!("/export?user={user}")).text;
    let exported = held("a1");
    let first: Value =
        serde_json::from_str(exported.lines().next().expect("a line")).expect("JSON");
    let item = first["item"].as_str().expect("an id");
    let before = everything(server, "a1");
    let erasure = server.forget(&format!("user=a1&item={item}"));
    assert!(!held("a1").contains(&format!("\"{item}\"")));
    let score = |items: &[(String, f64)]| {
        let found = items.iter().find(|(id, _)| id == item);
        found.expect("a scored item").1
    };
    assert!(
        score(&everything(server, "a1")) < score(&before),
        "it is liked less now"
    );
    let id = erasure["id"].as_str().expect("an id");
    let certified = server.until_erasure(id, &["certified", "failed"]);
    assert_eq!(certified["status"], "certified", "{certified}");
    assert_eq!(certified["certificate"]["kind"], "residual");
    let note = certified["certificate"]["note"].as_str().expect("a note");
    assert!(note.contains("no proof"), "{note}");
    assert_eq!(server.get(&format!("/erasures/{id}/receipt")).status, 200);
    let interactions = server.model()["interactions"].as_u64().expect("a count");
    server.forget("user=b5");
    assert_eq!(
        server.get("/recommend?user=b5&k=3").json()["source"],
        "popular"
    );
    assert!(server.model()["interactions"].as_u64().expect("a count") < interactions);
    assert_eq!(held("b5"), "");
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("recant_model_residual"), "{metrics}");
}

fn learns_a_newcomer(server: &Server) {
    let rows: Vec<Value> = [1, 2, 4, 6]
        .map(|item| json!({"user": "late", "item": format!("item-{item}")}))
        .to_vec();
    let answer = server.post("/interactions", &json!({"interactions": rows}));
    assert_eq!(answer.status, 202);
    let known =
        |server: &Server| server.get("/recommend?user=late&k=4").json()["source"] == "model";
    server.until("learnt", known);
    let answer = server.get("/recommend?user=late&k=4").json();
    assert!(first_taste(&list(&answer)) >= 3, "{answer}");
    // Certified once more, so that nothing moves after this.
    let last = server.forget("user=nobody");
    let id = last["id"].as_str().expect("an id");
    server.until_erasure(id, &["certified"]);
}

#[test]
fn what_belongs_to_another_kind_or_is_out_of_range_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import(&data, "user_id,item_id\nu,only\nv,only\n");
    let refused = |arguments: &[&str], code: i32, says: &str| {
        let output = recant()
            .arg("train")
            .arg("--data-dir")
            .arg(&data)
            .args(arguments)
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
    };
    refused(
        &["--model", "neumf", "--alpha0", "0.3"],
        2,
        "--alpha0 belongs to --model ials",
    );
    refused(&["--model", "lightgcn", "--max-sweeps", "3"], 2, "--epochs");
    refused(&["--model", "ials", "--epochs", "3"], 2, "--max-sweeps");
    refused(&["--model", "lightgcn", "--dim", "0"], 2, "dim is 0");
    refused(&["--model", "svd"], 2, "svd");
    refused(&["--model", "neumf"], 1, "import more");
}
