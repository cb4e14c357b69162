//! `PUT` and `DELETE /api/item/{item}/category/{category}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};

use super::answers::Affected;
use super::categories;
use super::chunks::Properties;
use super::item::{change, said};
use super::refusal::Refusal;
use super::shared::Shared;
use crate::http::state::AppState;
use recant_types::DescriptionPatch;

type ItemAndCategory = Path<(Arc<str>, String)>;

/// Puts an item into a category, too.
pub(super) async fn put(
    State(state): State<AppState>,
    Extension(shared): Extension<Shared>,
    Path((item, category)): ItemAndCategory,
) -> Result<Json<Affected>, Refusal> {
    edit(&state, &shared, &item, |categories| {
        if !categories.contains(&category) {
            categories.push(category);
        }
    })
    .await
}

/// Takes an item out of a category.
pub(super) async fn delete(
    State(state): State<AppState>,
    Extension(shared): Extension<Shared>,
    Path((item, category)): ItemAndCategory,
) -> Result<Json<Affected>, Refusal> {
    edit(&state, &shared, &item, |categories| {
        categories.retain(|known| *known != category);
    })
    .await
}

async fn edit(
    state: &AppState,
    shared: &Shared,
    text: &str,
    edit: impl FnOnce(&mut Vec<String>),
) -> Result<Json<Affected>, Refusal> {
    let _turn = shared.turn.lock().await;
    let item = said(state, text)?;
    let mut names = categories::of_item(&item);
    edit(&mut names);
    let mut order = Properties::new();
    let kept = categories::keep_order(&names, &mut order);
    kept.map_err(|long| Refusal::invalid(long.to_string()))?;
    let mut patch = DescriptionPatch {
        tags: Some(categories::tags(&names)),
        ..DescriptionPatch::default()
    };
    let gone = categories::names().map(|name| (name, None));
    patch.properties.extend(gone);
    let kept = order.into_iter().map(|(name, value)| (name, Some(value)));
    patch.properties.extend(kept);
    change(state, text, &item, patch).await
}
