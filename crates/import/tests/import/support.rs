//! Files made for a test, and a sink that remembers.

use std::path::{Path, PathBuf};

use recant_import::{
    ImportError, ImportOptions, ReadOptions, RowCounts, RowSink, SinkError, SinkTotals, TakenRow,
    parts, run,
};
use recant_types::{DescriptionPatch, FeedbackType};

/// One row as a sink is given it; a row that takes its pair back has no weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    pub user: String,
    pub item: String,
    pub feedback: FeedbackType,
    pub weight: Option<f32>,
    pub timestamp: Option<i64>,
}

/// Remembers everything in the order in which it came.
#[derive(Debug, Default)]
pub struct Memory {
    pub rows: Vec<Taken>,
    pub titles: Vec<(String, String)>,
    pub said: Vec<(String, DescriptionPatch)>,
}

impl Memory {
    fn take(&mut self, row: TakenRow<'_>, weight: Option<f32>) {
        self.rows.push(Taken {
            user: row.user.to_owned(),
            item: row.item.to_owned(),
            feedback: row.feedback.clone(),
            weight,
            timestamp: row.timestamp,
        });
    }

    /// The users in the order of the rows.
    pub fn users(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.user.as_str()).collect()
    }

    /// The items in the order of the rows.
    pub fn items(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.item.as_str()).collect()
    }
}

impl RowSink for Memory {
    fn push(&mut self, row: TakenRow<'_>, weight: f32) -> Result<(), SinkError> {
        self.take(row, Some(weight));
        Ok(())
    }

    fn withdraw(&mut self, row: TakenRow<'_>) -> Result<(), SinkError> {
        self.take(row, None);
        Ok(())
    }

    fn describe(&mut self, item: &str, said: &DescriptionPatch) -> Result<(), SinkError> {
        if let Some(Some(title)) = &said.title {
            self.titles.push((item.to_owned(), title.to_string()));
        }
        self.said.push((item.to_owned(), said.clone()));
        Ok(())
    }
}

/// Imports files of interactions and checks that every row is accounted for.
pub fn import_paths(
    paths: &[PathBuf],
    options: &ImportOptions,
) -> Result<(RowCounts, Memory), ImportError> {
    let mut sink = Memory::default();
    let counts = run(&parts(paths)?, &[], options, &mut sink, &mut |_| {})?;
    let totals = SinkTotals {
        kept: sink.rows.len() as u64,
        ..SinkTotals::default()
    };
    let account = counts.close(totals).expect("the parts add up");
    assert_eq!(account.read(), counts.read);
    Ok((counts, sink))
}

/// Imports one file with this name and content.
pub fn import(
    name: &str,
    content: impl AsRef<[u8]>,
    read: ReadOptions,
) -> Result<(RowCounts, Memory), ImportError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), name, content);
    let options = ImportOptions {
        read,
        ..ImportOptions::default()
    };
    import_paths(&[path], &options)
}

/// Imports one items file, beside interactions that do not matter.
pub fn import_titles(
    name: &str,
    content: impl AsRef<[u8]>,
    read: ReadOptions,
) -> Result<(RowCounts, Memory), ImportError> {
    let folder = tempfile::tempdir().expect("a folder");
    let titles = write(folder.path(), name, content);
    let mut sink = Memory::default();
    let options = ImportOptions {
        read,
        ..ImportOptions::default()
    };
    let counts = run(&[], &parts(&[titles])?, &options, &mut sink, &mut |_| {})?;
    counts
        .close(SinkTotals::default())
        .expect("the parts add up");
    Ok((counts, sink))
}

/// Writes a file and returns where it is.
pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path
}

/// How many rows were rejected for this reason.
pub fn rejected(counts: &RowCounts, reason: &str) -> u64 {
    let mut reasons = counts.rejected.by_reason();
    reasons
        .find(|(code, _)| *code == reason)
        .map_or(0, |(_, rows)| rows)
}

/// The options with a column of this name for weights.
pub fn weight_column(name: &str) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.columns.weight = Some(name.to_owned());
    options
}
