//! The report: one HTML file that needs nothing else, to be read in light and in dark.
//!
//! Plots are SVG drawn here. Series differ by the shape of their marks and the dashes of their
//! lines as well as by colour, every plot has a title and a description, and every figure in a plot
//! stands in a table too.

mod chart;
mod contents;
mod curves;
mod distances;
mod heading;
mod markup;
mod scale;
mod sequence;
mod table;
mod three_axes;

use super::results::Results;
use super::run_record::Outcome;
use super::summary::{Comparison, comparisons};
use heading::{anchor, heading};
use markup::escape;

/// Name of the report in the folder of results.
pub const REPORT_FILE_NAME: &str = "report.html";

/// Colours, type and spacing.
const STYLE: &str = include_str!("style.css");

/// How to read what follows.
const EXPLANATION: &str = include_str!("explanation.html");

/// The whole report.
pub fn html(results: &Results) -> String {
    let comparisons = comparisons(results);
    let name = escape(&results.recipe.name);
    let sections: String = comparisons.iter().enumerate().map(section).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{name}</h1>\n{}{}{EXPLANATION}{}{sections}{}</main>\n</body>\n</html>\n",
        introduction(results),
        data(results),
        contents::overview(&comparisons),
        failures(results),
    )
}

fn introduction(results: &Results) -> String {
    let missing = match results.missing {
        0 => String::new(),
        missing => format!(
            "<p class=\"warning\"><strong>Unfinished:</strong> {missing} combinations are still to \
             come. Run the command again.</p>\n"
        ),
    };
    format!(
        "<p>{}</p>\n<p>recant {}, {} threads, seeds {}.</p>\n{missing}",
        escape(&results.recipe.description),
        escape(&results.version),
        results.threads,
        results
            .recipe
            .seeds
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn data(results: &Results) -> String {
    let rows: String = results
        .data
        .iter()
        .map(|data| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td></tr>\n",
                escape(&data.name),
                data.seed,
                data.users,
                data.items,
                data.interactions,
                data.held_out
            )
        })
        .collect();
    format!(
        "<div class=\"wide\"><table>\n<caption>Data</caption>\n<thead><tr>\
         <th scope=\"col\">data</th><th scope=\"col\">seed</th><th scope=\"col\">users</th>\
         <th scope=\"col\">items</th><th scope=\"col\">interactions</th>\
         <th scope=\"col\">held out</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

fn section((nth, comparison): (usize, &Comparison<'_>)) -> String {
    let plots = if comparison.is_sequence() {
        sequence::plot(comparison, nth)
    } else {
        curves::plot(comparison, nth)
    };
    format!(
        "<section id=\"{}\">\n<h2>{}</h2>\n{plots}{}{}</section>\n",
        anchor(nth),
        heading(comparison),
        three_axes::plot(comparison, nth),
        table::tables(comparison)
    )
}

fn failures(results: &Results) -> String {
    let failed = |record: &super::run_record::RunRecord| match &record.outcome {
        Outcome::Measured(_) => None,
        Outcome::Failed(reason) => Some(format!(
            "<li>{}, seed {}: {}</li>\n",
            escape(&format!(
                "{}, {}, {}, {}",
                record.key.data,
                record.key.model.label(),
                record.key.deletion.label(),
                record.key.arm.label()
            )),
            record.key.seed,
            escape(reason)
        )),
    };
    let failed: String = results.records.iter().filter_map(failed).collect();
    if failed.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>What failed</h2>\n<ul>\n{failed}</ul>\n</section>\n")
}
