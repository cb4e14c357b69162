//! Why there are no data to experiment on.

use std::path::PathBuf;

use recant_import::ImportError;

/// Fewest users, items and interactions that say anything about a method.
pub(super) const USERS_MIN: usize = 20;
pub(super) const ITEMS_MIN: usize = 20;
pub(super) const INTERACTIONS_MIN: usize = 200;

/// Why there are no data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Nobody said where the folders are.
    #[error("data {name}: say where its folder is with --data DIR")]
    NoFolder {
        /// Which data set.
        name: String,
    },
    /// The folder holds nothing of the expected names.
    #[error(
        "data {name}: {} holds neither a file called train nor one called interactions \
         (.csv, .tsv, .jsonl, .parquet, also .gz and .zst)",
        folder.display()
    )]
    NoFiles {
        /// Which data set.
        name: String,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A file could not be read.
    #[error("data {name}: {source}")]
    Import {
        /// Which data set.
        name: String,
        /// Why.
        source: ImportError,
    },
    /// There is not enough to compare methods on.
    #[error(
        "data {name} is too small: {users} users, {items} items and {interactions} interactions to \
         train on, where at least {USERS_MIN}, {ITEMS_MIN} and {INTERACTIONS_MIN} are needed"
    )]
    TooSmall {
        /// Which data set.
        name: String,
        /// Users with an interaction.
        users: usize,
        /// Items with an interaction.
        items: usize,
        /// Pairs.
        interactions: usize,
    },
    /// There is nothing to measure accuracy on.
    #[error("data {name}: nothing is held out, so accuracy cannot be measured")]
    NothingHeldOut {
        /// Which data set.
        name: String,
    },
}
