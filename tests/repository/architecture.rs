//! Holds the manifests to the table in ARCHITECTURE.md, and the sources to what no manifest can say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::documents::root;

/// Crates that are functions of arrays and bytes, and what they must not know.
const PURE_CRATES: [&str; 7] = [
    "types", "core", "cluster", "neural", "eval", "receipt", "import",
];
const IMPURE_LIBRARIES: [&str; 6] = ["axum", "metrics", "sled", "tokio", "tower", "tower-http"];

/// The one folder whose files may hold `unsafe`: the kernels of instructions that the compiler does
/// not choose by itself.
const UNSAFE_FOLDER: &str = "crates/core/src/topk/kernel";

/// The last column of the table of crates: short name of a crate → short names it may use.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let quoted = |cell: &str| -> BTreeSet<String> {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let mut table = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `recant")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let name = cells[0].trim().trim_matches('`');
        let may_use = quoted(cells.last().expect("a cell"));
        table.insert(short(name).to_owned(), may_use);
    }
    assert!(table.len() > 10, "the table of crates was not found");
    table
}

fn short(name: &str) -> &str {
    name.strip_prefix("recant-").unwrap_or(name)
}

/// The manifests of the workspace, by short name of the crate.
fn manifests() -> BTreeMap<String, toml::Table> {
    let mut paths = vec![root().join("Cargo.toml")];
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        paths.push(entry.expect("a folder").path().join("Cargo.toml"));
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a manifest");
        let manifest: toml::Table = text.parse().expect("TOML");
        let name = manifest["package"]["name"].as_str().expect("a name");
        (short(name).to_owned(), manifest)
    };
    paths.into_iter().map(read).collect()
}

fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table
        .into_iter()
        .flat_map(toml::Table::keys)
        .cloned()
        .collect()
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let table = table();
    for (name, manifest) in manifests() {
        let may_use = table
            .get(&name)
            .unwrap_or_else(|| panic!("{name} is not in the table"));
        let used: BTreeSet<String> = dependencies(&manifest)
            .iter()
            .filter_map(|used| used.strip_prefix("recant-").map(str::to_owned))
            .collect();
        let forbidden: Vec<_> = used.difference(may_use).collect();
        assert!(forbidden.is_empty(), "{name} must not use {forbidden:?}");
        let idle: Vec<_> = may_use.difference(&used).collect();
        assert!(
            idle.is_empty(),
            "{name} does not use {idle:?}: strike it out of the table"
        );
    }
}

#[test]
fn mathematics_knows_no_disk_no_network_and_no_tasks() {
    let manifests = manifests();
    for name in PURE_CRATES {
        let used = dependencies(&manifests[name]);
        for library in IMPURE_LIBRARIES {
            assert!(!used.contains(library), "{name} uses {library}");
        }
    }
}

#[test]
fn only_the_store_knows_the_database_and_only_the_edges_know_http() {
    for (name, manifest) in manifests() {
        let used = dependencies(&manifest);
        assert!(
            name == "store" || !used.contains("sled"),
            "{name} uses sled"
        );
        // What callers reach, what other nodes of a cluster do, and the binary that puts both together.
        let is_edge = ["http", "replication", "recant"].contains(&name.as_str());
        assert!(is_edge || !used.contains("axum"), "{name} uses axum");
    }
}

#[test]
fn every_crate_obeys_the_lints_of_the_workspace() {
    for (name, manifest) in manifests() {
        let inherits = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(inherits, Some(&toml::Value::Boolean(true)), "{name}");
    }
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

#[test]
fn every_block_of_unsafe_code_says_why_it_is_sound() {
    let mut paths = Vec::new();
    sources(&root().join(UNSAFE_FOLDER), &mut paths);
    let mut blocks = 0;
    for path in paths {
        let text = fs::read_to_string(&path).expect("a readable file");
        let here = text.matches("unsafe {").count();
        let reasons = text.matches("SAFETY:").count();
        assert!(
            reasons >= here,
            "{}: a block without SAFETY",
            path.display()
        );
        blocks += here;
    }
    assert!(blocks > 0, "the folder has moved");
}

#[test]
fn unsafe_code_is_allowed_in_one_folder_only() {
    let mut paths = Vec::new();
    for folder in ["src", "crates", "migrations"] {
        sources(&root().join(folder), &mut paths);
    }
    let allows = format!("allow({}", "unsafe_code");
    for path in paths {
        let text = fs::read_to_string(&path).expect("a readable file");
        let inside = path.starts_with(root().join(UNSAFE_FOLDER));
        assert!(inside || !text.contains(&allows), "{}", path.display());
    }
}
