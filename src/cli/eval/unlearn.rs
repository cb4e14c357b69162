//! `recant eval unlearn`: unlearning methods side by side against retraining.

use std::path::PathBuf;

use clap::Args;

use super::recipe_args::RecipeArgs;
use super::table::Table;
use crate::cli::error::CliError;
use crate::cli::output::{print, print_json};
use crate::cli::progress::bar;
use recant_eval::Group;
use recant_lab::experiment::{
    self, Column, Comparison, Line, Outcome, REPORT_FILE_NAME, RESULTS_FILE_NAME, Results,
    RunProgress, comparisons, figure, html,
};

/// Flags of `recant eval unlearn`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant eval unlearn config/eval/synthetic.toml --out results
  recant eval unlearn config/eval/ml-100k.toml --data datasets --out results/ml-100k

Every data set × model × deletion × method × seed of the recipe is a file in DIR/cells. Started
again, the command computes what is missing or was asked for with other settings. The whole is in
DIR/results.json, and to be read in DIR/report.html. docs/experiments.md defines every figure.")]
pub(crate) struct UnlearnArgs {
    /// Recipe and data
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Folder for the results; made where there is none
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// The figures that are printed; the report has all of them.
const PRINTED: [&str; 7] = [
    "seconds",
    "× faster",
    "distance",
    "recovery",
    "Jaccard@10",
    "NDCG@20",
    "… − retrained",
];

/// Runs the experiment, writes the report and prints the main figures.
pub(super) fn run(args: &UnlearnArgs) -> Result<(), CliError> {
    let (recipe, sources) = args.recipe.load()?;
    recipe.check_for_unlearning().map_err(CliError::usage)?;
    let shown = bar(0, "[{bar:30}] {pos}/{len} {wide_msg}");
    let results = args.recipe.pool()?.install(|| {
        experiment::run(&recipe, &sources, &args.out, &mut |now| match now {
            RunProgress::Begin { runs, finished } => {
                shown.set_length(runs as u64);
                shown.set_position(finished as u64);
            }
            RunProgress::Working(what) => shown.set_message(what.to_owned()),
            RunProgress::Finished(_) => shown.inc(1),
        })
    });
    shown.finish_and_clear();
    let results = results.map_err(CliError::failed)?;
    let report = args.out.join(REPORT_FILE_NAME);
    std::fs::write(&report, html(&results))
        .map_err(|error| CliError::Failed(format!("cannot write {}: {error}", report.display())))?;
    if args.recipe.json {
        print_json(&results)
    } else {
        print(&format!(
            "{}everything is in {} and {}\n",
            text(&results),
            report.display(),
            args.out.join(RESULTS_FILE_NAME).display()
        ))
    }
}

/// One table a comparison, and what failed.
fn text(results: &Results) -> String {
    let mut text: String = comparisons(results).iter().map(comparison).collect();
    for record in &results.records {
        if let Outcome::Failed(reason) = &record.outcome {
            let (model, deletion) = (record.key.model.label(), record.key.deletion.label());
            let arm = record.key.arm.label();
            text += &format!(
                "failed: {}, {model}, {deletion}, {arm}, seed {}: {reason}\n",
                record.key.data, record.key.seed
            );
        }
    }
    text
}

fn comparison(comparison: &Comparison<'_>) -> String {
    let Comparison {
        data,
        model,
        deletion,
        ..
    } = comparison;
    let mut table = Table::new(&[&["approach"], &PRINTED[..]].concat());
    let last = comparison.checkpoints().len().saturating_sub(1);
    let figures = |line: &Line<'_>| {
        PRINTED.map(|name| {
            let spread = line.spread(Column::named(name), last, Group::All);
            figure(spread.map(|spread| spread.mean))
        })
    };
    for line in comparison.lines.iter().filter(|line| !line.runs.is_empty()) {
        table.row([vec![line.label.clone()], figures(line).into()].concat());
    }
    format!("{data}, {model}, {deletion}:\n{}\n", table.text())
}
