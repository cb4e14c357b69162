//! The data of an experiment: what is trained on, and what is held out.

mod error;
mod files;
mod row;
mod split;

pub use error::DataError;

use std::path::Path;

use sha2::{Digest, Sha256};

use super::recipe::{SourceSpec, SplitSpec};
use crate::demo;
use error::{INTERACTIONS_MIN, ITEMS_MIN, USERS_MIN};
use files::Read;
use recant_core::model::InteractionMatrix;
use row::Row;

/// Everything of a data set, before it is split.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    spec: SourceSpec,
    rows: Vec<Row>,
    /// The source's own held-out rows, where they count.
    test: Option<Vec<Row>>,
    users: usize,
    items: usize,
}

/// What a model is trained on and measured by.
#[derive(Debug, Clone)]
pub struct DataSet {
    /// What it is called.
    pub name: String,
    /// What is trained on. All weights are 1.
    pub train: InteractionMatrix,
    /// Held-out items by user row, ascending.
    pub held_out: Vec<Vec<u32>>,
    /// Identifies content and split.
    pub fingerprint: String,
}

impl Source {
    /// Reads or makes a data set; its folder is the one of its name below `root`, or `root` itself
    /// where that holds the files.
    pub fn load(spec: &SourceSpec, root: Option<&Path>) -> Result<Self, DataError> {
        let read = match spec.synthetic {
            Some(synthetic) => {
                // The size was checked with the recipe.
                let made = demo::generate(&synthetic.size(), synthetic.seed);
                Read::of_pairs(made.map(|made| made.interactions).unwrap_or_default())
            }
            None => {
                let name = || spec.name.clone();
                let root = root.ok_or_else(|| DataError::NoFolder { name: name() })?;
                Read::of_folder(root, spec)?
            }
        };
        let (users, items) = read.size();
        Ok(Self {
            name: spec.name.clone(),
            spec: spec.clone(),
            rows: read.rows,
            test: read.test,
            users,
            items,
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data set as `seed` splits it; the same for every seed where the split is the source's
    /// own or by time.
    pub fn split(&self, seed: u64) -> Result<DataSet, DataError> {
        let (train, held_out) = match (self.spec.split, &self.test) {
            (SplitSpec::Own, Some(test)) => split::own(&self.rows, test, self.users, self.items),
            (SplitSpec::Own | SplitSpec::Random, _) => {
                split::random(&self.whole(), self.users, self.items, self.spec.share, seed)
            }
            (SplitSpec::Last, _) => split::last(&self.whole(), self.users, self.items),
        };
        let data = DataSet {
            name: self.name.clone(),
            fingerprint: fingerprint(&train, &held_out),
            train,
            held_out,
        };
        data.check()?;
        Ok(data)
    }

    fn whole(&self) -> Vec<Row> {
        let test = self.test.iter().flatten();
        self.rows.iter().chain(test).copied().collect()
    }
}

impl DataSet {
    fn check(&self) -> Result<(), DataError> {
        let name = || self.name.clone();
        let train = &self.train;
        let (users, items) = (train.active_users(), train.active_items());
        let interactions = train.interactions();
        if users < USERS_MIN || items < ITEMS_MIN || interactions < INTERACTIONS_MIN {
            return Err(DataError::TooSmall {
                name: name(),
                users,
                items,
                interactions,
            });
        }
        if self.held_out.iter().all(Vec::is_empty) {
            Err(DataError::NothingHeldOut { name: name() })
        } else {
            Ok(())
        }
    }

    /// Pairs held out.
    pub fn held_out_pairs(&self) -> usize {
        self.held_out.iter().map(Vec::len).sum()
    }
}

fn fingerprint(train: &InteractionMatrix, held_out: &[Vec<u32>]) -> String {
    let mut digest = Sha256::new();
    for user in 0..train.user_rows() as u32 {
        let history = train.user(user).iter().map(|entry| entry.index);
        let held_out = held_out.get(user as usize).into_iter().flatten().copied();
        for list in [history.collect::<Vec<_>>(), held_out.collect()] {
            digest.update((list.len() as u32).to_le_bytes());
            list.iter()
                .for_each(|item| digest.update(item.to_le_bytes()));
        }
    }
    hex(&digest.finalize())
}

/// The first 16 bytes in hexadecimal: enough that two data sets are never taken for one another.
pub(super) fn hex(digest: &[u8]) -> String {
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
