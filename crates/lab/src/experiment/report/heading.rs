//! What a section of the report is called, and where links find it.

use super::markup::escape;
use crate::experiment::summary::Comparison;

/// The id of a comparison's section.
pub(super) fn anchor(nth: usize) -> String {
    format!("comparison-{nth}")
}

/// What a comparison is of.
pub(super) fn heading(comparison: &Comparison<'_>) -> String {
    let Comparison {
        data,
        model,
        deletion,
        ..
    } = comparison;
    escape(&format!("{data}, {model}: {deletion}"))
}
