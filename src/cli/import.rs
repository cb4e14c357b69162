//! `recant import`: interactions and titles from files into a store.

mod remote;
mod summary;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::api_client::{ApiClient, api_key};
use super::error::CliError;
use super::output::print;
use super::settings::{StoreArgs, store_options};
use super::trust::TrustArgs;
use recant_import::{
    Account, Columns, Delimiter, Encoding, Escape, FeedbackChoice, Format, ImportError,
    ImportOptions, Part, Quote, ReadOptions, RowCounts, RowSink, SinkError, SinkTotals, TakenRow,
    parts,
};
use recant_store::{ImportSession, ImportTotals, ImportWriter};
use recant_types::{
    DescriptionPatch, FeedbackRules, FeedbackType, TimeRule, UnixMillis, WeightTransform,
};
use remote::{Refused, Remote, Stopped};
use summary::Summary;

/// How often the progress bar is drawn at most, per second.
const DRAWS_PER_SECOND: u8 = 10;

/// Flags of `recant import`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant import ratings.csv.gz --items movies.csv --min-rating 4 --data-dir recant-data
  recant import clicks.jsonl --user-col who --item-col what
  recant import new.csv --url http://127.0.0.1:8080 --key-file key

Formats: CSV and TSV with a header line, MovieLens u.data and ratings.dat, JSON Lines, Parquet;
text formats also as .gz and .zst. A folder stands for the files in it. Of a pair that occurs again
the newest counts. Ids are texts without the blanks around them. Times are RFC 3339 or numbers since
1970. Every row that is not kept is counted, with the reason; a file without a good row is a failure.
Rows that happened before an erasure that names them are held back; so are rows without a time.

With --url the rows go to a running server, some thousand a request, with the API key of RECANT_API_KEY
or --key-file. A server that is busy or gone is asked again for as long as --wait says. What it refuses is
counted as rejected, with its reason; what could not be delivered is counted too, from which line on, and
is a failure. Rows without a time would happen now: they are sent only with --after-erasures.")]
pub(crate) struct ImportArgs {
    /// Files of interactions, or folders of them (names that begin with _ or . are left out)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// File of item_id,title and perhaps tags (with | between them), properties (JSON), timestamp,
    /// hidden; may be given more than once
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
    /// Column of the type of feedback [default: feedback_type, where there is one]
    #[arg(long, value_name = "NAME")]
    pub type_col: Option<String>,
    /// Type of feedback of rows that name none; one that the configuration knows
    #[arg(long = "type", value_name = "TYPE", value_parser = FeedbackType::new)]
    pub feedback: Option<FeedbackType>,
    /// Format of the interaction files, where name and content do not tell
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub format: Option<Format>,
    /// What stands between the columns of CSV: a character, tab, space, or a code like \\x01
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    pub delimiter: Option<Delimiter>,
    /// What stands around fields: a character, or none [default: ", and none between tabs]
    #[arg(long, value_name = "C")]
    pub quote: Option<Quote>,
    /// What stands before a quote that belongs to its field, such as a backslash
    #[arg(long, value_name = "C")]
    pub escape: Option<Escape>,
    /// Encoding of the texts: latin1, utf-16, shift_jis ... [default: utf-8]
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<Encoding>,
    /// Form of the times, as for strftime: '%d/%m/%Y %H:%M'
    #[arg(long, value_name = "FORM")]
    pub time_format: Option<String>,
    /// Take words for nothing (null, NaN, None, \\N ...) for ids, instead of rejecting their rows
    #[arg(long)]
    pub keep_null_ids: bool,
    /// What becomes of weights: log1p, sqrt, binary (all 1, rows of weight 0 too) or clip=X
    #[arg(long, value_name = "HOW", conflicts_with = "binary")]
    pub weights: Option<WeightTransform>,
    /// Keep the pairs whose newest weight or rating is at least this
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true)]
    pub min_rating: Option<f32>,
    /// Give every kept interaction the weight 1, as --weights binary
    #[arg(long)]
    pub binary: bool,
    /// Let the first bad row end the import, with nothing imported
    #[arg(long)]
    pub strict: bool,
    /// Take rows without a time as newer than every erasure, instead of holding them back when an
    /// erasure names them
    #[arg(long)]
    pub after_erasures: bool,
    /// Give the rows to the running server there, instead of a store
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "min_rating", "strict"])]
    pub url: Option<String>,
    /// File that holds the API key
    #[arg(long, value_name = "FILE", requires = "url")]
    pub key_file: Option<PathBuf>,
    /// Whom to believe, by https
    #[command(flatten)]
    pub trust: TrustArgs,
    /// How long a server that is busy or gone is asked again, for each request
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "url")]
    pub wait: u64,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// The formats that there are, by name.
fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.iter().map(|format| format.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Format>())
}

fn finite(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(String::from("it must be a finite number, such as 4 or 3.5")),
    }
}

impl ImportArgs {
    /// The types of feedback that rows may have: those of the configuration.
    fn feedback_choice(&self, rules: &FeedbackRules) -> Result<FeedbackChoice, CliError> {
        let default = self.feedback.clone().unwrap_or_default();
        if default != FeedbackType::default() && !rules.contains_key(&default) {
            return Err(CliError::usage(format!(
                "--type {default}: the configuration does not know it: add a section \
                 [feedback.types.{default}]"
            )));
        }
        let interaction = FeedbackType::default();
        Ok(FeedbackChoice {
            default,
            known: rules.keys().cloned().chain([interaction]).collect(),
        })
    }

    /// The options the reader needs, with these types of feedback.
    pub(crate) fn options(&self, rules: &FeedbackRules) -> Result<ImportOptions, CliError> {
        let times = TimeRule::new(UnixMillis::now());
        let times = match &self.time_format {
            Some(format) => times
                .with_format(format)
                .map_err(|error| CliError::usage(format!("--time-format {error}")))?,
            None => times,
        };
        Ok(ImportOptions {
            read: ReadOptions {
                columns: Columns {
                    user: self.user_col.clone(),
                    item: self.item_col.clone(),
                    weight: self.weight_col.clone(),
                    time: self.time_col.clone(),
                    feedback: self.type_col.clone(),
                },
                format: self.format,
                encoding: self.encoding,
                delimiter: self.delimiter,
                quote: self.quote,
                escape: self.escape,
                keep_null_ids: self.keep_null_ids,
                times,
                weights: if self.binary {
                    WeightTransform::Binary
                } else {
                    self.weights.unwrap_or_default()
                },
            },
            min_rating: self.min_rating,
            feedback: self.feedback_choice(rules)?,
            strict: self.strict,
        })
    }

    /// Reads every file into `sink`, showing how far it is on a terminal.
    fn read_into(
        &self,
        options: &ImportOptions,
        sink: &mut impl RowSink,
    ) -> Result<RowCounts, ImportError> {
        let (files, items) = (parts(&self.files)?, parts(&self.items)?);
        let bar = self.progress_bar(files.iter().chain(&items));
        let counts = recant_import::run(&files, &items, options, sink, &mut |progress| {
            bar.set_position(progress.bytes_read);
            bar.set_message(format!("{} rows", progress.rows));
        });
        bar.finish_and_clear();
        counts
    }

    fn show(&self, summary: &Summary) -> Result<(), CliError> {
        if self.json {
            print(&summary.to_json().map_err(CliError::failed)?)
        } else {
            print(&summary.to_string())
        }
    }

    /// A bar of the bytes of all files, drawn on stderr when that is a terminal and not otherwise.
    fn progress_bar<'a>(&self, parts: impl Iterator<Item = &'a Part>) -> ProgressBar {
        let bytes = parts
            .filter_map(|part| Some(part.path.metadata().ok()?.len()))
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
    fn push(&mut self, row: TakenRow<'_>, weight: f32) -> Result<(), SinkError> {
        let feedback = self.0.feedback_number(row.feedback)?;
        self.0
            .push_typed(feedback, row.user, row.item, weight, row.timestamp)
            .map_err(SinkError::from)
    }

    fn withdraw(&mut self, row: TakenRow<'_>) -> Result<(), SinkError> {
        let feedback = self.0.feedback_number(row.feedback)?;
        self.0
            .withdraw(feedback, row.user, row.item, row.timestamp)
            .map_err(SinkError::from)
    }

    fn describe(&mut self, item: &str, said: &DescriptionPatch) -> Result<(), SinkError> {
        self.0.describe(item, said).map_err(SinkError::from)
    }
}

