//! `recant scan` finds what lies in files in any of its forms, and nothing where there is nothing.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::recant;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

const NEEDLE: &str = "usr>>needle??77";
const NUMBER: &str = "3141592653";

fn scan(directory: &Path, more: &[&str]) -> Output {
    let mut command = recant();
    command
        .arg("scan")
        .arg("--data-dir")
        .arg(directory)
        .args(more);
    command.output().expect("the binary starts")
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Every form, each in a file named after it, among bytes of something else.
fn planted() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let number: u64 = NUMBER.parse().expect("a number");
    let short = u32::try_from(number).expect("four bytes");
    let around = |bytes: &[u8]| [b"before\0", bytes, b"\xffafter"].concat();
    let encoded = |before: &str| STANDARD.encode(format!("{before}{NEEDLE} and more"));
    let url = |before: &str| URL_SAFE_NO_PAD.encode(format!("{before}{NEEDLE}"));
    vec![
        ("plain", "plain", around(NEEDLE.as_bytes())),
        ("hex-lower", "hex", around(hex(NEEDLE).as_bytes())),
        (
            "hex-upper",
            "hex",
            around(hex(NEEDLE).to_uppercase().as_bytes()),
        ),
        ("base64-0", "base64", around(encoded("").as_bytes())),
        ("base64-1", "base64", around(encoded("x").as_bytes())),
        ("base64-2", "base64", around(encoded("xy").as_bytes())),
        ("base64url-0", "base64", around(url("").as_bytes())),
        ("base64url-1", "base64", around(url("x").as_bytes())),
        ("base64url-2", "base64", around(url("xy").as_bytes())),
        ("percent", "percent", around(b"usr%3E%3Eneedle%3F%3F77")),
        (
            "u64-little",
            "integer-little-endian",
            around(&number.to_le_bytes()),
        ),
        (
            "u64-big",
            "integer-big-endian",
            around(&number.to_be_bytes()),
        ),
        (
            "u32-little",
            "integer-little-endian",
            around(&short.to_le_bytes()),
        ),
        (
            "u32-big",
            "integer-big-endian",
            around(&short.to_be_bytes()),
        ),
        ("number", "plain", around(NUMBER.as_bytes())),
    ]
}

#[test]
fn every_form_is_found_in_an_unsealed_file() {
    for (name, form, bytes) in planted() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("deep/er")).expect("made");
        fs::write(folder.path().join("clean"), "nothing of the kind").expect("written");
        let file = folder.path().join("deep/er").join(name);
        fs::write(&file, bytes).expect("written");
        let output = scan(
            folder.path(),
            &["--needle", NEEDLE, "--needle", NUMBER, "--json"],
        );
        assert_eq!(output.status.code(), Some(1), "{name}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let found = report["found"].as_array().expect("a list");
        let right =
            |found: &Value| found["file"] == file.to_str().expect("UTF-8") && found["form"] == form;
        assert!(found.iter().any(right), "{name}: {report}");
        assert_eq!(report["files"], 2);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!said.contains(NEEDLE) && !said.contains(NUMBER), "{said}");
    }
}

#[test]
fn what_an_editor_leaves_in_a_file_of_needles_hides_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("made");
    let number: u64 = NUMBER.parse().expect("a number");
    let bytes = [NEEDLE.as_bytes(), &number.to_le_bytes()].concat();
    fs::write(data.join("f"), bytes).expect("written");
    let text = format!("\u{feff}{NEEDLE}\t\r\n \r\n{NUMBER} \r\nelsewhere\r\n");
    let utf16 = text.encode_utf16().flat_map(u16::to_be_bytes);
    let needles = folder.path().join("needles");
    let file = ["--json", "--needle-file", needles.to_str().expect("UTF-8")];
    for bytes in [
        text.clone().into_bytes(),
        text.replace("\r\n", "\r").into_bytes(),
        utf16.collect(),
    ] {
        fs::write(&needles, bytes).expect("written");
        let output = scan(&data, &file);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(report["clean"], false, "{report}");
        assert_eq!(
            report["forms"].as_array().map(Vec::len),
            Some(3),
            "{report}"
        );
        let found = report["found"].as_array().expect("a list");
        let of = |needle: u64| found.iter().filter(|it| it["needle"] == needle).count();
        assert_eq!((of(1), of(2), of(3)), (1, 1, 0), "{report}");
    }
    fs::write(&needles, "\u{feff} \r\n\r\n").expect("written");
    assert_eq!(scan(&data, &file).status.code(), Some(2), "no needle");
}

#[test]
fn a_clean_directory_is_told_from_one_that_cannot_be_searched() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("f"), "nothing of the kind").expect("written");
    let output = scan(folder.path(), &["--needle", NEEDLE]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let nowhere = folder.path().join("nowhere");
    for output in [
        scan(&nowhere, &["--needle", NEEDLE]),
        scan(folder.path(), &[]),
        scan(folder.path(), &["--needle", ""]),
        scan(
            folder.path(),
            &["--needle-file", nowhere.to_str().expect("UTF-8")],
        ),
    ] {
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    }
}

#[test]
fn needles_may_come_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("made");
    fs::write(data.join("f"), "two-needles two-pins").expect("written");
    let needles = folder.path().join("needles");
    fs::write(&needles, "absent\n\ntwo-pins\n").expect("written");
    let output = scan(&data, &["--needle-file", needles.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("needle 2 plain x1 at offset 12"), "{said}");
}
