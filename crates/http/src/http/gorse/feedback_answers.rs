//! The calls that show feedback: of a user, of a pair, of an item, and all of it by pages.
//!
//! What was accepted before the question is in the answer unless the worker is behind; what an accepted
//! erasure names is not.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};

use super::feedback_rows::named;
use super::ids::{item_id, user_id};
use super::query::Query;
use super::refusal::Refusal;
use super::{cursor, times};
use crate::http::known_feedback::KnownFeedback;
use crate::http::page::cut_to_page;
use crate::http::state::AppState;
use recant_service::{ExportedInteraction, Service};
use recant_types::{FeedbackType, ItemId, UserId};

/// How long to wait for the worker.
const PATIENCE: Duration = Duration::from_secs(5);

/// People that are looked up at once.
const PEOPLE_AT_ONCE: usize = 100;

/// People that one answer looks at, at most: of a page most may have nothing of the type that is
/// asked for.
const PEOPLE_MAX: usize = 1_000;

/// Comes after the name of every type of feedback.
const AFTER_ALL_TYPES: &str = "~";

/// One event.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Feedback {
    feedback_type: FeedbackType,
    user_id: UserId,
    item_id: ItemId,
    value: f32,
    timestamp: String,
    updated: String,
    labels: Option<Value>,
    comment: &'static str,
}

impl Feedback {
    fn new(user: &UserId, held: ExportedInteraction) -> Self {
        let timestamp = times::shown_of_event(held.timestamp);
        Self {
            feedback_type: held.feedback,
            user_id: user.clone(),
            item_id: held.item,
            value: held.weight,
            updated: timestamp.clone(),
            timestamp,
            labels: None,
            comment: "",
        }
    }

    /// What the feedback of one user is in order of.
    fn key(&self) -> (&str, &str) {
        (self.feedback_type.as_str(), self.item_id.expose())
    }
}

/// A page of feedback.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    /// Empty on the last one.
    cursor: String,
    feedback: Vec<Feedback>,
}

/// Everything of a user.
pub(super) async fn of_user(
    State(state): State<AppState>,
    Path(user): Path<String>,
) -> Result<Json<Vec<Feedback>>, Refusal> {
    up_to_date(&state, &user_id(&user)?).await.map(Json)
}

/// What a user has of one type.
pub(super) async fn of_user_by_type(
    State(state): State<AppState>,
    Extension(known): Extension<KnownFeedback>,
    Path((user, name)): Path<(String, String)>,
) -> Result<Json<Vec<Feedback>>, Refusal> {
    let feedback = named(&name, &known).map_err(Refusal::invalid)?;
    let mut held = up_to_date(&state, &user_id(&user)?).await?;
    held.retain(|held| held.feedback_type == feedback);
    Ok(Json(held))
}

/// What a user has of every type with an item.
pub(super) async fn of_pair(
    State(state): State<AppState>,
    Path((user, item)): Path<(String, String)>,
) -> Result<Json<Vec<Feedback>>, Refusal> {
    let item = item_id(&item)?;
    let mut held = up_to_date(&state, &user_id(&user)?).await?;
    held.retain(|held| held.item_id == item);
    Ok(Json(held))
}

