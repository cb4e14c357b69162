//! `recant completions` and `recant man`: the command line, as shells and `man` read it.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::error::CliError;
use super::output::print;

/// Flags of `recant completions`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant completions bash > /etc/bash_completion.d/recant")]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Flags of `recant man`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The directory to write recant.1 and a page for each command to; it is made if need be
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Prints a script that completes what `command` takes.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "recant", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes the pages of `command` and of each of its commands.
pub(super) fn man(args: &ManArgs, command: Command) -> Result<(), CliError> {
    let directory = &args.directory;
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory));
    written.map_err(|error| CliError::Failed(format!("{}: {error}", directory.display())))
}
