//! `recant tune`, `recant audit` and what `recant train` says at its ceiling: the real binary on
//! small data.

use std::path::Path;

use crate::support::{Server, import, import_and_train, recant, run};
use recant_store::{Store, StoreOptions, Tensor, WriteBatch};
use recant_types::Certificate;
use serde_json::Value;

/// People with one of five tastes, and some interactions off their taste: what they like can be
/// foretold, and is of rank five or so.
fn ratings(users: usize, items: usize) -> String {
    let mut csv = String::from("user_id,item_id\n");
    let mut state = 88_172_645_463_325_252u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for user in 0..users {
        for _ in 0..18 {
            let own = items / 5;
            let item = match random(6) {
                0 => random(items),
                _ => user % 5 * own + random(own),
            };
            csv += &format!("u{user},i{item}\n");
        }
    }
    csv
}

fn json(command: &[&str], data: &Path) -> Value {
    let text = run(recant()
        .args(command)
        .arg("--data-dir")
        .arg(data)
        .arg("--json"));
    serde_json::from_str(&text).expect("JSON")
}

fn fails(command: &[&str], data: &Path) -> (Option<i32>, String) {
    let output = recant()
        .args(command)
        .arg("--data-dir")
        .arg(data)
        .output()
        .expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), error)
}

#[test]
fn tuning_is_reproducible_and_its_line_trains_a_certified_model() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    import(&data, &ratings(120, 60));
    let flags = ["tune", "--dim", "24", "--trials", "24", "--seed", "5"];
    let (first, second) = (json(&flags, &data), json(&flags, &data));
    let without_time = |tuned: &Value| {
        let mut tuned = tuned.clone();
        tuned["seconds"] = Value::Null;
        for trial in tuned["trials"].as_array_mut().expect("trials") {
            trial["seconds"] = Value::Null;
        }
        tuned
    };
    assert_eq!(without_time(&first), without_time(&second));
    let trials = first["trials"].as_array().expect("trials");
    assert!((8..=24).contains(&trials.len()), "{first}");
    // What is held out can be foretold here, so tuning finds much of it.
    let number = |trial: &Value, name: &str| trial[name].as_f64().expect("a number");
    let chosen = &trials[first["chosen"]["trial"].as_u64().expect("a place") as usize];
    assert_eq!(
        (&chosen["stage"], &chosen["certifiable"]),
        (&"finished".into(), &true.into())
    );
    assert!(number(chosen, "ndcg_at_20") > 0.3, "{chosen}");
    let finished = trials.iter().filter(|trial| trial["stage"] == "finished");
    let best = finished
        .map(|trial| number(trial, "ndcg_at_20"))
        .fold(0.0, f64::max);
    assert!(number(chosen, "ndcg_at_20") >= 0.99 * best);
    assert!(number(chosen, "rank") < number(chosen, "dim"));

    let line = first["train_command"].as_str().expect("a line");
    let arguments: Vec<&str> = line.split(' ').skip(1).chain(["--json"]).collect();
    let trained: Value = serde_json::from_str(&run(recant().args(arguments))).expect("JSON");
    assert_eq!(trained["certificate"]["holds"], true, "{trained}");

    let text = run(recant()
        .args(flags)
        .args(["--budget", "600"])
        .arg("--data-dir")
        .arg(&data));
    assert!(text.contains("NDCG@20") && text.contains(line), "{text}");
}

#[test]
fn a_grid_is_tried_in_full_and_nonsense_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    import(&data, &ratings(60, 40));
    let grid = [
        "tune",
        "--grid",
        "alpha0=0.1,0.5",
        "--grid",
        "lambda=0.05,5",
        "--grid",
        "dim=16",
    ];
    let tuned = json(&grid, &data);
    let trials = tuned["trials"].as_array().expect("trials");
    let settings: Vec<(f64, f64)> = trials
        .iter()
        .map(|trial| {
            assert_eq!(
                (&trial["stage"], &trial["dim"]),
                (&"finished".into(), &16.into())
            );
            let number = |name: &str| trial[name].as_f64().expect("a number");
            (number("alpha0"), number("lambda"))
        })
        .collect();
    assert_eq!(settings, [(0.1, 0.05), (0.1, 5.0), (0.5, 0.05), (0.5, 5.0)]);
    for (flags, code, says) in [
        (
            ["tune", "--grid", "gamma=1"],
            2,
            "alpha0, lambda, nu or dim",
        ),
        (["tune", "--grid", "lambda=0"], 2, "lambda must be"),
        (["tune", "--trials", "0"], 2, "--trials"),
    ] {
        let (exit, error) = fails(&flags, &data);
        assert_eq!(exit, Some(code), "{error}");
        assert!(
            error.contains(says) && error.lines().count() == 1,
            "{error}"
        );
    }
}

