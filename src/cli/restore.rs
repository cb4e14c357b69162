//! `recant restore`: puts a backup in the place of what a store holds.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::output::print;
use super::settings::{StoreArgs, store_options};
use recant_store::{Restored, restore};
use recant_types::UnixMillis;

/// Flags of `recant restore`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant restore /backups/recant-monday --data-dir recant-data

The data directory must hold the key ring (keys/) of the store that the backup is of. Whatever else
it holds is replaced; what was erased since the backup does not come back.")]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Restores the backup and prints what came back and what did not.
pub(super) fn run(args: &RestoreArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let options = store_options(&settings);
    let restored =
        restore(&args.file, &settings.store.data_dir, &options).map_err(CliError::failed)?;
    let created_at = restored.created_at.map(UnixMillis::to_rfc3339);
    if args.json {
        let answer = json!({
            "created_at": created_at,
            "users": restored.users,
            "users_with_properties": restored.with_properties,
            "items": restored.items,
            "interactions": restored.interactions,
            "unreadable": restored.unreadable,
            "erased": restored.erased,
            "restricted": restored.restricted,
            "model": restored.model,
        });
        return print(&format!("{answer}\n"));
    }
    print(&text(&restored, created_at.as_deref().unwrap_or("unknown")))
}

fn text(restored: &Restored, created_at: &str) -> String {
    let mut text = format!(
        "restored the backup of {created_at}: {} users, {} items, {} interactions\n",
        restored.users, restored.items, restored.interactions
    );
    if restored.with_properties > 0 {
        text.push_str(&format!(
            "restored the properties of {} users\n",
            restored.with_properties
        ));
    }
    if restored.unreadable + restored.erased > 0 {
        text.push_str(&format!(
            "erased since, and not restored: {} parts whose key is gone, {} interactions\n",
            restored.unreadable, restored.erased
        ));
    }
    if restored.restricted > 0 {
        text.push_str(&format!(
            "kept, and not processed: {} interactions of users whose processing is restricted\n",
            restored.restricted
        ));
    }
    if !restored.model {
        text.push_str(
            "the model has learnt what was erased since: train anew, or serve, which does\n",
        );
    }
    text
}
