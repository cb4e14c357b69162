//! JSON bodies, read strictly, with errors that say where and what without repeating the input.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use recant_types::ID_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::problem::{
    BODY_TOO_LARGE, INVALID_BODY, MALFORMED_BODY, Problem, UNSUPPORTED_MEDIA_TYPE,
};

/// An id in a body: a text, or a whole number, which is its decimal text.
/// It only documents.
pub(super) enum Id {}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(ID_BYTES_MAX))
            .description(Some("Any text that may be an id"));
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("A whole number"));
        let either = OneOfBuilder::new().item(text).item(number);
        let what = "An id: a text, or a whole number, which is its decimal text";
        either.description(Some(what)).into()
    }
}

impl ToSchema for Id {}

/// A body of `application/json`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let bytes = read(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// A number of a body, within its range; `default` when it is absent.
pub(super) fn number(
    name: &str,
    given: Option<usize>,
    range: RangeInclusive<usize>,
    default: usize,
) -> Result<usize, Problem> {
    let number = given.unwrap_or(default);
    if range.contains(&number) {
        return Ok(number);
    }
    let (least, most) = (range.start(), range.end());
    let detail = format!("{name} must be a whole number from {least} to {most}");
    Err(Problem::new(&INVALID_BODY, detail))
}

/// The whole body, within the limit that a layer has set.
pub(super) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|rejection: BytesRejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(&BODY_TOO_LARGE, "send it in several requests")
        }
        _ => Problem::new(&MALFORMED_BODY, "the body ended too early: send it again"),
    })
}

/// The media type of the body in lower case, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

/// Refuses a body that says it is not JSON. One that says nothing is taken for JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers).as_deref() {
        None | Some("application/json") => Ok(()),
        Some(_) => {
            let detail = "send JSON, with the header Content-Type: application/json";
            Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail))
        }
    }
}

/// Reads the object in `bytes` as a `T`.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Derived code would take an array for a struct, field by field.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        let detail = "the body is an array: this call takes an object, as /docs shows";
        return Err(Problem::new(&INVALID_BODY, detail));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data => {
                let reason = explain(&error.to_string());
                let detail = format!("{reason} (line {line}, column {column})");
                Problem::new(&INVALID_BODY, detail)
            }
            _ if bytes.is_empty() => {
                Problem::new(&MALFORMED_BODY, "the body is empty: send a JSON object")
            }
            _ => {
                let detail = format!(
                    "the body is not well-formed JSON, or nested too deeply, at line {line}, \
                     column {column}"
                );
                Problem::new(&MALFORMED_BODY, detail)
            }
        }
    })
}

/// What a message of the JSON library says in its own words. It may quote the input, which may be
/// somebody's id, so only the parts that come from our types are kept.
fn explain(message: &str) -> String {
    let message = match message.rfind(" at line ") {
        Some(end) => &message[..end],
        None => message,
    };
    let ours = [
        "missing field",
        "duplicate field",
        "an id must",
        "an id that",
    ];
    if ours.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    // The last "expected" is the library's: what follows it names our fields and types.
    match message.rsplit_once(", expected ") {
        Some((start, expected)) if start.starts_with("unknown field") => {
            format!("there is a field this call does not know: it takes {expected}")
        }
        Some((_, expected)) => format!("a value is of the wrong type: expected {expected}"),
        None => String::from("the body does not have the shape that this call takes"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use recant_types::UserId;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape is used")]
    struct Shape {
        user: UserId,
        k: u32,
    }

    fn problem(body: &str) -> (&'static str, String) {
        let problem = parse::<Shape>(body.as_bytes()).expect_err(body);
        let (code, detail) = problem.parts();
        (code, detail.to_owned())
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let needle = "needle, expected needle";
        for (body, code, part) in [
            (r#"{"user":"a"}"#, "invalid_body", "missing field `k`"),
            (
                &format!(r#"{{"{needle}":1}}"#),
                "invalid_body",
                "it takes `user` or `k`",
            ),
            (
                &format!(r#"{{"user":"a","k":"{needle}"}}"#),
                "invalid_body",
                "expected u32",
            ),
            (
                r#"{"user":"","k":1}"#,
                "invalid_body",
                "an id must not be empty",
            ),
            (
                r#"{"user":"a","user":"b","k":1}"#,
                "invalid_body",
                "duplicate field `user`",
            ),
            (r#""needle""#, "invalid_body", "expected struct Shape"),
            ("{", "malformed_body", "line 1"),
            ("", "malformed_body", "empty"),
            (&"[".repeat(200_000), "invalid_body", "an array"),
            (&r#"{"user":"#.repeat(200_000), "invalid_body", "wrong type"),
        ] {
            let (seen, detail) = problem(body);
            assert!(!detail.contains("needle"), "{detail}");
            assert!(detail.contains(part) && seen == code, "{seen}: {detail}");
        }
    }

    #[test]
    fn deep_nesting_ends_in_an_error() {
        let deep = r#"{"a":"#.repeat(200_000);
        let problem = parse::<serde_json::Value>(deep.as_bytes()).expect_err("too deep");
        assert_eq!(problem.parts().0, "malformed_body");
    }

    #[test]
    fn a_form_is_refused_and_silence_is_taken_for_json() {
        let mut headers = HeaderMap::new();
        assert!(require_json(&headers).is_ok());
        for (value, good) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/x-www-form-urlencoded", false),
            ("text/plain", false),
        ] {
            headers.insert(CONTENT_TYPE, value.parse().expect("a header"));
            assert_eq!(require_json(&headers).is_ok(), good, "{value}");
        }
    }
}