#[test]
fn data_too_small_to_hold_anything_out_are_named_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = directory.path().join("empty");
    for command in ["tune", "audit"] {
        let (exit, error) = fails(&[command], &empty);
        assert_eq!(exit, Some(1), "{error}");
        assert!(error.contains("first"), "{error}");
    }
    let data = directory.path().join("data");
    import(&data, "user_id,item_id\na,x\na,y\nb,x\n");
    let (exit, error) = fails(&["tune"], &data);
    assert_eq!(exit, Some(1));
    assert!(
        error.contains("0 users have at least 5 interactions, 20 are needed"),
        "{error}"
    );
    let (exit, error) = fails(&["audit"], &data);
    assert_eq!(exit, Some(1));
    assert!(error.contains("run recant train first"), "{error}");
}

/// Trained, served, partly forgotten, audited: the bound holds, and the lists are those of the
/// retrain. While the server has the store, the audit says how to mend it.
#[test]
fn an_audit_confirms_what_erasures_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    import_and_train(
        &data,
        &ratings(120, 60),
        &["--dim", "24", "--lambda", "0.05"],
    );
    let server = Server::start(&data);
    for query in ["user=u3", "item=i7", "user=u4&item=i21"] {
        let erased = server.forget(query);
        server.until_erasure(erased["id"].as_str().expect("an id"), &["certified"]);
    }
    let (exit, error) = fails(&["audit"], &data);
    assert_eq!(exit, Some(1));
    assert!(
        error.contains("in use by another process: stop it first"),
        "{error}"
    );
    assert_eq!(server.stop(), Some(0));

    let audit = json(&["audit", "--seed", "99"], &data);
    assert_eq!(audit["bound_held"], true, "{audit}");
    assert_eq!(
        (&audit["live"]["seed"], &audit["retrained"]["seed"]),
        (&1.into(), &99.into())
    );
    assert_eq!(
        (&audit["users"], &audit["live"]["rank"]),
        (&119.into(), &audit["retrained"]["rank"])
    );
    let number = |name: &str| audit[name].as_f64().expect("a number");
    assert!(number("distance_frobenius") <= number("distance_allowed"));
    assert!(
        number("jaccard_at_10") > 0.999 && number("spearman") > 0.999,
        "{audit}"
    );
    assert!(number("score_difference_largest") < 1e-3);
    assert!(number("live_bound_on_record") > 0.0);
    let text = run(recant().arg("audit").arg("--data-dir").arg(&data));
    assert!(text.contains("the certified bound held"), "{text}");
    let (exit, error) = fails(&["audit", "--seed", "1"], &data);
    assert_eq!(exit, Some(1));
    assert!(error.contains("the live model's own"), "{error}");
}

