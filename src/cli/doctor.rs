//! `recant doctor`: what is wrong with a directory, a configuration and the machine under them.

use clap::Args;
use serde::Serialize;

use super::error::CliError;
use super::output::{print, print_json};
use super::settings::{StoreArgs, master_key, store_options};
use crate::doctor::facts::Facts;
use crate::doctor::facts::configuration::Configuration;
use crate::doctor::{Finding, Severity, examine};
use recant_http::{ConfigError, Settings};
use recant_store::layout;

/// Flags of `recant doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant doctor --data-dir recant-data --config config/default.toml

Looked at are the directory (rights, owner, what an interrupted change left), what is in the store (a
copy of its database is opened, below TMPDIR, and removed again), the disk (does it honour a sync, does
overwriting reach old bytes, is there room), memory and swap, core dumps, open files, the clock, and the
configuration. Nothing in the store is changed: a probe file is written beside it, synced and removed.

A server may have the store open; then its records are not looked at. Run it as the user that the
server runs as, and with the same configuration and environment. A server that is started while the
command looks into the store finds it locked for as long as that takes.

The exit code is 1 when there is a problem; warnings, and what could not be seen, leave it 0.")]
pub(crate) struct DoctorArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Looks at everything, says what it is, and fails when there is a problem.
pub(super) fn run(args: &DoctorArgs) -> Result<(), CliError> {
    let facts = gather(args)?;
    let report = Report::new(examine(&facts));
    if args.json {
        print_json(&report)?;
    } else {
        print(&report.as_text())?;
    }
    match report.problems {
        0 => Ok(()),
        1 => Err(CliError::failed("1 problem was found: see above")),
        problems => Err(CliError::Failed(format!(
            "{problems} problems were found: see above"
        ))),
    }
}

fn gather(args: &DoctorArgs) -> Result<Facts, CliError> {
    let sources = args.store.sources(Vec::new())?;
    let (settings, refused) = match sources.load() {
        Ok(settings) => (settings, None),
        Err(error @ ConfigError::Unreadable { .. }) => return Err(CliError::usage(error)),
        Err(error) => (built_in(args), Some(error.to_string())),
    };
    let (options, master) = (store_options(&settings), master_key(&settings));
    let data_dir = &settings.store.data_dir;
    // Of a directory that cannot be read nobody can say so: then the address is let alone.
    let is_served = layout(data_dir).map_or_else(|_| data_dir.exists(), |layout| layout.in_use);
    let file = sources.file_to_read();
    let configuration =
        Configuration::gather(settings, refused, file.as_deref(), &master, is_served);
    Ok(Facts::gather(configuration, &options))
}

/// The settings without a configuration, for the directory that the flag names.
fn built_in(args: &DoctorArgs) -> Settings {
    let mut settings = Settings::default();
    if let Some(directory) = &args.store.data_dir {
        settings.store.data_dir.clone_from(directory);
    }
    settings
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether there is no problem.
    well: bool,
    problems: usize,
    warnings: usize,
    unseen: usize,
    findings: Vec<Finding>,
}

impl Report {
    fn new(findings: Vec<Finding>) -> Self {
        let count = |severity: Severity| {
            findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count()
        };
        let problems = count(Severity::Problem);
        Self {
            well: problems == 0,
            problems,
            warnings: count(Severity::Warning),
            unseen: count(Severity::Unseen),
            findings,
        }
    }

    /// A line a finding, and what to do about it below.
    fn as_text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let severity = finding.severity.padded();
            text += &format!("{severity}  {}: {}\n", finding.check, finding.means);
            if let Some(mend) = &finding.mend {
                text += &format!("         -> {mend}\n");
            }
        }
        let (problems, warnings, unseen) = (self.problems, self.warnings, self.unseen);
        text + &format!("problems: {problems}, warnings: {warnings}, not seen: {unseen}\n")
    }
}
