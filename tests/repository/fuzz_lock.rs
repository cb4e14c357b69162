//! The fuzz targets' own lock file, which follows the workspace's.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::documents::root;

/// The packages of a lock file that this repository makes, each with what it depends on.
fn own_packages(lock: &Table) -> BTreeMap<String, Vec<String>> {
    let packages = lock["package"].as_array().expect("packages");
    packages
        .iter()
        .filter(|package| package.get("source").is_none())
        .map(|package| (name(package), dependencies(package)))
        .collect()
}

fn name(package: &Value) -> String {
    package["name"].as_str().expect("a name").to_owned()
}

/// What a package of a lock file depends on, by name: a version stands behind it only where there
/// is more than one.
fn dependencies(package: &Value) -> Vec<String> {
    let Some(listed) = package.get("dependencies").and_then(Value::as_array) else {
        return Vec::new();
    };
    let named = listed.iter().filter_map(Value::as_str);
    named
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn table(path: &str) -> Table {
    let text = std::fs::read_to_string(root().join(path)).expect("a readable file");
    text.parse().expect("TOML")
}

/// What a crate's manifest needs in every build: optional dependencies and those of tests may be
/// left out of another workspace's lock file.
fn needed(manifest: &Table) -> Vec<String> {
    let Some(dependencies) = manifest.get("dependencies").and_then(Value::as_table) else {
        return Vec::new();
    };
    let is_optional = |value: &Value| value.get("optional").and_then(Value::as_bool) == Some(true);
    dependencies
        .iter()
        .filter(|(_, value)| !is_optional(value))
        .map(|(name, _)| name.clone())
        .collect()
}

/// `cargo fuzz` would write the lock file anew, and a build that must not (`--locked`) refuses:
/// whoever gives a crate a dependency is told here, not by a failing pipeline.
#[test]
fn the_lock_file_of_the_fuzz_targets_knows_every_dependency() {
    let locked = own_packages(&table("fuzz/Cargo.lock"));
    let mut missing = Vec::new();
    for (package, dependencies) in &locked {
        let Some(folder) = package.strip_prefix("recant-").filter(|it| *it != "fuzz") else {
            continue;
        };
        for need in needed(&table(&format!("crates/{folder}/Cargo.toml"))) {
            if !dependencies.contains(&need) {
                missing.push(format!("{package}: {need}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "run `cargo metadata --manifest-path fuzz/Cargo.toml`; not in its lock file: {missing:#?}"
    );
}