/// Factors that the certificate on record does not fit are found out.
#[test]
fn an_audit_fails_when_the_certificate_is_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    import_and_train(
        &data,
        &ratings(60, 40),
        &["--dim", "16", "--lambda", "0.05"],
    );
    {
        let store = Store::open(&data, &StoreOptions::default()).expect("free");
        let mut rows = Vec::new();
        store
            .visit_tensor(Tensor::ItemFactors, |row, values| rows.push((row, values)))
            .expect("rows");
        let mut batch = WriteBatch::default();
        let (row, values) = &rows[5];
        let halved: Vec<f64> = values.iter().map(|value| value * 0.5).collect();
        batch.put_tensor_row(Tensor::ItemFactors, *row, &halved);
        store.commit(batch).wait().expect("committed");
        let header = store.model_header().expect("readable").expect("trained");
        assert!(matches!(header.certificate, Some(Certificate::DualityGap(gap)) if gap.holds));
    }
    let output = recant()
        .arg("audit")
        .arg("--json")
        .arg("--data-dir")
        .arg(&data)
        .output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let audit: Value = serde_json::from_slice(&output.stdout).expect("the figures all the same");
    assert_eq!(audit["bound_held"], false, "{audit}");
    // Computed anew, the bound is an honest one.
    let number = |value: &Value| value.as_f64().expect("a number");
    let honest =
        number(&audit["live"]["bound_frobenius"]) + number(&audit["retrained"]["bound_frobenius"]);
    assert!(number(&audit["distance_frobenius"]) <= honest, "{audit}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("did not hold"), "{error}");
}

/// Where the ceiling binds, both ways out are named, and each of them leads out: in a few steps,
/// for they are estimates, and five tastes of equal strength are a hard case.
#[test]
fn a_training_at_its_ceiling_says_what_would_close_the_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    import(&data, &ratings(120, 60));
    let train = |dim: &str, lambda: &str| json(&["train", "--dim", dim, "--lambda", lambda], &data);
    let bound = train("3", "0.03");
    assert_eq!(bound["certificate"]["holds"], false, "{bound}");
    let remedy = |trained: &Value, name: &str| trained["remedy"][name].to_string();
    let reason = bound["certificate"]["approximate"]
        .as_str()
        .expect("a reason");
    for part in [
        String::from("all 3 dimensions"),
        format!("lambda {}", remedy(&bound, "lambda")),
        format!("dim {}", remedy(&bound, "dim")),
    ] {
        assert!(reason.contains(&part), "{part}: {reason}");
    }
    let leads_out = |next: &dyn Fn(&Value) -> Value| {
        let mut trained = bound.clone();
        for _ in 0..4 {
            trained = next(&trained);
            if trained["certificate"]["holds"] == true {
                assert_eq!(trained["remedy"], Value::Null);
                return;
            }
        }
        panic!("still open: {trained}");
    };
    leads_out(&|last| train("3", &remedy(last, "lambda")));
    leads_out(&|last| train(&remedy(last, "dim"), "0.03"));
}

/// Over HTTP: nothing is proven of a version that is not certified yet, and much once it is.
#[test]
fn recommendations_are_explained_on_request() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    import_and_train(
        &data,
        &ratings(120, 60),
        &["--dim", "24", "--lambda", "0.05"],
    );
    let server = Server::start_with(&data, |command| {
        command.env("RECANT__CERTIFICATE__TARGET", "0.000001");
    });
    let erased = server.forget("user=u4&item=i21");
    server.until_erasure(erased["id"].as_str().expect("an id"), &["certified"]);
    let (mut proven, model) = (0, server.model());
    for user in 0..40 {
        let answer = server
            .get(&format!("/recommend?user=u{user}&k=5&explain=true"))
            .json();
        let explanation = &answer["explanation"];
        assert_eq!(explanation["certificate_version"], answer["model_version"]);
        assert_eq!(explanation["certificate"], model["certificate"]);
        let number = |name: &str| explanation[name].as_f64().expect("a number");
        assert!(
            number("score_bound")
                >= explanation["certificate"]["frobenius"]
                    .as_f64()
                    .expect("a bound")
        );
        assert_eq!(
            explanation["top_k_proven"],
            number("margin") > number("margin_needed")
        );
        assert!(number("leading_set_proven") >= number("leading_positions_proven"));
        proven += usize::from(explanation["top_k_proven"] == true);
    }
    assert!(proven >= 20, "{proven} of 40");
    let body = serde_json::json!({"history": ["i1", "i2"], "explain": true});
    let session = server.post("/recommend", &body).json();
    assert_eq!(session["explanation"]["top_k_proven"], false);
    let plain = server.get("/recommend?user=u1").json();
    assert!(plain.get("explanation").is_none());
    assert_eq!(server.get("/recommend?user=u1&explain=yes").status, 400);
}
