//! `recant eval`: the real binary on small recipes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::SystemTime;

use crate::support::recant;
use recant_lab::experiment::{Arm, ModelAccuracy, Outcome, Results};

const SYNTHETIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/eval/synthetic.toml");

/// One data set that is made, and whatever else a test wants.
fn recipe(rest: &str) -> String {
    format!(
        "name = \"a test\"\n[[data]]\nname = \"made\"\n\
         synthetic = {{ users = 60, items = 50, interactions = 900, seed = 3 }}\n{rest}"
    )
}

fn write(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("recipe.toml");
    fs::write(&path, text).expect("the recipe is written");
    path
}

fn unlearn(recipe: &Path, out: &Path, more: &[&str]) -> Output {
    recant()
        .args(["eval", "unlearn"])
        .arg(recipe)
        .arg("--out")
        .arg(out)
        .args(more)
        .output()
        .expect("the binary starts")
}

fn succeeded(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Exit code and the one line on stderr.
fn failed(output: &Output) -> (Option<i32>, String) {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(told.lines().count(), 1, "{told}");
    (output.status.code(), told)
}

fn results(out: &Path) -> Results {
    let text = fs::read_to_string(out.join("results.json")).expect("results are there");
    serde_json::from_str(&text).expect("results are as declared")
}

fn times(out: &Path) -> BTreeMap<String, SystemTime> {
    let entries = fs::read_dir(out.join("cells")).expect("cells are there");
    let time = |entry: fs::DirEntry| {
        let changed = entry.metadata().and_then(|meta| meta.modified());
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, changed.expect("a time"))
    };
    entries
        .map(|entry| time(entry.expect("an entry")))
        .collect()
}

/// The relative distance of a run at its last checkpoint, over all users.
fn distance(results: &Results, deletion: &str, arm: &str) -> f64 {
    let is_it = |record: &&recant_lab::experiment::RunRecord| {
        let key = &record.key;
        key.deletion.label() == deletion && key.arm.label() == arm
    };
    let record = results
        .records
        .iter()
        .find(is_it)
        .expect("the cell is there");
    match &record.outcome {
        Outcome::Measured(measured) => {
            let last = measured.checkpoints.last().expect("a checkpoint");
            last.consistency.all.relative_frobenius.expect("a distance")
        }
        Outcome::Failed(reason) => panic!("{arm} failed: {reason}"),
    }
}

/// What stands in the repository for everybody to try.
#[test]
fn the_synthetic_recipe_shows_the_stages_between_floor_and_ceiling() {
    let out = tempfile::tempdir().expect("a folder");
    let text = succeeded(&unlearn(Path::new(SYNTHETIC), out.path(), &[]));
    assert!(text.contains("report.html"), "{text}");
    let found = results(out.path());
    assert_eq!(found.missing, 0);
    for deletion in found.recipe.deletion.iter().map(|spec| spec.label()) {
        let of = |arm: &str| distance(&found, &deletion, arm);
        let (floor, ceiling) = (of("retrained, other seed"), of("nothing done"));
        assert_eq!(of("retrained (reference)"), 0.0, "{deletion}");
        assert!(floor < 1e-3 * f64::max(1.0, ceiling), "{deletion}: {floor}");
        assert!(ceiling > 10.0 * floor, "{deletion}: {ceiling} {floor}");
        assert!(of("stage 1, 10 ms") < ceiling, "{deletion}");
        // The reference is certified to a root mean square of 4e-6, the stages to 1e-4.
        assert!(of("stage 1 + 2, 10 ms") < 0.1 * ceiling, "{deletion}");
    }
    report_is_whole(&fs::read_to_string(out.path().join("report.html")).expect("a report"));
}

