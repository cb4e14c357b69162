//! The documents, and what they name.

use std::fs;
use std::path::{Path, PathBuf};

/// A document of the repository.
pub struct Document {
    /// Its path from the root.
    pub path: PathBuf,
    pub text: String,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Markdown files at the root and under `docs/`.
pub fn documents() -> Vec<Document> {
    let folders = [root().to_owned(), root().join("docs")];
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let mut documents: Vec<Document> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| Document {
            text: fs::read_to_string(&path).expect("a readable document"),
            path: path
                .strip_prefix(root())
                .expect("below the root")
                .to_owned(),
        })
        .collect();
    documents.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(documents.len() > 10, "the documents have moved");
    documents
}

impl Document {
    /// The lines of its blocks of code, and the spans of code in its prose.
    pub fn code(&self) -> Vec<String> {
        let mut code = Vec::new();
        let mut inside = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if inside {
                code.push(line.trim().to_owned());
            } else {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        code.extend(spans(&prose));
        code
    }

    /// Targets of its links that are not on the internet.
    pub fn links(&self) -> Vec<&str> {
        let targets = self.text.split("](").skip(1);
        targets
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target)
            .filter(|target| !target.contains("://"))
            .collect()
    }

    /// The anchors of its headings, as they are made on GitHub and by mdBook.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings
            .map(|line| anchor(line.trim_start_matches('#').trim()))
            .collect()
    }
}

/// What stands between single backticks; a span may go over the end of a line.
fn spans(prose: &str) -> impl Iterator<Item = String> + '_ {
    let paragraphs = prose.split("\n\n");
    paragraphs.flat_map(|paragraph| {
        let parts = paragraph.split('`').skip(1).step_by(2);
        parts.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
