//! `POST` and `GET /api/users`.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;

use super::answers::{Affected, affected};
use super::cursor;
use super::ids::user_id;
use super::json::Body;
use super::query::Query;
use super::refusal::Refusal;
use super::rows::checked;
use super::user::{UserAnswer, UserRow};
use crate::config::InteractionSettings;
use crate::http::page::cut_to_page;
use crate::http::state::AppState;

/// Most users of one request.
const USERS_MAX: usize = 10_000;

/// A page of users.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    /// Empty on the last one.
    cursor: String,
    users: Vec<UserAnswer>,
}

/// Says this about users, each in place of what was said before: all of it or nothing.
pub(super) async fn put(
    State(state): State<AppState>,
    Extension(settings): Extension<InteractionSettings>,
    Body(rows): Body<Vec<UserRow>>,
) -> Result<Json<Affected>, Refusal> {
    let given = rows.len();
    let check = |row: UserRow| row.check(settings.keep_null_ids);
    let said = checked(USERS_MAX, "user", rows, check)?;
    state.service()?.put_users(said).await?;
    Ok(affected(given))
}

/// Lists those of whom anything is held, in the order of their ids.
pub(super) async fn page(
    State(state): State<AppState>,
    query: Query,
) -> Result<Json<Page>, Refusal> {
    let n = query.page()?;
    let after = query.text("cursor").map(cursor::read::<1>).transpose()?;
    let after = after.map(|[user]| user_id(&user)).transpose()?;
    let mut people = state.service()?.users(after, n + 1).await?;
    let last = cut_to_page(&mut people, n);
    Ok(Json(Page {
        cursor: last.map_or_else(String::new, |last| cursor::written(&[last.user.expose()])),
        users: people.into_iter().map(UserAnswer::from).collect(),
    }))
}
