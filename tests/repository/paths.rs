//! Files, folders and headings that the documents name.

use std::path::Path;

use super::documents::{Document, documents, root};

/// Folders at the root whose files documents name by their path.
const FOLDERS: [&str; 13] = [
    ".ci",
    ".github",
    "benches",
    "clients",
    "config",
    "crates",
    "deploy",
    "docs",
    "examples",
    "fuzz",
    "migrations",
    "src",
    "tests",
];

/// Whether a span of code is the path of something in the repository, and not of a route, a file in
/// a data directory or a formula.
fn is_path(span: &str) -> bool {
    let first = span.split('/').next();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    span.contains('/')
        && span.chars().all(plain)
        && first.is_some_and(|name| FOLDERS.contains(&name))
}

/// What a span looks like that names a source file by less than its path from the root.
fn is_shortened(span: &str) -> bool {
    let is_source = Path::new(span)
        .extension()
        .is_some_and(|extension| extension == "rs");
    span.contains('/') && is_source && !is_path(span)
}

#[test]
fn every_path_in_a_document_exists() {
    let mut wrong = Vec::new();
    for document in documents() {
        for span in document.code() {
            let is_missing = is_path(&span) && !root().join(&span).exists();
            if is_missing || is_shortened(&span) {
                wrong.push(format!("{}: {span}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the repository: {wrong:#?}");
}

/// Whether a link leads to a file that is there, and to one of its headings.
fn leads_somewhere(from: &Document, link: &str, all: &[Document]) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = root().join(&from.path);
    let folder = folder.parent().expect("a folder");
    let target = if file.is_empty() {
        root().join(&from.path)
    } else {
        folder.join(file)
    };
    let Ok(target) = target.canonicalize() else {
        return false;
    };
    let of_target = |document: &&Document| {
        root()
            .join(&document.path)
            .canonicalize()
            .is_ok_and(|path| path == target)
    };
    heading.is_empty()
        || all
            .iter()
            .find(of_target)
            .is_some_and(|document| document.anchors().iter().any(|anchor| anchor == heading))
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    let all = documents();
    let mut dead = Vec::new();
    for document in &all {
        for link in document.links() {
            if !leads_somewhere(document, link, &all) {
                dead.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links to nothing: {dead:#?}");
}

/// Whether a span of code is the name of a test as they are called here, a sentence, and not of a metric.
fn is_sentence(span: &str) -> bool {
    let words = span.split('_').count();
    words >= 5
        && !span.starts_with("recant_")
        && span
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn every_test_that_a_document_names_exists() {
    let mut sources = Vec::new();
    for folder in ["tests", "crates", "src"] {
        read_sources(&root().join(folder), &mut sources);
    }
    let exists = |name: &str| {
        let line = format!("fn {name}(");
        sources.iter().any(|source| source.contains(&line))
    };
    let mut wrong = Vec::new();
    for document in documents() {
        for span in document.code() {
            if is_sentence(&span) && !exists(&span) {
                wrong.push(format!("{}: {span}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such test: {wrong:#?}");
}

fn read_sources(folder: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(std::fs::read_to_string(&path).expect("a readable source"));
        }
    }
}
