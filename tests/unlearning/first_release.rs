//! An experiment that the first release ran, in the words of then, is gone on with.

use std::fs;
use std::path::Path;

use crate::support::{recant, run, unpack};
use recant_lab::experiment::{Outcome, Results};

const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/release-1/experiment"
);

#[test]
fn what_the_first_release_measured_is_not_measured_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("results");
    unpack(&Path::new(FIXTURE).join("results"), &out);
    let before = fs::read_to_string(out.join("results.json")).expect("results");
    let before: Results = serde_json::from_str(&before).expect("results of then are understood");
    run(recant()
        .args(["eval", "unlearn"])
        .arg(Path::new(FIXTURE).join("recipe.toml"))
        .arg("--out")
        .arg(&out));
    let after = fs::read_to_string(out.join("results.json")).expect("results");
    let after: Results = serde_json::from_str(&after).expect("results");
    assert_eq!(before.records.len(), 15);
    let seconds = |results: &Results| -> Vec<u64> {
        let of_run = |outcome: &Outcome| match outcome {
            Outcome::Measured(measured) => measured.checkpoints[0].seconds.to_bits(),
            Outcome::Failed(reason) => panic!("{reason}"),
        };
        let records = results.records.iter();
        records.map(|record| of_run(&record.outcome)).collect()
    };
    // Times are never twice the same: equal ones say that nothing ran.
    assert_eq!(seconds(&before), seconds(&after));
}
