//! `recant export-catalogue` and `recant export-interactions`: everything out again, as `recant import`
//! reads it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::error::CliError;
use super::json_lines::{InteractionLine, ItemLine};
use super::line_output::LineOutput;
use super::output::print_note;
use super::settings::{StoreArgs, open_store};
use recant_import::TakenRow;
use recant_store::{Entry, KeyedHash, Named, Store, StoreError};
use recant_types::{Interaction, ItemId};

/// What is wrong with a store whose records name a type of feedback that it does not.
const UNKNOWN_TYPE: &str = "the store is damaged: there is no such type of feedback";

/// Where an export comes from and goes to.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// New file to write to, for its owner only; - for standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Flags of `recant export-catalogue`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant export-catalogue --data-dir recant-data --output items.jsonl
  recant import interactions.jsonl --items items.jsonl --data-dir another

Writes what is said about items, one JSON object a line, in the order of their ids: what `recant import
--items` and POST /items read. Items of which nothing is said are not in it. The server must be stopped
meanwhile; a running one lists the same at GET /items.")]
pub(crate) struct ExportCatalogueArgs {
    #[command(flatten)]
    pub export: ExportArgs,
}

/// Flags of `recant export-interactions`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant export-interactions --data-dir recant-data --output interactions.jsonl
  recant import interactions.jsonl --data-dir another

Writes what everybody did, one JSON object a line: what `recant import` reads, and
POST /interactions where no line has a feedback_type, which it calls type.
THE LINES ARE PERSONAL DATA, unsealed: what is erased from the store later stays in the file, until you
overwrite it. What is queued and not applied yet follows what is. The server must be stopped meanwhile.")]
pub(crate) struct ExportInteractionsArgs {
    #[command(flatten)]
    pub export: ExportArgs,
}

/// Writes what is said about items.
pub(super) fn run_catalogue(args: &ExportCatalogueArgs) -> Result<(), CliError> {
    let store = open_store(&args.export.store.settings(Vec::new())?)?;
    let mut descriptions = store.descriptions().map_err(CliError::failed)?;
    descriptions.sort_unstable_by(|left, right| left.id.cmp(&right.id));
    let mut output = LineOutput::open(args.export.output.as_deref())?;
    for description in &descriptions {
        output.write(&json(&ItemLine::from(description))?)?;
    }
    let lines = output.finish()?;
    print_note(&format!("wrote what is said about {lines} items"));
    Ok(())
}

/// Writes what everybody did.
pub(super) fn run_interactions(args: &ExportInteractionsArgs) -> Result<(), CliError> {
    let store = open_store(&args.export.store.settings(Vec::new())?)?;
    let mut output = LineOutput::open(args.export.output.as_deref())?;
    let pending = Pending::of(&store).map_err(CliError::failed)?;
    let items = store.items().map_err(CliError::failed)?;
    let items: HashMap<u32, ItemId> = items
        .into_iter()
        .map(|(row, record)| (row, record.id))
        .filter(|(_, item)| !pending.is_erased(&store, item))
        .collect();
    let types = store.feedback_types();
    let mut write = |row: TakenRow<'_>, weight| {
        let line = InteractionLine::of_file(row, weight);
        output.write(&json(&line)?)
    };
    for (row, user) in store.users().map_err(CliError::failed)? {
        for held in store.history(row).map_err(CliError::failed)? {
            let feedback = types.get(usize::from(held.feedback.0));
            let feedback = feedback.ok_or_else(|| CliError::failed(UNKNOWN_TYPE))?;
            if let Some(item) = items.get(&held.item) {
                let row = TakenRow {
                    user: user.expose(),
                    item: item.expose(),
                    feedback,
                    timestamp: held.timestamp,
                };
                write(row, held.weight)?;
            }
        }
    }
    for row in &pending.rows {
        let taken = TakenRow {
            user: row.user.expose(),
            item: row.item.expose(),
            feedback: &row.feedback,
            timestamp: row.timestamp,
        };
        write(taken, row.weight)?;
    }
    let lines = output.finish()?;
    print_note(&format!(
        "wrote {lines} interactions: personal data, to be overwritten when it is no longer needed"
    ));
    Ok(())
}

/// What was accepted and is not in the histories yet.
#[derive(Default)]
struct Pending {
    /// Interactions, in the order in which they were accepted.
    rows: Vec<Interaction>,
    /// Items of which everything before is erased. Erasures of people and of pairs were carried out
    /// when they were accepted.
    erased: HashSet<KeyedHash>,
}

impl Pending {
    fn of(store: &Store) -> Result<Self, StoreError> {
        let from = store.applied()?.next();
        let mut pending = Self::default();
        // From the end: an erasure takes what came before it.
        for (_, entry) in store.read_from(from, usize::MAX)?.into_iter().rev() {
            match entry {
                Entry::Add(rows) => {
                    let rows = rows.into_iter().rev();
                    let left: Vec<_> = rows
                        .filter(|row| !pending.is_erased(store, &row.item))
                        .collect();
                    pending.rows.extend(left);
                }
                Entry::Erase(erasure) => pending.erase(&erasure.named),
            }
        }
        pending.rows.reverse();
        Ok(pending)
    }

    fn erase(&mut self, named: &Named) {
        for part in named.parts() {
            if let Named::Item(hash) = part {
                self.erased.insert(hash);
            }
        }
    }

    fn is_erased(&self, store: &Store, item: &ItemId) -> bool {
        !self.erased.is_empty() && self.erased.contains(&store.hasher().item(item))
    }
}

fn json(line: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string(line).map_err(CliError::failed)
}
