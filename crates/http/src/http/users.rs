//! `GET /users`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::cut_to_page;
use super::parameters::{Parameters, invalid};
use super::problem::Problem;
use super::state::AppState;
use super::user::UserAnswer;
use recant_types::UserId;

/// People on a page when the caller does not say, and at most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// A page of people.
#[derive(Serialize, ToSchema)]
#[schema(as = UserPage)]
pub(super) struct PageAnswer {
    /// In the order of the bytes of their ids.
    users: Vec<UserAnswer>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists those of whom anything is held, interactions or properties, a page at a time. Whoever is
/// erased is not listed any more from the moment the erasure is accepted.
#[utoipa::path(
    get,
    path = "/users",
    tag = "users",
    params(
        ("limit" = Option<usize>, Query, description = "How many; 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses((status = 200, description = "A page", body = PageAnswer)),
    security(("api_key" = ["admin"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn page(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<PageAnswer>, Problem> {
    Parameters::refuse_raw_plus(query.as_deref())?;
    let mut parameters = Parameters::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = parameters.number("limit", 1..=PAGE_MAX, PAGE_DEFAULT)?;
    let after = parameters.text("cursor").map(|text| UserId::new(&text));
    let after = after.transpose().map_err(|_| {
        invalid("cursor must be the next_cursor of the page before, percent-encoded")
    })?;
    let mut people = state.service()?.users(after, limit + 1).await?;
    let last = cut_to_page(&mut people, limit);
    Ok(Json(PageAnswer {
        next_cursor: last.map(|last| last.user.expose().to_owned()),
        users: people.into_iter().map(UserAnswer::from).collect(),
    }))
}
