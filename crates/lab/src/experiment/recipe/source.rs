//! Where the data of an experiment come from.

use serde::{Deserialize, Serialize};

use super::error::RecipeError;
use crate::demo::CatalogueSize;

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// What it is called; the folder of this name below `--data` holds its files.
    pub name: String,
    /// Made instead of read.
    #[serde(default)]
    pub synthetic: Option<SyntheticSpec>,
    /// What is held out.
    #[serde(default)]
    pub split: SplitSpec,
    /// Share of every history that a random split holds out.
    #[serde(default = "a_fifth")]
    pub share: f64,
}

/// A catalogue as `recant demo` makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSpec {
    /// Number of users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
    /// Number of distinct pairs.
    pub interactions: usize,
    /// What it is drawn by.
    pub seed: u64,
}

/// What is held out of a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitSpec {
    /// What the folder has in `test`; a random split where it has none.
    #[default]
    Own,
    /// A share of every history, drawn by the seed.
    Random,
    /// The last interaction of every user: by time where every row has one, else in the order of
    /// the file.
    Last,
}

fn a_fifth() -> f64 {
    0.2
}

impl SyntheticSpec {
    pub(crate) fn size(&self) -> CatalogueSize {
        CatalogueSize {
            users: self.users,
            items: self.items,
            interactions: self.interactions,
        }
    }
}

impl SourceSpec {
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let invalid = |reason: String| {
            let place = format!("data {}", self.name);
            Err(RecipeError::Invalid { place, reason })
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_plain = !self.name.is_empty() && self.name.chars().all(plain);
        if !is_plain || self.name.starts_with('.') {
            return invalid("name must be that of a folder: letters, digits, -, _ and .".into());
        }
        if !(self.share > 0.0 && self.share < 1.0) {
            return invalid(format!(
                "share must be above 0 and below 1, got {}",
                self.share
            ));
        }
        match self.synthetic.map(|synthetic| synthetic.size().checked()) {
            Some(Err(error)) => invalid(error.to_string()),
            _ => Ok(()),
        }
    }
}
