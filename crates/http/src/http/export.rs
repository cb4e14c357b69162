//! `GET /export` and `POST /export`.

use std::convert::Infallible;
use std::iter;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::accept::prefers;
use super::json_body::{Id, JsonBody};
use super::parameters::{Parameters, invalid};
use super::problem::Problem;
use super::state::AppState;
use recant_service::ExportedInteraction;
use recant_types::{FeedbackType, Given, ItemId, PersonProperties, UserId};

/// Rows put into one piece of the body: large enough to be cheap, small enough to stay in memory
/// only briefly.
const ROWS_PER_CHUNK: usize = 512;

/// What an export comes as, unless the caller would rather have [`DOCUMENT`].
const LINES: &str = "application/x-ndjson";

/// What an export comes as when the caller asks for it.
const DOCUMENT: &str = "application/json";

/// One line of an export: first, where something is said about the user or they are restricted, what that is.
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
    /// Whether what follows is kept without being processed; absent when it is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    restricted: bool,
}

/// An export as one object, of the same rows.
#[derive(ToSchema)]
#[schema(as = Export)]
#[expect(
    dead_code,
    reason = "describes what is written row by row, and is never made"
)]
pub(super) struct ExportDocument {
    /// Whom it is about.
    #[schema(value_type = String, example = "ada")]
    user: UserId,
    /// Texts, numbers and truths by name; empty where nothing is said.
    #[schema(value_type = Object)]
    properties: PersonProperties,
    /// Whether it is kept without being processed; absent when it is not.
    #[schema(required = false)]
    restricted: bool,
    /// Everything that is held of what the user did.
    interactions: Vec<InteractionLine>,
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

/// Reads out everything stored about a user: what is said about them, and each interaction.
///
/// A JSON object a line, first what is said, if anything is or the user is restricted, and nothing for an
/// unknown user. Or one JSON
/// object, for whoever prefers `application/json` in `Accept`.
#[utoipa::path(
    get,
    path = "/export",
    tag = "interactions",
    params(("user" = String, Query, description = "About whom", example = "ada", min_length = 1, max_length = 256)),
    responses(
        (status = 200, description = "Everything stored", content(
            (ExportLine = "application/x-ndjson"),
            (ExportDocument = "application/json"),
        )),
    ),
    security(("api_key" = ["admin"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn by_query(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::refuse_raw_plus(query.as_deref())?;
    let user = Parameters::parse(query.as_deref(), &["user"])?
        .user()?
        .ok_or_else(|| invalid("user is missing: say whose data, as in /export?user=ID"))?;
    export(&state, &headers, user).await
}

/// Reads out everything stored about a user, with no id in the URL; in the forms that `GET` has.
#[utoipa::path(
    post,
    path = "/export",
    tag = "interactions",
    request_body(content = ExportBody, content_type = "application/json"),
    responses(
        (status = 200, description = "Everything stored", content(
            (ExportLine = "application/x-ndjson"),
            (ExportDocument = "application/json"),
        )),
    ),
    security(("api_key" = ["admin"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn by_body(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ExportBody>,
) -> Result<Response, Problem> {
    Parameters::refuse(query.as_deref())?;
    export(&state, &headers, body.user.0).await
}

async fn export(state: &AppState, headers: &HeaderMap, user: UserId) -> Result<Response, Problem> {
    let (said, rows) = held(state, user).await?;
    let (form, body) = if prefers(headers, DOCUMENT, LINES) {
        (DOCUMENT, body(document(said, rows)))
    } else {
        (LINES, body(lines(said, rows)))
    };
    // Whoever stores answers may not give one form for the other.
    let headers = [(CONTENT_TYPE, form), (VARY, ACCEPT.as_str())];
    Ok((headers, body).into_response())
}

/// The export as one JSON object.
pub(super) async fn whole(state: &AppState, user: UserId) -> Result<Response, Problem> {
    let (said, rows) = held(state, user).await?;
    let body = body(document(said, rows));
    Ok(([(CONTENT_TYPE, DOCUMENT)], body).into_response())
}

/// What is held of a user now.
async fn held(
    state: &AppState,
    user: UserId,
) -> Result<
    (
        UserLine,
        impl Iterator<Item = InteractionLine> + Send + 'static,
    ),
    Problem,
> {
    let service = state.service()?;
    let properties = service.properties(&user).await?;
    let rows = service.export(&user).await?.into_iter().map(interaction);
    let restricted = service.is_restricted(&user);
    let said = UserLine {
        user,
        properties,
        restricted,
    };
    Ok((said, rows))
}

fn interaction(row: ExportedInteraction) -> InteractionLine {
    InteractionLine {
        item: row.item,
        title: row.title,
        feedback: row.feedback,
        weight: row.weight,
        timestamp: row.timestamp,
    }
}

/// The rows of an export, each with the end of its line.
fn lines(
    said: UserLine,
    rows: impl Iterator<Item = InteractionLine>,
) -> impl Iterator<Item = Vec<u8>> {
    let is_told = said.restricted || !said.properties.is_empty();
    let said = is_told.then_some(ExportLine::User(said));
    let rows = said.into_iter().chain(rows.map(ExportLine::Interaction));
    rows.map(|row| {
        let mut text = json(&row);
        text.push(b'\n');
        text
    })
}

/// The parts of an export as one object, an [`ExportDocument`].
fn document(
    said: UserLine,
    rows: impl Iterator<Item = InteractionLine>,
) -> impl Iterator<Item = Vec<u8>> {
    let mut head = json(&said);
    // The object goes on.
    head.pop();
    head.extend_from_slice(br#","interactions":["#);
    let rows = rows.enumerate().map(|(number, row)| {
        let mut text = json(&row);
        if number > 0 {
            text.insert(0, b',');
        }
        text
    });
    let tail = b"]}".to_vec();
    iter::once(head).chain(rows).chain(iter::once(tail))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data into memory")
}

fn body(parts: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Body {
    Body::from_stream(stream::iter(chunks(parts).map(Ok::<_, Infallible>)))
}

/// `parts`, some hundred at a time, made when the connection asks for them.
fn chunks(parts: impl Iterator<Item = Vec<u8>>) -> impl Iterator<Item = Bytes> {
    let mut parts = parts.peekable();
    iter::from_fn(move || {
        parts.peek()?;
        let chunk: Vec<u8> = parts.by_ref().take(ROWS_PER_CHUNK).flatten().collect();
        Some(Bytes::from(chunk))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use recant_types::PropertyValue;

    const COUNT: usize = 2 * ROWS_PER_CHUNK + 1;

    fn rows(count: usize) -> impl Iterator<Item = InteractionLine> {
        let rows = (0..count).map(|index| ExportedInteraction {
            item: ItemId::new(&format!("i{index}")).expect("an id"),
            title: None,
            feedback: FeedbackType::default(),
            weight: 1.5,
            timestamp: (index == 0).then_some(3),
        });
        rows.map(interaction)
    }

    fn said(properties: &[(&str, &str)]) -> UserLine {
        let text = |value: &str| PropertyValue::Text(value.into());
        let properties = properties.iter();
        let properties = properties.map(|(name, value)| (Arc::from(*name), text(value)));
        UserLine {
            user: UserId::new("ada \"quoted\"").expect("an id"),
            properties: PersonProperties::new(properties.collect()).expect("good ones"),
            restricted: false,
        }
    }

    /// The body, and how many pieces it comes in.
    fn text(parts: impl Iterator<Item = Vec<u8>>) -> (String, usize) {
        let chunks: Vec<Bytes> = chunks(parts).collect();
        let text = String::from_utf8(chunks.concat()).expect("UTF-8");
        (text, chunks.len())
    }

    #[test]
    fn every_row_becomes_one_line() {
        let (text, chunks) = text(lines(said(&[]), rows(COUNT)));
        assert_eq!(chunks, 3);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), COUNT);
        assert_eq!(
            lines[0],
            r#"{"item":"i0","type":"interaction","weight":1.5,"timestamp":3}"#
        );
        assert_eq!(
            lines[COUNT - 1],
            format!(
                r#"{{"item":"i{}","type":"interaction","weight":1.5}}"#,
                COUNT - 1
            )
        );
    }

    #[test]
    fn nothing_becomes_no_line() {
        assert_eq!(text(lines(said(&[]), rows(0))), (String::new(), 0));
    }

    #[test]
    fn a_restriction_is_told_first() {
        let restricted = UserLine {
            restricted: true,
            ..said(&[])
        };
        let (lines, _) = text(lines(restricted, rows(1)));
        let first = lines.lines().next().expect("a line");
        let first: Value = serde_json::from_str(first).expect("JSON");
        let told = json!({"user": "ada \"quoted\"", "properties": {}, "restricted": true});
        assert_eq!(first, told);
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn a_document_has_the_rows_of_the_lines() {
        for count in [0, 1, 2, ROWS_PER_CHUNK - 2, ROWS_PER_CHUNK, COUNT] {
            for properties in [&[][..], &[("city", "Turin"), ("end", "]}")]] {
                let (by_line, _) = text(lines(said(properties), rows(count)));
                let mut by_line: Vec<Value> = by_line
                    .lines()
                    .map(|line| serde_json::from_str(line).expect("JSON"))
                    .collect();
                let user = if properties.is_empty() {
                    json!({"user": "ada \"quoted\"", "properties": {}})
                } else {
                    by_line.remove(0)
                };
                let (whole, _) = text(document(said(properties), rows(count)));
                let whole: Value = serde_json::from_str(&whole).expect("JSON");
                let expected = json!({
                    "user": user["user"],
                    "properties": user["properties"],
                    "interactions": by_line,
                });
                assert_eq!(whole, expected);
            }
        }
    }
}
