//! The files of a data set: interactions whose ids are numbered as they come.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::row::Row;
use crate::experiment::recipe::SourceSpec;
use recant_import::{ImportError, ReadOptions, open};
use recant_types::WeightTransform;

/// What the files hold, all ids numbered.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rows: Vec<Row>,
    /// The source's own held-out rows, where they go with what is in `rows`.
    pub(super) test: Option<Vec<Row>>,
}

/// Gives ids numbers in the order of their first appearance.
#[derive(Default)]
struct Numbers {
    users: HashMap<String, u32>,
    items: HashMap<String, u32>,
}

fn number(numbers: &mut HashMap<String, u32>, id: &str) -> u32 {
    if let Some(number) = numbers.get(id) {
        return *number;
    }
    let next = numbers.len() as u32;
    numbers.insert(id.to_owned(), next);
    next
}

impl Read {
    /// Pairs without times.
    pub(super) fn of_pairs(pairs: Vec<(u32, u32)>) -> Self {
        let rows = pairs.into_iter().map(|(user, item)| Row {
            user,
            item,
            time: None,
        });
        Self {
            rows: rows.collect(),
            test: None,
        }
    }

    /// The files `train` and `test` of a folder; or `interactions` where there is no `train`, and
    /// then a `test` beside it is a part of the same and no split.
    pub(super) fn of_folder(root: &Path, spec: &SourceSpec) -> Result<Self, DataError> {
        let below = root.join(&spec.name);
        let folder = if below.is_dir() {
            below.as_path()
        } else {
            root
        };
        let (train, whole) = (file(folder, "train"), file(folder, "interactions"));
        let mut numbers = Numbers::default();
        let mut read = |path: &Path| {
            numbers.read(path).map_err(|source| DataError::Import {
                name: spec.name.clone(),
                source,
            })
        };
        match (train, whole) {
            (Some(train), _) => Ok(Self {
                rows: read(&train)?,
                test: file(folder, "test").map(|test| read(&test)).transpose()?,
            }),
            (None, Some(whole)) => Ok(Self {
                rows: read(&whole)?,
                test: None,
            }),
            (None, None) => Err(DataError::NoFiles {
                name: spec.name.clone(),
                folder: folder.to_owned(),
            }),
        }
    }

    /// Rows of users and of items that cover everything.
    pub(super) fn size(&self) -> (usize, usize) {
        let rows = || self.rows.iter().chain(self.test.iter().flatten());
        let above = |number: Option<u32>| number.map_or(0, |number| number as usize + 1);
        (
            above(rows().map(|row| row.user).max()),
            above(rows().map(|row| row.item).max()),
        )
    }
}

/// The file of this name with any extension; the first by name where there are several.
fn file(folder: &Path, name: &str) -> Option<PathBuf> {
    let is_named = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str());
        let rest = file.and_then(|file| file.strip_prefix(name));
        path.is_file() && rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let entries = std::fs::read_dir(folder).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(is_named).min()
}

impl Numbers {
    /// Every row of a file; the first that is none ends it.
    fn read(&mut self, path: &Path) -> Result<Vec<Row>, ImportError> {
        // Experiments weigh every pair alike, so a row may do without a weight.
        let options = ReadOptions {
            weights: WeightTransform::Binary,
            ..ReadOptions::default()
        };
        let mut reader = open(path, &options)?;
        let mut rows = Vec::new();
        while let Some(numbered) = reader.next_row()? {
            let line = numbered.line;
            let row = numbered.row.map_err(|reason| ImportError::Strict {
                path: path.to_owned(),
                line,
                reason,
            })?;
            rows.push(Row {
                user: number(&mut self.users, row.user),
                item: number(&mut self.items, row.item),
                time: row.timestamp,
            });
        }
        Ok(rows)
    }
}
