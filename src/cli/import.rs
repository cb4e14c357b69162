//! `recant import`: interactions and titles from files into a store.

mod summary;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::CliError;
use super::output::print;
use super::settings::{StoreArgs, store_options};
use recant_import::{
    self, Columns, Format, ImportError, ImportOptions, RowCounts, RowSink, SinkError,
};
use recant_store::{ImportSession, ImportWriter};
use summary::{Stored, Summary};

/// How often the progress bar is drawn at most, per second.
const DRAWS_PER_SECOND: u8 = 10;

/// Flags of `recant import`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant import ratings.csv.gz --items movies.csv --min-rating 4 --data-dir recant-data
  recant import clicks.jsonl --user-col who --item-col what

Formats: CSV and TSV with a header line, MovieLens u.data and ratings.dat, JSON Lines, Parquet;
text formats also as .gz and .zst. A pair that occurs again replaces the one before.
Rows that happened before an erasure that names them are held back; so are rows without a time.")]
pub(crate) struct ImportArgs {
    /// Files of interactions
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// File of item_id,title and perhaps tags (with | between them); may be given more than once
    #[arg(long, value_name = "FILE")]
    pub items: Vec<PathBuf>,
    /// Column of the user [default: user_id, userId or user]
    #[arg(long, value_name = "NAME")]
    pub user_col: Option<String>,
    /// Column of the item [default: item_id, itemId, item, movie_id or movieId]
    #[arg(long, value_name = "NAME")]
    pub item_col: Option<String>,
    /// Column of the weight [default: weight or rating, where there is one]
    #[arg(long, value_name = "NAME")]
    pub weight_col: Option<String>,
    /// Column of the time [default: timestamp, where there is one]
    #[arg(long, value_name = "NAME")]
    pub time_col: Option<String>,
    /// Format of the interaction files, where name and content do not tell:
    /// csv, tsv, u.data, dat, jsonl or parquet
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Keep rows whose weight or rating is at least this
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true)]
    pub min_rating: Option<f32>,
    /// Give every kept interaction the weight 1
    #[arg(long)]
    pub binary: bool,
    /// Let the first bad row end the import, with nothing imported
    #[arg(long)]
    pub strict: bool,
    /// Take rows without a time as newer than every erasure, instead of holding them back when an
    /// erasure names them
    #[arg(long)]
    pub after_erasures: bool,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

fn finite(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(String::from("it must be a finite number, such as 4 or 3.5")),
    }
}

impl ImportArgs {
    /// The options the reader needs.
    pub(crate) fn options(&self) -> ImportOptions {
        ImportOptions {
            columns: Columns {
                user: self.user_col.clone(),
                item: self.item_col.clone(),
                weight: self.weight_col.clone(),
                time: self.time_col.clone(),
            },
            format: self.format,
            min_rating: self.min_rating,
            binary: self.binary,
            strict: self.strict,
        }
    }

    /// Reads every file into `sink`, showing how far it is on a terminal.
    fn read_into(&self, sink: &mut impl RowSink) -> Result<RowCounts, ImportError> {
        let bar = self.progress_bar();
        let counts = recant_import::run(
            &self.files,
            &self.items,
            &self.options(),
            sink,
            &mut |progress| {
                bar.set_position(progress.bytes_read);
                bar.set_message(format!("{} rows", progress.rows));
            },
        );
        bar.finish_and_clear();
        counts
    }

    /// A bar of the bytes of all files, drawn on stderr when that is a terminal and not otherwise.
    fn progress_bar(&self) -> ProgressBar {
        let files = self.files.iter().chain(&self.items);
        let bytes = files
            .filter_map(|path| Some(path.metadata().ok()?.len()))
            .sum();
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let style = ProgressStyle::with_template(
            "importing [{bar:30}] {bytes}/{total_bytes} {msg}, {eta} left",
        );
        ProgressBar::with_draw_target(Some(bytes), target)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

/// Takes the rows into the store's import session.
struct StoreSink<'a>(ImportWriter<'a>);

impl RowSink for StoreSink<'_> {
    fn push(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), SinkError> {
        self.0
            .push(user, item, weight, timestamp)
            .map_err(SinkError::from)
    }

    fn set_title(&mut self, item: &str, title: &str) -> Result<(), SinkError> {
        self.0.set_title(item, title).map_err(SinkError::from)
    }

    fn set_tags(
        &mut self,
        item: &str,
        tags: &mut dyn Iterator<Item = &str>,
    ) -> Result<(), SinkError> {
        self.0.set_tags(item, tags).map_err(SinkError::from)
    }
}

/// Imports the files and prints what became of their rows. All of it is stored, or nothing.
pub(super) fn run(args: &ImportArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let began = Instant::now();
    let span = tracing::info_span!("import", files = args.files.len());
    let _entered = span.enter();
    let session = ImportSession::begin(&settings.store.data_dir, &store_options(&settings))
        .map_err(CliError::failed)?;
    let mut sink = StoreSink(session.writer().map_err(CliError::failed)?);
    if args.after_erasures {
        sink.0.after_erasures();
    }
    let counts = args.read_into(&mut sink).map_err(CliError::failed)?;
    let totals = sink.0.finish().map_err(CliError::failed)?;
    let stored = Stored {
        duplicate: totals.duplicates,
        held_back: totals.held_back,
        users: totals.users,
        items: totals.items,
        interactions: totals.interactions,
    };
    tracing::info!(
        rows = counts.read,
        interactions = totals.interactions,
        "imported"
    );
    let summary = Summary::new(&counts, stored, began.elapsed());
    match args.json {
        true => print(&summary.to_json().map_err(CliError::failed)?),
        false => print(&summary.to_string()),
    }
}
