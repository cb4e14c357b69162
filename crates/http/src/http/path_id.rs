//! Ids in paths.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use super::problem::{Problem, ProblemKind};
use recant_types::InvalidId;

/// The id in the path; what is none is a problem of this `kind`.
pub(super) fn path_id<T>(
    kind: &'static ProblemKind,
    id: Result<Path<String>, PathRejection>,
    make: impl FnOnce(&str) -> Result<T, InvalidId>,
) -> Result<T, Problem> {
    let Ok(Path(text)) = id else {
        let detail = "write the id as UTF-8 in percent-encoding";
        return Err(Problem::new(kind, detail));
    };
    make(&text).map_err(|reason| Problem::invalid_id(kind, "id", reason))
}