/// What a user has of one type with an item; an empty object when there is nothing.
pub(super) async fn of_typed_pair(
    State(state): State<AppState>,
    Extension(known): Extension<KnownFeedback>,
    Path((name, user, item)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let feedback = named(&name, &known).map_err(Refusal::invalid)?;
    let item = item_id(&item)?;
    let held = up_to_date(&state, &user_id(&user)?).await?;
    let mut held = held.into_iter();
    let found = held.find(|held| held.item_id == item && held.feedback_type == feedback);
    Ok(Json(found.map_or_else(|| json!({}), |held| json!(held))))
}

/// What everybody has with an item.
pub(super) async fn of_item(
    State(state): State<AppState>,
    Path(item): Path<String>,
) -> Result<Json<Vec<Feedback>>, Refusal> {
    with_item(&state, &item_id(&item)?).await.map(Json)
}

/// What everybody has of one type with an item.
pub(super) async fn of_item_by_type(
    State(state): State<AppState>,
    Extension(known): Extension<KnownFeedback>,
    Path((item, name)): Path<(String, String)>,
) -> Result<Json<Vec<Feedback>>, Refusal> {
    let feedback = named(&name, &known).map_err(Refusal::invalid)?;
    let mut held = with_item(&state, &item_id(&item)?).await?;
    held.retain(|held| held.feedback_type == feedback);
    Ok(Json(held))
}

/// A page of all feedback, in the order of the users' ids.
pub(super) async fn page(
    State(state): State<AppState>,
    query: Query,
) -> Result<Json<Page>, Refusal> {
    page_of(&state, &query, None).await
}

/// A page of the feedback of one type.
pub(super) async fn page_of_type(
    State(state): State<AppState>,
    Extension(known): Extension<KnownFeedback>,
    Path(name): Path<String>,
    query: Query,
) -> Result<Json<Page>, Refusal> {
    let feedback = named(&name, &known).map_err(Refusal::invalid)?;
    page_of(&state, &query, Some(feedback)).await
}

async fn up_to_date(state: &AppState, user: &UserId) -> Result<Vec<Feedback>, Refusal> {
    let service = state.service()?;
    service.catch_up(PATIENCE).await;
    held(service, user).await
}

/// The feedback of everybody with an item, while these are few enough for one answer.
async fn with_item(state: &AppState, item: &ItemId) -> Result<Vec<Feedback>, Refusal> {
    let service = state.service()?;
    service.catch_up(PATIENCE).await;
    let people = service.people_with(item, PEOPLE_MAX + 1).await?;
    if people.len() > PEOPLE_MAX {
        let text = format!("more than {PEOPLE_MAX} users: page through /api/feedback");
        return Err(Refusal::invalid(text));
    }
    let mut found = Vec::new();
    for user in &people {
        let mut held = held(service, user).await?;
        held.retain(|held| held.item_id == *item);
        found.append(&mut held);
    }
    Ok(found)
}

/// The feedback of a user that is processed, in order.
async fn held(service: &Service, user: &UserId) -> Result<Vec<Feedback>, Refusal> {
    let held = service.processed(user).await?.into_iter();
    let mut held: Vec<Feedback> = held.map(|held| Feedback::new(user, held)).collect();
    held.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
    Ok(held)
}

async fn page_of(
    state: &AppState,
    query: &Query,
    feedback: Option<FeedbackType>,
) -> Result<Json<Page>, Refusal> {
    let n = query.page()?;
    let from = query.text("cursor").map(cursor::read::<3>).transpose()?;
    let service = state.service()?;
    service.catch_up(PATIENCE).await;
    let mut walk = Walk {
        service,
        feedback,
        found: Vec::new(),
        last: None,
    };
    if let Some([user, name, item]) = from {
        walk.resume(user_id(&user)?, (&name, &item)).await?;
    }
    let is_last = walk.go_on(n).await?;
    Ok(Json(walk.page(n, is_last)))
}

/// A walk through the feedback of everybody.
struct Walk<'a> {
    service: &'a Service,
    /// Which type counts; all do without one.
    feedback: Option<FeedbackType>,
    found: Vec<Feedback>,
    /// Whose was looked at last.
    last: Option<UserId>,
}

impl Walk<'_> {
    /// Takes what `user` has after `passed`.
    async fn resume(&mut self, user: UserId, passed: (&str, &str)) -> Result<(), Refusal> {
        let mut held = self.of(&user).await?;
        held.retain(|held| held.key() > passed);
        self.found = held;
        self.last = Some(user);
        Ok(())
    }

    /// Goes on until there is more than `n`, or enough was looked at. Whether nobody is left.
    async fn go_on(&mut self, n: usize) -> Result<bool, Refusal> {
        let mut looked_at = 0;
        while self.found.len() <= n && looked_at < PEOPLE_MAX {
            let people = self
                .service
                .users(self.last.clone(), PEOPLE_AT_ONCE)
                .await?;
            if people.is_empty() {
                return Ok(true);
            }
            for person in people {
                if self.found.len() > n {
                    return Ok(false);
                }
                if person.interactions > 0 {
                    let held = self.of(&person.user).await?;
                    self.found.extend(held);
                }
                self.last = Some(person.user);
                looked_at += 1;
            }
        }
        Ok(false)
    }

    async fn of(&self, user: &UserId) -> Result<Vec<Feedback>, Refusal> {
        let mut held = held(self.service, user).await?;
        if let Some(feedback) = &self.feedback {
            held.retain(|held| held.feedback_type == *feedback);
        }
        Ok(held)
    }

    fn page(mut self, n: usize, is_last: bool) -> Page {
        let end = cut_to_page(&mut self.found, n);
        let cursor = match (end, &self.last) {
            (Some(end), _) => {
                let (name, item) = end.key();
                cursor::written(&[end.user_id.expose(), name, item])
            }
            (None, Some(last)) if !is_last => {
                cursor::written(&[last.expose(), AFTER_ALL_TYPES, ""])
            }
            _ => String::new(),
        };
        Page {
            cursor,
            feedback: self.found,
        }
    }
}
