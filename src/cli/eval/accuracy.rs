//! `recant eval accuracy`: what trained models find of held-out interactions.

use clap::Args;

use super::recipe_args::RecipeArgs;
use super::table::Table;
use crate::cli::error::CliError;
use crate::cli::output::print_note;
use crate::cli::output::{print, print_json};
use crate::cli::progress::bar;
use recant_eval::{HeldOutAccuracy, LeaveOneOut};
use recant_lab::experiment::{AccuracyPoint, AccuracyProgress, ModelAccuracy, accuracy, figure};

/// Flags of `recant eval accuracy`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant eval accuracy config/eval/ml-100k.toml --data datasets

Trains every model of the recipe on every data set and seed. Two protocols: each list against all
items that the user does not have; and the first held-out item of each user against 99 drawn ones,
the protocol of the authors of NeuMF when the recipe says split = \"last\". With every_epochs in the
section [measure] of the recipe, neural models are measured along their training too; each point is
told on stderr as it comes.")]
pub(crate) struct AccuracyArgs {
    /// Recipe and data; methods and deletions of the recipe are left out
    #[command(flatten)]
    pub recipe: RecipeArgs,
}

/// Trains, measures, and prints.
pub(super) fn run(args: &AccuracyArgs) -> Result<(), CliError> {
    let (recipe, sources) = args.recipe.load()?;
    let trainings = recipe.model.len() * sources.len() * recipe.seeds.len();
    let shown = bar(
        trainings as u64,
        "training [{bar:30}] {pos}/{len} {wide_msg}",
    );
    shown.tick();
    let measured = args.recipe.pool()?.install(|| {
        accuracy(&recipe, &sources, &mut |now| match now {
            AccuracyProgress::Point {
                data,
                model,
                seed,
                point,
            } => {
                let whose = format!("{} on {data}, seed {seed}", model.label());
                shown.suspend(|| print_note(&format!("{whose}, {}", note(point))));
            }
            AccuracyProgress::Finished(found) => {
                shown.inc(1);
                shown.set_message(format!("{} on {}", found.model.label(), found.data));
            }
        })
    });
    shown.finish_and_clear();
    let measured = measured.map_err(CliError::failed)?;
    if args.recipe.json {
        print_json(&measured)
    } else {
        print(&text(&measured))
    }
}

/// A point in one line.
fn note(point: &AccuracyPoint) -> String {
    let (full, one) = (&point.full_ranking, &point.leave_one_out);
    format!(
        "{} epochs, {} s: NDCG@20 {}, Recall@20 {} ({} of all); 1 in 100: HR@10 {}, NDCG@10 {}",
        point.epochs,
        figure(Some(point.seconds)),
        figure(full.ndcg_at_20),
        figure(full.recall_at_20),
        figure(full.recall_of_all_at_20),
        figure(one.hit_rate_at_10),
        figure(one.ndcg_at_10),
    )
}

/// A line for each model, or for each point of its curve.
fn text(measured: &[ModelAccuracy]) -> String {
    let mut table = Table::new(&[
        "data",
        "model",
        "seed",
        "epochs",
        "seconds",
        "HR@10",
        "NDCG@10",
        "NDCG@20",
        "Recall@20",
        "… of all",
        "1 in 100: HR@10",
        "NDCG@10",
    ]);
    for found in measured {
        let mut line = |epochs, seconds, full: &HeldOutAccuracy, one: &LeaveOneOut| {
            let figures = [
                Some(seconds),
                full.hit_rate_at_10,
                full.ndcg_at_10,
                full.ndcg_at_20,
                full.recall_at_20,
                full.recall_of_all_at_20,
                one.hit_rate_at_10,
                one.ndcg_at_10,
            ];
            let seed = found.seed.to_string();
            let mut row = vec![found.data.clone(), found.model.label(), seed, epochs];
            row.extend(figures.map(figure));
            table.row(row);
        };
        for point in &found.curve {
            let epochs = point.epochs.to_string();
            line(
                epochs,
                point.seconds,
                &point.full_ranking,
                &point.leave_one_out,
            );
        }
        if found.curve.is_empty() {
            line(
                figure(None),
                found.seconds,
                &found.full_ranking,
                &found.leave_one_out,
            );
        }
    }
    table.text()
}
