//! A directory that nobody else can use while something is imported into it.

use std::path::Path;

use super::writer::ImportWriter;
use crate::error::StoreError;
use crate::files::Files;
use crate::migrations::{MIGRATIONS, bring_up_to_date};
use crate::options::StoreOptions;
use recant_types::FeedbackRules;

/// A directory that is being imported into; nobody else can use it meanwhile.
///
/// Rows are gathered in memory up to a bound and then merged, sorted by user, into the histories
/// of the store's next generation. Dropped without [`ImportWriter::finish`], it leaves the store
/// as it was.
#[derive(Debug)]
pub struct ImportSession {
    files: Files,
    rules: FeedbackRules,
}

impl ImportSession {
    /// Locks the directory, made or brought up to date if need be.
    pub fn begin(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let files = Files::open(path, options)?;
        bring_up_to_date(&files, &MIGRATIONS).map_err(|error| files.opened_badly(error))?;
        let rules = options.feedback.clone();
        Ok(Self { files, rules })
    }

    /// Takes over what the store holds, to add to it. Refuses one that belongs to a cluster.
    pub fn writer(&self) -> Result<ImportWriter<'_>, StoreError> {
        let current = self.files.open_current()?;
        current.check_single()?;
        let index = self.files.read_index(&current)?;
        self.files.opened_well()?;
        let mut writer = ImportWriter::begin(&self.files, &self.rules)?;
        writer.take_over(&current, index)?;
        writer.before = Some(current);
        Ok(writer)
    }
}
