//! `recant import` as a command: exit codes, the summary, and what a server then holds.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::recant;

fn import(data: &Path, name: &str, content: &[u8], more: &[&str]) -> Output {
    let file = data.with_file_name(name);
    std::fs::write(&file, content).expect("written");
    let mut command = recant();
    command.arg("import").arg(&file).arg("--data-dir").arg(data);
    command.args(more).output().expect("the binary starts")
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("a summary")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_without_a_good_row_stores_nothing_and_fails_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let dates = b"user_id,item_id,timestamp\nneedle,x,06/24/2022 21:20\n";
    for (name, content, reason) in [
        ("dates.csv", dates.as_slice(), "--time-format"),
        ("header.csv", b"user_id,item_id\n", "has no rows"),
        ("x.zip", b"PK\x03\x04\x14\0", "is a zip archive"),
        (
            "heavy.csv",
            b"user_id,item_id,weight\na,x,3e6\n",
            "--weights log1p",
        ),
    ] {
        let output = import(&data, name, content, &["--json"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(output.stdout, b"", "{name}");
        let said = said(&output);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(reason) && !said.contains("needle"), "{said}");
    }
    let read = ["--time-format", "%m/%d/%Y %H:%M", "--json"];
    let output = import(&data, "dates.csv", dates, &read);
    assert_eq!(
        summary(&output)["interactions"],
        1,
        "nothing else was stored"
    );
}

#[test]
fn the_summary_accounts_for_every_row_by_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let text = b"user_id,item_id,rating,timestamp\nu1,i1,5,1200000000\nu1,i1,2,1500000000\n\
        u2,i1,5,1500000000\n u2 ,i1,4,1400000000\nnull,i1,5,\nu3,i1,,1\nu4,i1,5,4102444800\nu5,i1\n";
    let output = import(&data, "x.csv", text, &["--min-rating", "4", "--json"]);
    let summary = summary(&output);
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    assert_eq!(
        [count("rows_read"), count("kept"), count("duplicate")],
        [8, 1, 2]
    );
    assert_eq!(
        [count("filtered"), count("rejected"), count("held_back")],
        [1, 4, 0]
    );
    let reasons = serde_json::json!(
        {"field_count": 1, "null_id": 1, "time_ahead": 1, "weight_empty": 1}
    );
    assert_eq!(summary["rejected_by_reason"], reasons);
    assert_eq!(
        [count("users"), count("items"), count("interactions")],
        [1, 1, 1]
    );
}

#[test]
fn flags_that_make_no_sense_are_misuse() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    for flags in [
        ["--weights", "log2"],
        ["--encoding", "klingon"],
        ["--delimiter", "::"],
        ["--time-format", "%H:%M"],
        ["--quote", "ab"],
    ] {
        let output = import(&data, "x.csv", b"user_id,item_id\na,x\n", &flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(said(&output).contains(flags[0]), "{}", said(&output));
    }
}

#[test]
fn ids_that_begin_with_a_hyphen_are_taken_on_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import(&data, "x.csv", b"user_id,item_id\n-u1,--x\n", &[]);
    for needle in ["-u1", "--x"] {
        let mut scan = recant();
        scan.arg("scan").arg("--data-dir").arg(&data);
        let output = scan.args(["--needle", needle]).output().expect("it starts");
        assert_ne!(output.status.code(), Some(2), "{}", said(&output));
    }
}
