//! Holds the code to the table of rooms in ARCHITECTURE.md: what each may use, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file of source, in lines, its unit tests included.
const FILE_LINES_MAX: usize = 500;

/// Crates that the pure mathematics must not know, by room.
const PURE_ROOMS: [&str; 8] = [
    "eval", "model", "neural", "optim", "receipt", "simd", "topk", "unlearn",
];
const IMPURE_CRATES: [&str; 5] = ["axum", "metrics", "sled", "tokio", "tower"];

/// The rooms each room may use, besides itself.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let vocabulary = ["erasure", "event", "ids"];
    let below_service = [
        "eval",
        "model",
        "neural",
        "optim",
        "receipt",
        "store",
        "telemetry",
        "topk",
        "unlearn",
    ];
    let everything = [
        "config",
        "demo",
        "erasure",
        "eval",
        "event",
        "experiment",
        "http",
        "ids",
        "import",
        "model",
        "neural",
        "optim",
        "receipt",
        "scan",
        "service",
        "simd",
        "store",
        "telemetry",
        "topk",
        "unlearn",
    ];
    BTreeMap::from([
        ("ids", vec![]),
        ("event", vec!["ids"]),
        ("erasure", vec!["event", "ids", "model"]),
        ("simd", vec![]),
        ("model", vec!["simd"]),
        ("optim", vec!["model", "simd", "topk"]),
        ("unlearn", vec!["model", "optim", "simd"]),
        ("topk", vec!["simd"]),
        ("neural", vec!["model", "optim", "simd"]),
        ("eval", vec!["model", "neural"]),
        (
            "experiment",
            vec![
                "demo", "eval", "import", "model", "neural", "optim", "unlearn",
            ],
        ),
        ("receipt", [&vocabulary[..], &["model"]].concat()),
        ("scan", vec![]),
        (
            "store",
            [
                &vocabulary[..],
                &["model", "neural", "receipt", "telemetry"],
            ]
            .concat(),
        ),
        ("import", vec!["ids", "event", "store"]),
        ("demo", vec!["ids"]),
        ("service", [&vocabulary[..], &below_service[..]].concat()),
        ("config", vec!["model", "neural"]),
        ("telemetry", vec!["config"]),
        (
            "http",
            [
                &vocabulary[..],
                &["config", "model", "receipt", "service", "telemetry"],
            ]
            .concat(),
        ),
        ("cli", everything.to_vec()),
        ("fuzzing", everything.to_vec()),
        ("lib", everything.to_vec()),
    ])
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(
        paths.len() > 20,
        "the walk found only {} files",
        paths.len()
    );
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a readable file");
            (
                path.strip_prefix(&root).expect("below src").to_owned(),
                text,
            )
        })
        .collect()
}

fn room(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .expect("a file")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Rooms named in `crate::room` anywhere outside comments.
fn rooms_used(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        })
        .collect()
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let allowed = allowed();
    let mut broken = Vec::new();
    for (path, text) in all_sources() {
        let room = room(&path);
        if room == "main" {
            continue;
        }
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{room} is not in the table"));
        for used in rooms_used(&text) {
            let known = allowed.contains_key(used.as_str());
            if known && used != room && !may.contains(&used.as_str()) {
                broken.push(format!("{}: {room} must not use {used}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn mathematics_knows_no_disk_no_network_and_no_tasks() {
    for (path, text) in all_sources() {
        if !PURE_ROOMS.contains(&room(&path).as_str()) {
            continue;
        }
        for name in IMPURE_CRATES {
            assert!(
                !text.contains(&format!("{name}::")),
                "{} uses {name}",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_store_knows_the_database_and_only_the_edge_knows_http() {
    for (path, text) in all_sources() {
        let room = room(&path);
        if room != "store" {
            assert!(!text.contains("sled::"), "{} uses sled", path.display());
        }
        if room != "http" && room != "cli" {
            assert!(!text.contains("axum::"), "{} uses axum", path.display());
        }
    }
}

/// The one folder whose files may hold `unsafe`: the kernels of instructions that the compiler does
/// not choose by itself.
const UNSAFE_FOLDER: &str = "topk/kernel";

#[test]
fn unsafe_code_stays_in_its_folder() {
    let mut inside = 0;
    for (path, text) in all_sources() {
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let mentions = code
            .filter(|line| line.contains("unsafe ") || line.contains("allow(unsafe_code)"))
            .count();
        if path.starts_with(UNSAFE_FOLDER) {
            inside += mentions;
            let reasons = text.matches("SAFETY:").count();
            let blocks = text.matches("unsafe {").count();
            assert!(
                reasons >= blocks,
                "{}: a block without SAFETY",
                path.display()
            );
        } else if path == Path::new("lib.rs") {
            assert!(text.contains("#![deny(unsafe_code)]"));
        } else {
            assert_eq!(mentions, 0, "{} mentions unsafe", path.display());
        }
    }
    assert!(inside > 0, "the folder has moved");
}

#[test]
fn files_stay_readable() {
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        assert!(
            lines <= FILE_LINES_MAX,
            "{} has {lines} lines: split it",
            path.display()
        );
    }
}
