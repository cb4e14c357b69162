//! `GET /.well-known/jwks.json`.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::parameters::Parameters;
use super::problem::Problem;
use super::state::AppState;

/// The media type of a set of keys (RFC 7517, section 8.5.2).
const JWK_SET: &str = "application/jwk-set+json";

/// Keys change seldom, and old ones stay in the set.
const CACHED: &str = "public, max-age=3600";

/// The public keys that receipts are signed with (RFC 7517): the one in use, then those before it.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "erasures",
    responses(
        (status = 200, description = "The keys", body = Object, content_type = "application/jwk-set+json", example = json!({"keys": [{
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "alg": "EdDSA",
            "use": "sig",
        }]})),
    ),
    security(()),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn key_set(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, Problem> {
    Parameters::refuse(query.as_deref())?;
    let keys = state.service()?.published_keys();
    let text = Bytes::from(serde_json::to_vec(&*keys).expect("texts"));
    Ok(([(CONTENT_TYPE, JWK_SET), (CACHE_CONTROL, CACHED)], text))
}