/// Nothing is fetched, nothing is run, every plot has a title and a description.
fn report_is_whole(report: &str) {
    for foreign in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!report.contains(foreign), "the report has {foreign}");
    }
    for (opening, closing) in [
        ("<table", "</table>"),
        ("<svg", "</svg>"),
        ("<section", "</section>"),
        ("<tr>", "</tr>"),
        ("<details>", "</details>"),
        ("<figure>", "</figure>"),
    ] {
        assert_eq!(
            report.matches(opening).count(),
            report.matches(closing).count(),
            "{opening}"
        );
    }
    let plots = report.matches("<svg").count();
    assert!(plots >= 10, "{plots} plots");
    assert_eq!(report.matches("role=\"img\"").count(), plots);
    assert_eq!(report.matches("<desc").count(), plots);
    assert!(report.contains("prefers-color-scheme: dark"));
    assert!(!report.contains("NaN"), "a place is no number");
}

const IALS: &str = "[[model]]\nkind = \"ials\"\ndim = 4\nlambda = 0.3\n\
                    [[method]]\nkind = \"warm_sweeps\"\nsweeps = 2\n[[deletion]]\nkind = \"pair\"\n";

#[test]
fn a_run_goes_on_where_it_was_interrupted_and_no_further() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, out) = (
        write(folder.path(), &recipe(IALS)),
        folder.path().join("out"),
    );
    succeeded(&unlearn(&path, &out, &[]));
    let (first, before) = (results(&out), times(&out));
    assert_eq!(before.len(), 4);
    let gone = "made--ials-d-4--one-pair--seed-1--warm-start-2-sweeps.json";
    fs::remove_file(out.join("cells").join(gone)).expect("it was there");
    succeeded(&unlearn(&path, &out, &[]));
    let after = times(&out);
    for (name, time) in &before {
        assert_eq!(after[name] == *time, name != gone, "{name}");
    }
    // The same seed gives the same, but for the time it takes.
    let of = |found: &Results| distance(found, "one pair", "warm start, 2 sweeps");
    assert_eq!(of(&results(&out)), of(&first));
    // What is asked of accuracy does not concern runs.
    let before = times(&out);
    let measure = "[measure]\nevery_epochs = 1\n";
    write(folder.path(), &recipe(&format!("{measure}{IALS}")));
    succeeded(&unlearn(&path, &out, &[]));
    assert_eq!(times(&out), before);
    // Another setting is another run.
    write(folder.path(), &recipe(&IALS.replace("0.3", "0.4")));
    succeeded(&unlearn(&path, &out, &[]));
    assert!(times(&out).iter().all(|(name, time)| after[name] < *time));
}

#[test]
fn figures_do_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), &recipe(IALS));
    let checkpoints = |threads: &str| {
        let out = folder.path().join(threads);
        let text = succeeded(&unlearn(&path, &out, &["--threads", threads, "--json"]));
        let found: Results = serde_json::from_str(&text).expect("results are printed");
        assert_eq!(found, results(&out));
        let measured = found
            .records
            .into_iter()
            .map(|record| match record.outcome {
                Outcome::Measured(measured) => measured.checkpoints,
                Outcome::Failed(reason) => panic!("{reason}"),
            });
        let without_time = measured.flatten().map(|mut checkpoint| {
            checkpoint.seconds = 0.0;
            checkpoint
        });
        without_time.collect::<Vec<_>>()
    };
    assert_eq!(checkpoints("1"), checkpoints("3"));
}

