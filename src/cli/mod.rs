//! The commands of the `recant` binary, one file each: flags in, one call, an answer out.

mod api_client;
mod api_keys;
mod audit;
mod backup;
mod cluster;
mod compact;
mod control;
mod control_server;
mod demo;
mod doctor;
mod erase;
mod erase_client;
mod error;
mod eval;
mod export;
mod hardening;
mod health;
mod ids;
mod import;
mod json_lines;
mod keys;
mod line_output;
mod manual;
mod output;
mod progress;
mod renewal;
mod restore;
mod scan;
mod serve;
mod settings;
mod start;
mod strength;
mod text_file;
mod train;
mod train_args;
mod train_neural;
mod trust;
mod tune;
mod verify;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::{CliError, EXIT_FAILED, EXIT_USAGE};
use output::print;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "recant",
    version,
    about = "A recommender that can take back what it learnt"
)]
#[command(after_help = "Try it: recant demo")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The command line as clap describes it, for whoever checks or prints commands.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// What `recant` can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small synthetic catalogue, train on it and serve it
    Demo(demo::DemoArgs),
    /// Read interactions and titles from files into a store
    Import(import::ImportArgs),
    /// Write what is said about items, for `recant import --items`
    ExportCatalogue(export::ExportCatalogueArgs),
    /// Write what everybody did, personal data, for `recant import`
    ExportInteractions(export::ExportInteractionsArgs),
    /// Train the model to its tolerance and store it
    Train(train_args::TrainArgs),
    /// Choose hyper-parameters by what a model finds of held-out interactions
    Tune(tune::TuneArgs),
    /// Serve recommendations over HTTP, learn and forget
    Serve(serve::ServeArgs),
    /// Experiments: accuracy, and unlearning methods side by side
    Eval(eval::EvalArgs),
    /// Retrain from scratch and compare with the stored live model
    Audit(audit::AuditArgs),
    /// Check receipts of erasures: signatures, chain, commitment
    Verify(verify::VerifyArgs),
    /// Erase through a running server, wait, and verify the receipts
    Erase(erase::EraseArgs),
    /// Look for traces of ids in every file of a store
    Scan(scan::ScanArgs),
    /// Count, list or erase ids that are held from before the rule for ids
    Ids(ids::IdsArgs),
    /// Say what is wrong with a store, its configuration and the machine
    Doctor(doctor::DoctorArgs),
    /// Ask a running server whether it is well
    Health(health::HealthArgs),
    /// Rewrite the live data and overwrite what was erased or replaced
    Compact(compact::CompactArgs),
    /// Copy everything into a file, while serving or not
    Backup(backup::BackupArgs),
    /// Put a backup in the place of what a store holds
    Restore(restore::RestoreArgs),
    /// Look after the keys of a store and of its callers
    Keys(keys::KeysArgs),
    /// More than one machine: make a cluster, look at it, change it
    Cluster(cluster::ClusterArgs),
    /// Print a script that completes commands in a shell
    Completions(manual::CompletionsArgs),
    /// Write manual pages
    Man(manual::ManArgs),
}

/// Parses the command line, carries it out and says how it went: 0 done, 1 failed, 2 misused.
pub fn main() -> ExitCode {
    hardening::harden();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Carries out one command.
pub(crate) fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Import(args) => import::run(&args),
        Command::ExportCatalogue(args) => export::run_catalogue(&args),
        Command::ExportInteractions(args) => export::run_interactions(&args),
        Command::Train(args) => train::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Erase(args) => erase::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Ids(args) => ids::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Compact(args) => compact::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Completions(args) => manual::completions(&args, self::command()),
        Command::Man(args) => manual::man(&args, self::command()),
    }
}

/// Shows help as clap formats it, and a usage error as the one line that matters.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match print(&error.render().to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(EXIT_FAILED),
        };
    }
    output::print_error(&one_line(&error.render().to_string()));
    ExitCode::from(EXIT_USAGE)
}

/// The message of a clap error in one line: its first paragraph, and the tip when there is one.
fn one_line(rendered: &str) -> String {
    let about_usage = |line: &&str| !line.starts_with("Usage:");
    let lines = rendered
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let message: Vec<&str> = lines
        .take_while(about_usage)
        .filter(|line| !line.starts_with("For more information"))
        .collect();
    let message = message.join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    format!("{message}: see recant --help")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }

    #[test]
    fn every_command_is_completed_in_every_shell_and_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("man1");
        let args = manual::ManArgs {
            directory: directory.clone(),
        };
        manual::man(&args, super::command()).expect("written");
        let page = |name: &str| std::fs::read_to_string(directory.join(name));
        let overview = page("recant.1").expect("written");
        for command in super::command().get_subcommands() {
            let name = command.get_name();
            let printed = name.replace('-', "\\-");
            assert!(overview.contains(&printed), "{name}");
            let page = page(&format!("recant-{name}.1")).expect(name);
            assert!(page.contains("Example"), "{name}");
            for shell in Shell::value_variants() {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut super::command(), "recant", &mut script);
                let script = String::from_utf8_lossy(&script);
                assert!(script.contains(name), "{shell}: {name}");
            }
        }
    }

    #[test]
    fn a_usage_error_is_one_line_that_says_how_to_mend_it() {
        for (arguments, expected) in [
            (
                vec!["recant", "imprt"],
                "a similar subcommand exists: 'import'",
            ),
            (vec!["recant", "import"], "<FILE>"),
            (vec!["recant", "train", "--dim", "many"], "--dim"),
            (vec!["recant", "train", "--frobnicate"], "--frobnicate"),
        ] {
            let error = Cli::try_parse_from(&arguments).expect_err("misused");
            let line = one_line(&error.render().to_string());
            assert_eq!(line.lines().count(), 1);
            assert!(line.contains(expected), "{line}");
            assert!(!line.contains("Usage:"), "{line}");
        }
    }
}
