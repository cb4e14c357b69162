//! Bodies of the face: JSON, whatever their media type says.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::http::json_body;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = json_body::read(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// Reads the JSON in `bytes` as a `T`.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The message of the library may quote what was sent.
        let place = format!("line {}, column {}", error.line(), error.column());
        Refusal::invalid(format!(
            "the body is not the JSON that this call takes ({place})"
        ))
    })
}