/// Every method for neural models, on a model that is trained to its minimum.
#[test]
fn neural_models_are_unlearnt_beside_two_retrains() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(
        folder.path(),
        &recipe(
            r#"
[[model]]
kind = "factorisation"
parameters = { dim = 4, lambda = 0.1, loss = "logistic", negatives = 4 }
training = { epochs = 5, batch = 256, polish = 300 }
[[model]]
kind = "neumf"
parameters = { factors = 2, layers = [4, 2], negatives = 2 }
training = { epochs = 2, batch = 256 }
[[model]]
kind = "lightgcn"
parameters = { dim = 4, layers = 2 }
training = { epochs = 2, batch = 256 }
[[method]]
kind = "adamw"
epochs = 1
learning_rate = 1e-4
[[method]]
kind = "newton_cg"
steps = 5
[[method]]
kind = "lbfgs"
steps = 40
[[method]]
kind = "alteraser"
solver = "newton_cg"
rounds = 10
[[method]]
kind = "alteraser"
solver = "lbfgs"
rounds = 3
[[method]]
kind = "influence"
[[method]]
kind = "influence"
touched_only = true
[[method]]
kind = "shards"
count = 3
[[deletion]]
kind = "pairs"
share = 0.03
"#,
        ),
    );
    let out = folder.path().join("out");
    succeeded(&unlearn(&path, &out, &[]));
    let found = results(&out);
    // Reference, three retrains, nothing, eight methods; for each of three models.
    assert_eq!((found.records.len(), found.missing), (39, 0));
    let same_start =
        |record: &&recant_lab::experiment::RunRecord| record.key.arm == Arm::RetrainSameStart;
    assert_eq!(found.records.iter().filter(same_start).count(), 3);
    // The first model is the factorisation, which comes first.
    let of = |arm: &str| distance(&found, "3 % of pairs", arm);
    let ceiling = of("nothing done");
    for method in [
        "joint Newton-CG, 5 × 10",
        "joint L-BFGS, 40",
        "AltEraser (Newton), 10 × 1",
        "influence step",
    ] {
        assert!(
            of(method) < 0.8 * ceiling,
            "{method}: {} of {ceiling}",
            of(method)
        );
    }
}

#[test]
fn what_cannot_be_done_is_told_before_anything_is_trained() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let small = recipe(IALS).replace(
        "users = 60, items = 50, interactions = 900",
        "users = 10, items = 50, interactions = 200",
    );
    let nobody = recipe(IALS).replace(
        "kind = \"pair\"",
        "kind = \"users\"\nshare = 0.001\nchoice = \"random\"",
    );
    let elsewhere = recipe(IALS)
        .replace("synthetic = {", "# synthetic = {")
        .replace("made", "nowhere");
    for (text, code, expected) in [
        (
            recipe(IALS).replace("warm_sweeps", "hope"),
            2,
            "unknown variant `hope`",
        ),
        (
            recipe(IALS).replace("\"ials\"", "\"oracle\""),
            2,
            "unknown variant `oracle`",
        ),
        (
            recipe(IALS).replace("\"pair\"", "\"planet\""),
            2,
            "unknown variant `planet`",
        ),
        (
            recipe(&format!("[measure]\nevery_epochs = 0\n{IALS}")),
            2,
            "measure: every_epochs must be at least 1",
        ),
        (
            recipe(IALS).replace("warm_sweeps\"\nsweeps", "lbfgs\"\nsteps"),
            2,
            "fits none",
        ),
        (
            recipe(&IALS.replace("[[deletion]]\nkind = \"pair\"\n", "")),
            2,
            "what is to be deleted",
        ),
        (elsewhere, 2, "--data DIR"),
        (small, 1, "data made is too small: 10 users"),
        (nobody, 1, "0.001 of 60 users is none at all"),
    ] {
        let path = write(folder.path(), &text);
        let (found, told) = failed(&unlearn(&path, &out, &[]));
        assert_eq!(found, Some(code), "{told}");
        assert!(told.contains(expected), "{told}");
    }
    let records = out.join("cells");
    let is_empty = || fs::read_dir(&records).expect("a folder").next().is_none();
    assert!(!records.exists() || is_empty(), "something was trained");
}

#[test]
fn accuracy_is_measured_under_both_protocols_from_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("small");
    fs::create_dir(&data).expect("a folder");
    let mut csv = String::from("user_id,item_id,timestamp\n");
    for user in 0..60 {
        for step in 0..20 {
            let item = (user % 5) * 30 + (step * 7 + user) % 30;
            // The last in time is not the last in the file.
            csv += &format!("{user},{item},{}\n", (step * 11) % 20);
        }
    }
    fs::write(data.join("interactions.csv"), csv).expect("the data are written");
    let path = write(
        folder.path(),
        "name = \"x\"\n[[data]]\nname = \"small\"\nsplit = \"last\"\n\
         [[model]]\nkind = \"ials\"\ndim = 8\nlambda = 0.1\n",
    );
    let output = recant()
        .args(["eval", "accuracy", "--json", "--data"])
        .arg(folder.path())
        .arg(&path)
        .output()
        .expect("the binary starts");
    let found: serde_json::Value = serde_json::from_str(&succeeded(&output)).expect("JSON");
    assert_eq!(found[0]["full_ranking"]["users"], 60);
    assert_eq!(found[0]["leave_one_out"]["users"], 60);
    // Tastes are disjoint: a held-out item beats nearly all that are not of its taste.
    let rate = found[0]["leave_one_out"]["hit_rate_at_10"]
        .as_f64()
        .expect("a rate");
    assert!(rate > 0.4, "{rate}");
}