/// Imports the files and prints what became of their rows.
pub(super) fn run(args: &ImportArgs) -> Result<(), CliError> {
    match &args.url {
        Some(url) => deliver(args, url),
        None => store(args),
    }
}

/// Imports into a store: all of it is stored, or nothing. Nothing when a file has no good row, or when
/// some row is not accounted for.
fn store(args: &ImportArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let options = args.options(&settings.feedback.types)?;
    let began = Instant::now();
    let span = tracing::info_span!("import", files = args.files.len());
    let _entered = span.enter();
    let session = ImportSession::begin(&settings.store.data_dir, &store_options(&settings))
        .map_err(CliError::failed)?;
    let mut sink = StoreSink(session.writer().map_err(CliError::failed)?);
    if args.after_erasures {
        sink.0.after_erasures();
    }
    let counts = args
        .read_into(&options, &mut sink)
        .map_err(CliError::failed)?;
    let totals = sink.0.settle().map_err(CliError::failed)?;
    let account = close(&counts, &totals).map_err(CliError::failed)?;
    let totals = sink.0.finish().map_err(CliError::failed)?;
    tracing::info!(
        rows = counts.read,
        interactions = totals.interactions,
        "imported"
    );
    let summary = Summary::new(&counts, &account, &totals, began.elapsed());
    args.show(&summary)
}

/// Gives the rows to a running server. What was delivered when it cannot go on stays.
fn deliver(args: &ImportArgs, url: &str) -> Result<(), CliError> {
    // The server judges types of feedback by its own configuration; this one says which are meant.
    let settings = args.store.settings(Vec::new())?;
    let options = args.options(&settings.feedback.types)?;
    let key = api_key(args.key_file.as_deref())?;
    let client = ApiClient::new(url, key.as_deref(), &args.trust)?;
    let mut remote = Remote::new(client, Duration::from_secs(args.wait), args.after_erasures);
    let began = Instant::now();
    remote.greet().map_err(CliError::failed)?;
    let counts = args.read_into(&options, &mut remote).map_err(|error| {
        let (rows, titles) = remote.totals();
        let before = rows.kept + rows.held_back + rows.refused + titles.kept + titles.refused;
        CliError::Failed(format!("{error} ({before} rows were delivered before)"))
    })?;
    remote.finish();
    let (rows, titles) = remote.totals();
    let account = counts.close(rows).map_err(CliError::failed)?;
    let summary = Summary::of_delivery(&counts, &account, &titles, &remote, began.elapsed());
    args.show(&summary)?;
    verdict(&remote)
}

/// A failure when rows were not delivered, or none was taken.
fn verdict(remote: &Remote) -> Result<(), CliError> {
    let (rows, titles) = remote.totals();
    if let Some(Stopped { place, reason }) = &remote.stopped {
        let left = rows.undelivered + titles.undelivered;
        return Err(CliError::Failed(format!(
            "{left} rows, from {}:{} on, were not delivered: {reason}",
            place.path.display(),
            place.line
        )));
    }
    let taken = rows.kept + rows.held_back + titles.kept;
    match remote.refused_first.first() {
        Some(Refused { place, reason }) if taken == 0 => Err(CliError::Failed(format!(
            "the server refused every row; {}:{}: {reason}",
            place.path.display(),
            place.line
        ))),
        _ => Ok(()),
    }
}

/// The account over every row, with what the store is about to do with those it took.
fn close(counts: &RowCounts, totals: &ImportTotals) -> Result<Account, ImportError> {
    Ok(counts.close(SinkTotals {
        kept: totals.added,
        duplicate: totals.duplicates,
        held_back: totals.held_back,
        restricted: totals.restricted,
        filtered: totals.withdrawn,
        ..SinkTotals::default()
    })?)
}
