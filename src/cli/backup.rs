//! `recant backup`: copies everything into a file, while serving or not.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::control::{self, Request};
use super::error::CliError;
use super::output::{print, print_json};
use super::settings::{StoreArgs, store_options};
use recant_store::{BackupSummary, Store, StoreError};

/// Flags of `recant backup`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant backup --data-dir recant-data --to /backups/recant-monday

The file holds no key: it can be restored only beside the key ring (keys/ in the data directory),
and what was erased since does not come back. Keep the key ring elsewhere, or not at all.")]
pub(crate) struct BackupArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// The file to write, which must not exist
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BackupAnswer {
    users: u64,
    items: u64,
    interactions: u64,
    bytes: u64,
}

impl From<BackupSummary> for BackupAnswer {
    fn from(summary: BackupSummary) -> Self {
        Self {
            users: summary.users,
            items: summary.items,
            interactions: summary.interactions,
            bytes: summary.bytes,
        }
    }
}

/// Writes the backup, here or through the server that has the store open.
pub(super) fn run(args: &BackupArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let data_dir = &settings.store.data_dir;
    // The server may have another working directory.
    let to = std::path::absolute(&args.to).map_err(CliError::failed)?;
    let answer: BackupAnswer = match Store::open(data_dir, &store_options(&settings)) {
        Ok(store) => store.backup(&to).map_err(CliError::failed)?.into(),
        Err(StoreError::Locked { .. }) => control::ask(data_dir, &Request::Backup { to })?,
        Err(error) => return Err(CliError::failed(error)),
    };
    if args.json {
        return print_json(&answer);
    }
    print(&format!(
        "{} holds {} users, {} items, {} interactions in {} bytes\n",
        args.to.display(),
        answer.users,
        answer.items,
        answer.interactions,
        answer.bytes
    ))
}
