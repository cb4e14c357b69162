//! Bodies of many rows: all of them or none.

use super::refusal::{Refusal, refuse_beyond};

/// What `check` makes of each of up to `most` rows. One that it refuses is named by its number, as
/// `what`, and the whole body is.
pub(super) fn checked<Row, Checked>(
    most: usize,
    what: &str,
    rows: Vec<Row>,
    check: impl Fn(Row) -> Result<Checked, String>,
) -> Result<Vec<Checked>, Refusal> {
    refuse_beyond(most, rows.len())?;
    let rows = rows.into_iter().enumerate().map(|(number, row)| {
        check(row).map_err(|reason| Refusal::invalid(format!("{what} number {number}: {reason}")))
    });
    rows.collect()
}
