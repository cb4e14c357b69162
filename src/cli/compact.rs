//! `recant compact`: rewrites the live data and overwrites what was erased or replaced.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::control::{self, Request};
use super::error::CliError;
use super::output::{print, print_json};
use super::settings::{StoreArgs, store_options};
use recant_store::{Compaction, Store, StoreError};

/// Flags of `recant compact`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant compact --data-dir recant-data

A server that has the store open does it by itself now and then, and is asked to do it now.")]
pub(crate) struct CompactArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a compaction did.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CompactAnswer {
    generation: u64,
    records: u64,
    seconds: f64,
    paused_seconds: f64,
}

impl From<Compaction> for CompactAnswer {
    fn from(compaction: Compaction) -> Self {
        Self {
            generation: compaction.generation,
            records: compaction.records,
            seconds: compaction.took.as_secs_f64(),
            paused_seconds: compaction.paused.as_secs_f64(),
        }
    }
}

/// Compacts the store, here or through the server that has it open.
pub(super) fn run(args: &CompactArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let data_dir = &settings.store.data_dir;
    let answer: CompactAnswer = match Store::open(data_dir, &store_options(&settings)) {
        Ok(store) => store.compact().map_err(CliError::failed)?.into(),
        Err(StoreError::Locked { .. }) => control::ask(data_dir, &Request::Compact)?,
        Err(error) => return Err(CliError::failed(error)),
    };
    if args.json {
        return print_json(&answer);
    }
    print(&format!(
        "compacted into generation {}: {} records in {:.2} s, writes paused for {:.3} s\n",
        answer.generation, answer.records, answer.seconds, answer.paused_seconds
    ))
}
