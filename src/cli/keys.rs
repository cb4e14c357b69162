//! `recant keys`: looks after the keys of a store, and those of its callers.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::api_keys::{self, ApiKeysArgs};
use super::error::CliError;
use super::output::print;
use super::settings::{StoreArgs, store_options};
use recant_store::{MasterKey, MasterKeySource, rotate_master_key};

/// Flags of `recant keys`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant keys rotate --data-dir recant-data --to-file /etc/recant/master
  recant keys api create --name shop --role read --role write --data-dir recant-data")]
pub(crate) struct KeysArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with the keys.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeysCommand {
    /// Wrap every key anew under another master key
    Rotate(RotateArgs),
    /// Make, list and revoke the keys of callers, beside a running server too
    Api(ApiKeysArgs),
}

/// Flags of `recant keys rotate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant keys rotate --data-dir recant-data --to-file /etc/recant/master

The server must be stopped. The key in force is the one that the section [keys] of the configuration
names; set it to the new place afterwards. Without a new place a fresh key beside the data is made.")]
pub(crate) struct RotateArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// File of the new master key; made when it is missing
    #[arg(long, value_name = "FILE", group = "place")]
    pub to_file: Option<PathBuf>,
    /// Environment variable that holds the new master key
    #[arg(long, value_name = "NAME", group = "place")]
    pub to_environment: Option<String>,
    /// Shell command that prints the new master key
    #[arg(long, value_name = "COMMAND", group = "place")]
    pub to_command: Option<String>,
}

impl RotateArgs {
    fn source(&self) -> Result<MasterKeySource, CliError> {
        if let Some(path) = &self.to_file {
            if !path.exists() {
                make_key(path)?;
            }
            return Ok(MasterKeySource::File(path.clone()));
        }
        let command = self.to_command.clone().map(MasterKeySource::Command);
        let environment = self.to_environment.clone();
        let environment = environment.map(MasterKeySource::Environment);
        Ok(command.or(environment).unwrap_or_default())
    }
}

fn make_key(path: &Path) -> Result<(), CliError> {
    MasterKey::random().write(path).map_err(CliError::failed)
}

/// Carries out one of the commands.
pub(super) fn run(args: &KeysArgs) -> Result<(), CliError> {
    match &args.command {
        KeysCommand::Rotate(args) => rotate(args),
        KeysCommand::Api(args) => api_keys::run(args),
    }
}

fn rotate(args: &RotateArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let to = args.source()?;
    rotate_master_key(&settings.store.data_dir, &store_options(&settings), &to)
        .map_err(CliError::failed)?;
    print(&format!(
        "every key is wrapped anew; the master key is now in {to}\n"
    ))
}
