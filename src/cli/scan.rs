//! `recant scan`: traces of ids in every file of a store.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::output::print;
use super::settings::StoreArgs;
use super::text_file;
use crate::scan::{Form, Needle, Outcome, scan};

/// Flags of `recant scan`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant scan --data-dir recant-data --needle ada-0001 --needle ada@example.org
  recant scan --data-dir recant-data --needle-file ids.txt --json

Searched are names and contents of all files, for each needle: as it is; as in JSON and in a URL,
where that differs; as hexadecimal digits of either case; in base64 of either alphabet at all three
alignments; and, when it is a decimal number from 65536 to 18446744073709551615, as a binary number
of 4 to 8 bytes in both byte orders. A needle with blanks around it is searched without them too: so
ids are stored. Forms shorter than 4 bytes would be found by chance in any large file and are left
out: --json lists the forms that were searched.

Needles are not repeated in the output, which counts them from 1. A needle on the command line can
be seen by others on the machine while the command runs; one in a file cannot. The store may be in
use. The exit code is 0 when everything was searched and nothing found, else 1.")]
pub(crate) struct ScanArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// What to look for; may be given more than once
    #[arg(
        long,
        value_name = "S",
        required_unless_present = "needle_file",
        allow_hyphen_values = true
    )]
    pub needle: Vec<String>,
    /// File with one needle a line, in UTF-8 or UTF-16; - for standard input
    #[arg(long, value_name = "FILE")]
    pub needle_file: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Searches, says what was found, and fails when that is anything.
pub(super) fn run(args: &ScanArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let needles = args.needles()?;
    let outcome = scan(&settings.store.data_dir, &needles).map_err(CliError::usage)?;
    print(&if args.json {
        as_json(&outcome, &needles)
    } else {
        as_text(&outcome)
    })?;
    verdict(&outcome)
}

impl ScanArgs {
    fn needles(&self) -> Result<Vec<Needle>, CliError> {
        let mut texts = self.needle.clone();
        if let Some(path) = &self.needle_file {
            let lines = text_file::lines(path)?.into_iter();
            texts.extend(lines.map(|(_, line)| line));
        }
        if texts.is_empty() {
            return Err(CliError::usage("the file has no needle: write one a line"));
        }
        let needle = |text: &String| Needle::new(text).map_err(CliError::usage);
        texts.iter().map(needle).collect()
    }
}

fn as_text(outcome: &Outcome) -> String {
    let mut text = String::new();
    for found in &outcome.found {
        let place = if found.in_name { "name" } else { "offset" };
        let offsets: Vec<String> = found.offsets.iter().map(u64::to_string).collect();
        text.push_str(&format!(
            "{}: needle {} {} x{} at {place} {}\n",
            found.file.display(),
            found.needle,
            found.form,
            found.count,
            offsets.join(", ")
        ));
    }
    for fault in &outcome.unreadable {
        text.push_str(&format!("{}: {}\n", fault.file.display(), fault.reason));
    }
    text.push_str(&format!(
        "{} files, {} bytes searched\n",
        outcome.files, outcome.bytes
    ));
    text
}

fn as_json(outcome: &Outcome, needles: &[Needle]) -> String {
    let forms: Vec<Vec<Form>> = needles.iter().map(Needle::forms).collect();
    let mut value = json!(outcome);
    value["clean"] = json!(outcome.is_clean());
    value["forms"] = json!(forms);
    format!("{value}\n")
}

fn verdict(outcome: &Outcome) -> Result<(), CliError> {
    let mut files: Vec<&PathBuf> = outcome.found.iter().map(|found| &found.file).collect();
    files.dedup();
    match (files.len(), outcome.unreadable.len()) {
        (0, 0) => Ok(()),
        (0, faults) => Err(CliError::Failed(format!(
            "{faults} files could not be searched: run it as the owner of the store"
        ))),
        (files, _) => Err(CliError::Failed(format!("traces in {files} files"))),
    }
}
