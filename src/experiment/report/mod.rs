//! The report: one HTML file that needs nothing else.

use super::results::Results;

/// Name of the report in the folder of results.
pub const FILE_NAME: &str = "report.html";

/// The whole report.
pub fn html(results: &Results) -> String {
    results.recipe.name.clone()
}
