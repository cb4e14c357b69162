//! `POST` and `GET /api/items`.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;

use super::answers::{Affected, affected};
use super::cursor;
use super::ids::item_id;
use super::item::{ItemAnswer, ItemRow};
use super::json::Body;
use super::query::Query;
use super::refusal::{Refusal, of_item};
use super::rows::checked;
use super::search::search;
use crate::config::InteractionSettings;
use crate::http::page::cut_to_page;
use crate::http::state::AppState;
use recant_types::{DESCRIPTIONS_MAX, ItemDescription};

/// A page of items.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    /// Empty on the last one, and for items that were searched for.
    cursor: String,
    items: Vec<ItemAnswer>,
}

impl Page {
    fn new(cursor: String, items: &[Arc<ItemDescription>]) -> Json<Self> {
        let items = items.iter().map(|item| ItemAnswer::from(&**item));
        Json(Self {
            cursor,
            items: items.collect(),
        })
    }
}

/// Says this about items, each in place of what was said before: all of it or nothing.
pub(super) async fn put(
    State(state): State<AppState>,
    Extension(settings): Extension<InteractionSettings>,
    Body(rows): Body<Vec<ItemRow>>,
) -> Result<Json<Affected>, Refusal> {
    let given = rows.len();
    let check = |row: ItemRow| row.check(settings.keep_null_ids);
    let items = checked(DESCRIPTIONS_MAX, "item", rows, check)?;
    let described = state.service()?.describe(items).await;
    described.map_err(|error| of_item("", error))?;
    Ok(affected(given))
}

/// Lists the items there are in the order of their ids, or those that `q` finds.
pub(super) async fn page(
    State(state): State<AppState>,
    query: Query,
) -> Result<Json<Page>, Refusal> {
    let n = query.page()?;
    let catalogue = state.service()?.catalogue();
    if let Some(text) = query.text("q") {
        let found = search(catalogue, text, n).await?;
        return Ok(Page::new(String::new(), &found));
    }
    let after = query.text("cursor").map(cursor::read::<1>).transpose()?;
    let after = after.map(|[item]| item_id(&item)).transpose()?;
    let next = catalogue.items_after(after.as_ref()).take(n + 1);
    let mut items: Vec<_> = next.collect();
    let last = cut_to_page(&mut items, n);
    let cursor = last.map_or_else(String::new, |last| cursor::written(&[last.id.expose()]));
    Ok(Page::new(cursor, &items))
}
