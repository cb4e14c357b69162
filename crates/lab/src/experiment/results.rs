//! What an experiment found, as one document.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::data_set::DataSet;
use super::recipe::Recipe;
use super::run_record::{RunRecord, write_whole};

/// Name of the document in the folder of results.
pub const RESULTS_FILE_NAME: &str = "results.json";

/// Everything an experiment found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Version of the program.
    pub version: String,
    /// What was asked for.
    pub recipe: Recipe,
    /// Threads that computed.
    pub threads: usize,
    /// The data, one entry for each seed's split.
    pub data: Vec<DataSummary>,
    /// Every finished combination, in the order of the recipe.
    #[serde(rename = "cells", alias = "records")]
    pub records: Vec<RunRecord>,
    /// Combinations that are still to come.
    pub missing: usize,
}

/// How large a data set is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSummary {
    /// What it is called.
    pub name: String,
    /// The seed of its split.
    pub seed: u64,
    /// Identifies content and split.
    pub fingerprint: String,
    /// Users with an interaction to train on.
    pub users: usize,
    /// Items with one.
    pub items: usize,
    /// Interactions to train on.
    pub interactions: usize,
    /// Interactions held out.
    pub held_out: usize,
}

impl DataSummary {
    pub(super) fn new(data: &DataSet, seed: u64) -> Self {
        Self {
            name: data.name.clone(),
            seed,
            fingerprint: data.fingerprint.clone(),
            users: data.train.active_users(),
            items: data.train.active_items(),
            interactions: data.train.interactions(),
            held_out: data.held_out_pairs(),
        }
    }
}

impl Results {
    /// Writes the document into `folder`.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        write_whole(&folder.join(RESULTS_FILE_NAME), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN_BEFORE: &str = r#"{
        "version": "0.1.0",
        "recipe": {
            "name": "x",
            "data": [{ "name": "d" }],
            "model": [{ "kind": "neumf" }],
            "method": [{ "kind": "newton_cg", "steps": 2, "hold": 0.25 }],
            "deletion": [{ "kind": "pair" }]
        },
        "threads": 2,
        "data": [],
        "cells": [],
        "missing": 4
    }"#;

    #[test]
    fn results_written_before_are_read_and_written_with_the_same_keys() {
        let read: Results = serde_json::from_str(WRITTEN_BEFORE).expect("results");
        assert_eq!((read.records.len(), read.missing), (0, 4));
        let text = serde_json::to_string(&read).expect("JSON");
        assert!(
            text.contains(r#""cells":[]"#) && text.contains(r#""hold":0.25"#),
            "{text}"
        );
    }
}