/// A training whose last epoch is no third one, one that goes on after its epochs, one that ends with
/// a third epoch, and one without epochs.
const ALONG_A_TRAINING: &str = r#"
[[model]]
kind = "lightgcn"
parameters = { dim = 4, layers = 2 }
training = { epochs = 7, batch = 256 }
[[model]]
kind = "factorisation"
parameters = { dim = 4, lambda = 0.1, loss = "logistic", negatives = 4 }
training = { epochs = 6, batch = 256, polish = 20 }
[[model]]
kind = "neumf"
parameters = { factors = 2, layers = [4, 2], negatives = 2 }
training = { epochs = 6, batch = 256 }
[[model]]
kind = "ials"
dim = 4
lambda = 0.3
"#;

#[test]
fn one_training_gives_the_whole_curve_of_accuracy_and_the_same_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let accuracy = |rest: &str| -> (Vec<ModelAccuracy>, String) {
        // As many items as the protocol of one in a hundred needs.
        let text = recipe(rest).replace("items = 50", "items = 200");
        let path = write(folder.path(), &text);
        let mut command = recant();
        let output = command
            .args(["eval", "accuracy", "--json"])
            .arg(&path)
            .output();
        let output = output.expect("the binary starts");
        let found = serde_json::from_str(&succeeded(&output)).expect("JSON");
        (found, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (found, told) = accuracy(&format!("[measure]\nevery_epochs = 3\n{ALONG_A_TRAINING}"));
    let epochs = |found: &ModelAccuracy| -> Vec<usize> {
        found.curve.iter().map(|point| point.epochs).collect()
    };
    // The end is a point of its own, unless it is a third epoch.
    let expected: [&[usize]; 4] = [&[3, 6, 7], &[3, 6, 6], &[3, 6], &[]];
    assert_eq!(found.iter().map(epochs).collect::<Vec<_>>(), expected);
    for found in &found[..3] {
        let last = found.curve.last().expect("the end");
        assert_eq!(
            (last.seconds, last.full_ranking, last.leave_one_out),
            (found.seconds, found.full_ranking, found.leave_one_out)
        );
        assert!(found.curve.is_sorted_by(|a, b| a.seconds < b.seconds));
        let first = found.curve[0].full_ranking;
        assert_ne!(first, found.full_ranking, "nothing was learnt in between");
        assert_eq!(first.users, found.full_ranking.users);
        assert!(found.leave_one_out.users > 0 && first.users > 0);
    }
    assert_eq!(told.lines().count(), 8, "{told}");
    assert!(
        told.starts_with("LightGCN-2 on made, seed 1, 3 epochs, "),
        "{told}"
    );

    // Looking changes nothing.
    let (unseen, told) = accuracy(ALONG_A_TRAINING);
    assert_eq!(told, "");
    for (found, unseen) in found.iter().zip(&unseen) {
        assert_eq!(unseen.curve, []);
        assert_eq!(found.full_ranking, unseen.full_ranking);
        assert_eq!(found.leave_one_out, unseen.leave_one_out);
    }

    // A point is what a training of so many epochs ends with.
    let (short, _) = accuracy(&ALONG_A_TRAINING.replace("epochs = 7", "epochs = 3"));
    assert_eq!(found[0].curve[0].full_ranking, short[0].full_ranking);
    assert_eq!(found[0].curve[0].leave_one_out, short[0].leave_one_out);
}
