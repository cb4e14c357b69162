//! `GET /export` and `POST /export`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json_body::{Id, JsonBody};
use super::parameters::{Parameters, invalid};
use super::problem::Problem;
use super::state::AppState;
use recant_service::ExportedInteraction;
use recant_types::{FeedbackType, Given, ItemId, PersonProperties, UserId};

/// Lines put into one piece of the body: large enough to be cheap, small enough to stay in memory
/// only briefly.
const LINES_PER_CHUNK: usize = 512;

/// One line of an export: first, where something is said about the user, what that is.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ExportLine)]
pub(super) enum ExportLine {
    /// What is said about the user.
    User(UserLine),
    /// An interaction.
    Interaction(InteractionLine),
}

/// What is said about the user of an export.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedUser)]
pub(super) struct UserLine {
    /// Whom it is about.
    #[schema(value_type = String, example = "ada")]
    user: UserId,
    /// Texts, numbers and truths by name.
    #[schema(value_type = Object)]
    properties: PersonProperties,
}

/// One interaction of an export.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedInteraction)]
pub(super) struct InteractionLine {
    /// With what.
    #[schema(value_type = String, example = "dune")]
    item: ItemId,
    /// Its title, when one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    title: Option<Arc<str>>,
    /// What was done.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "interaction")]
    feedback: FeedbackType,
    /// The weight that it came with.
    weight: f32,
    /// When, in the unit it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

/// Whose data are read out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with user")]
#[schema(as = ExportRequest, example = json!({"user": "ada"}))]
pub(super) struct ExportBody {
    /// About whom.
    #[schema(value_type = Id)]
    user: Given<UserId>,
}

/// Reads out everything stored about a user, a JSON object a line: what is said about them, if anything
/// is, and each interaction. Nothing for an unknown one.
#[utoipa::path(
    get,
    path = "/export",
    tag = "interactions",
    params(("user" = String, Query, description = "About whom", example = "ada", min_length = 1, max_length = 256)),
    responses(
        (status = 200, description = "Everything stored", body = ExportLine, content_type = "application/x-ndjson"),
    ),
    security(("api_key" = ["admin"])),
)]
pub(super) async fn by_query(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Parameters::refuse_raw_plus(query.as_deref())?;
    let user = Parameters::parse(query.as_deref(), &["user"])?
        .user()?
        .ok_or_else(|| invalid("user is missing: say whose data, as in /export?user=ID"))?;
    export(&state, &user).await
}

/// Reads out everything stored about a user, with no id in the URL.
#[utoipa::path(
    post,
    path = "/export",
    tag = "interactions",
    request_body(content = ExportBody, content_type = "application/json"),
    responses(
        (status = 200, description = "Everything stored", body = ExportLine, content_type = "application/x-ndjson"),
    ),
    security(("api_key" = ["admin"])),
)]
pub(super) async fn by_body(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody<ExportBody>,
) -> Result<Response, Problem> {
    Parameters::refuse(query.as_deref())?;
    export(&state, &body.user.0).await
}

async fn export(state: &AppState, user: &UserId) -> Result<Response, Problem> {
    let service = state.service()?;
    let said = service.properties(user).await?;
    let said = (!said.is_empty()).then(|| {
        ExportLine::User(UserLine {
            user: user.clone(),
            properties: said,
        })
    });
    let rows = service.export(user).await?.into_iter();
    let lines = said.into_iter().chain(rows.map(interaction));
    let body = Body::from_stream(stream::iter(chunks(lines).map(Ok::<_, Infallible>)));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn interaction(row: ExportedInteraction) -> ExportLine {
    ExportLine::Interaction(InteractionLine {
        item: row.item,
        title: row.title,
        feedback: row.feedback,
        weight: row.weight,
        timestamp: row.timestamp,
    })
}

/// The texts of `lines`, some hundred at a time, made when the connection asks for them.
fn chunks(lines: impl Iterator<Item = ExportLine>) -> impl Iterator<Item = Bytes> {
    let mut lines = lines.peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        let mut text = Vec::new();
        for line in lines.by_ref().take(LINES_PER_CHUNK) {
            serde_json::to_writer(&mut text, &line).expect("plain data into memory");
            text.push(b'\n');
        }
        Some(Bytes::from(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_becomes_one_line() {
        let count = 2 * LINES_PER_CHUNK + 1;
        let rows = (0..count).map(|index| ExportedInteraction {
            item: ItemId::new(&format!("i{index}")).expect("an id"),
            title: None,
            feedback: FeedbackType::default(),
            weight: 1.5,
            timestamp: (index == 0).then_some(3),
        });
        let chunks: Vec<Bytes> = chunks(rows.map(interaction)).collect();
        assert_eq!(chunks.len(), 3);
        let text = String::from_utf8(chunks.concat()).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), count);
        assert_eq!(
            lines[0],
            r#"{"item":"i0","type":"interaction","weight":1.5,"timestamp":3}"#
        );
        assert_eq!(
            lines[count - 1],
            format!(
                r#"{{"item":"i{}","type":"interaction","weight":1.5}}"#,
                count - 1
            )
        );
    }

    #[test]
    fn nothing_becomes_nothing() {
        assert_eq!(chunks(std::iter::empty()).count(), 0);
    }
}
