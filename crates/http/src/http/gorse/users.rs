//! `POST` and `GET /api/users`.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;

use super::answers::{Affected, affected};
use super::cursor;
use super::ids::user_id;
use super::json::Body;
use super::query::Query;
use super::refusal::{Refusal, refuse_beyond};
use super::user::{UserAnswer, UserRow};
use crate::config::InteractionSettings;
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
    refuse_beyond(USERS_MAX, rows.len())?;
    let given = rows.len();
    let said = (0..).zip(rows).map(|(number, row)| {
        let said = row.check(settings.keep_null_ids);
        said.map_err(|reason| Refusal::invalid(format!("user number {number}: {reason}")))
    });
    let said = said.collect::<Result<_, _>>()?;
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
    // One more says whether there is a next page.
    let mut people = state.service()?.users(after, n + 1).await?;
    let is_last = people.len() <= n;
    people.truncate(n);
    let last = people.last().filter(|_| !is_last);
    Ok(Json(Page {
        cursor: last.map_or_else(String::new, |last| cursor::written(&[last.user.expose()])),
        users: people.into_iter().map(UserAnswer::from).collect(),
    }))
}
