//! Answers that many calls of the face give.

use axum::Json;
use serde::Serialize;

use recant_service::ScoredItem;
use recant_types::ItemId;

/// How many rows a call has changed, or would have.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Affected {
    row_affected: usize,
}

/// The answer to a call that changed so many rows.
pub(super) fn affected(rows: usize) -> Json<Affected> {
    Json(Affected { row_affected: rows })
}

/// An item of a list.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Score {
    pub(super) id: ItemId,
    pub(super) score: f64,
}

impl From<ScoredItem> for Score {
    fn from(scored: ScoredItem) -> Self {
        Self {
            id: scored.item,
            score: f64::from(scored.score),
        }
    }
}

/// The items of a list, best first.
pub(super) fn scores(items: Vec<ScoredItem>) -> Json<Vec<Score>> {
    Json(items.into_iter().map(Score::from).collect())
}
