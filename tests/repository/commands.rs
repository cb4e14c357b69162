//! Commands that the documents, and the heads of tests and benchmarks, tell a reader to run.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::documents::{Document, documents, root};

/// Texts that are signed, hashed or printed and begin like a command.
const NO_COMMANDS: [&str; 4] = [
    "recant receipt",
    "recant erasure",
    // What the program prints.
    "recant 0.",
    "recant listens on",
];

/// The comments at the heads of tests, benchmarks and examples.
fn heads() -> Vec<Document> {
    let mut paths = Vec::new();
    for folder in ["benches", "tests", "crates", "examples"] {
        sources(&root().join(folder), &mut paths);
    }
    let head = |path: PathBuf| {
        let source = fs::read_to_string(&path).expect("a readable file");
        let lines = source.lines().filter_map(|line| line.strip_prefix("//!"));
        Document {
            text: lines.collect::<Vec<_>>().join("\n"),
            path: path
                .strip_prefix(root())
                .expect("below the root")
                .to_owned(),
        }
    };
    paths.into_iter().map(head).collect()
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The words of a command as a shell would take them, without prompt, comment, variables in front
/// and the brackets of what is optional.
fn words(line: &str) -> Vec<String> {
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let line = line.split(" # ").next().unwrap_or(line);
    // What a shell does with the output is the shell's.
    let line = line.split(" | ").next().unwrap_or(line);
    let bare: String = line.chars().filter(|c| !"[]\\".contains(*c)).collect();
    bare.split_whitespace()
        .skip_while(|word| word.contains('=') && !word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

/// All commands that begin with `program`, with where they stand.
fn commands(program: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    for document in documents().into_iter().chain(heads()) {
        for line in document.code() {
            let words = words(&line);
            if words.first().is_some_and(|word| word == program) {
                found.push((document.path.clone(), words));
            }
        }
    }
    assert!(!found.is_empty(), "no document names {program}");
    found
}

/// What is wrong with a command of `recant`, if anything is.
fn misused(words: &[String]) -> Option<String> {
    // What a sentence leaves out is no mistake.
    let words = words.iter().filter(|word| *word != "…");
    let error = recant::command().try_get_matches_from(words).err()?;
    match error.kind() {
        ErrorKind::MissingRequiredArgument
        | ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => None,
        _ => Some(error.to_string()),
    }
}

#[test]
fn every_command_line_in_a_document_is_understood() {
    let mut wrong = Vec::new();
    for (path, words) in commands("recant") {
        let line = words.join(" ");
        let is_command = words.len() > 1 && !NO_COMMANDS.iter().any(|text| line.starts_with(text));
        if let Some(error) = is_command.then(|| misused(&words)).flatten() {
            wrong.push(format!("{}: {line}: {error}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The value of a flag of cargo.
fn flag<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| word == name)?;
    words.get(at + 1).map(String::as_str)
}

/// The folders of the packages that a command of cargo is about.
fn packages(words: &[String]) -> Vec<PathBuf> {
    let crates = root().join("crates");
    let name = flag(words, "-p").unwrap_or("recant");
    if words.iter().any(|word| word == "--workspace") {
        let entries = fs::read_dir(crates).expect("crates");
        let folders = entries.map(|entry| entry.expect("an entry").path());
        return folders.chain([root().to_owned()]).collect();
    }
    vec![match name.strip_prefix("recant-") {
        Some(short) => crates.join(short),
        None => root().to_owned(),
    }]
}

/// Whether a target has a source: a file of its name, or a folder with `main.rs`.
fn has_target(package: &Path, kind: &str, name: &str) -> bool {
    let folder = package.join(kind);
    folder.join(name).with_extension("rs").exists() || folder.join(name).join("main.rs").exists()
}

/// Whether a filter, `module::part_of_a_name`, selects a test of a joined binary.
fn selects(package: &Path, binary: &str, filter: &str) -> bool {
    let (module, name) = filter.split_once("::").unwrap_or((filter, ""));
    let path = package.join("tests").join(binary).join(module);
    let source = fs::read_to_string(path.with_extension("rs")).unwrap_or_default();
    source
        .lines()
        .map(|line| line.trim_start().trim_start_matches("async "))
        .filter_map(|line| line.strip_prefix("fn "))
        .any(|function| function.contains(name))
}

/// What is wrong with a command of cargo, if anything is.
fn fails(words: &[String]) -> Option<String> {
    let own = words.split(|word| word == "--").next().unwrap_or(words);
    let packages = packages(own);
    if !packages
        .iter()
        .all(|folder| folder.join("Cargo.toml").exists())
    {
        return Some("no such package".to_owned());
    }
    for (name, kind) in [
        ("--test", "tests"),
        ("--bench", "benches"),
        ("--example", "examples"),
    ] {
        let found = |target: &&str| {
            packages
                .iter()
                .any(|folder| has_target(folder, kind, target))
        };
        if let Some(target) = flag(own, name).filter(|target| !found(target)) {
            return Some(format!("no {target} in {kind}"));
        }
    }
    let filter = own.last().filter(|word| word.contains("::"))?;
    let binary = flag(own, "--test")?;
    let selected = packages
        .iter()
        .any(|folder| selects(folder, binary, filter));
    (!selected).then(|| format!("no test {filter}"))
}

#[test]
fn every_command_of_cargo_in_a_document_has_what_it_runs() {
    let mut wrong = Vec::new();
    for (path, words) in commands("cargo") {
        if let Some(error) = fails(&words) {
            wrong.push(format!("{}: {}: {error}", path.display(), words.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_program_of_this_binary_that_cargo_runs_in_a_document_is_understood() {
    let runs = commands("cargo").into_iter().filter(|(_, words)| {
        words.get(1).is_some_and(|word| word == "run") && flag(words, "--example").is_none()
    });
    for (path, words) in runs {
        let arguments = words.split(|word| word == "--").nth(1).unwrap_or_default();
        let mut line = vec!["recant".to_owned()];
        line.extend_from_slice(arguments);
        assert_eq!(misused(&line), None, "{}", path.display());
    }
}
