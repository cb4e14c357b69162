//! `DELETE /interactions`.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::response::Response;

use super::caller::Caller;
use super::erasure_answer::{self, AcceptedAnswer, ErasureBody};
use super::json_body;
use super::known_feedback::KnownFeedback;
use super::parameters::{Parameters, invalid};
use super::problem::Problem;
use super::state::AppState;
use recant_types::{ErasureTarget, Names};

/// Erases interactions and makes the model forget them: one (`user` and `item`), everything of a
/// user (`user`), every interaction with an item (`item`), or what a body names as in `POST /erasures`. The answer is
/// the same whether or not they existed, and repeating the call is harmless.
#[utoipa::path(
    delete,
    path = "/interactions",
    tag = "erasures",
    params(
        ("user" = Option<String>, Query, description = "Erase what this user did", example = "ada", min_length = 1, max_length = 256),
        ("item" = Option<String>, Query, description = "Erase what was done with this item", example = "dune", min_length = 1, max_length = 256),
        ("type" = Option<String>, Query, description = "Of the pair of user and item what is of this type alone", example = "interaction", min_length = 1, max_length = 64),
        ("Prefer" = Option<String>, Header, description = "`wait=S` waits up to S seconds, at most 60, until the model has forgotten"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and request again return the same erasure", min_length = 1, max_length = 255),
    ),
    request_body(content = Option<ErasureBody>, content_type = "application/json"),
    responses(
        (status = 202, description = "Accepted and durable", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
        (status = 200, description = "Waited for, and forgotten", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn erase(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    Extension(feedback): Extension<KnownFeedback>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let body = OptionalBody::from_request(request, &state).await?;
    let target = target(query.as_deref(), body, &feedback)?;
    erasure_answer::erase(&state, &caller, &headers, target).await
}

/// A JSON body, or none.
struct OptionalBody(Option<Bytes>);

impl<S: Send + Sync> FromRequest<S> for OptionalBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let acceptable = json_body::require_json(request.headers());
        let bytes = json_body::read(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        acceptable.map(|()| Self(Some(bytes)))
    }
}

/// What is to be erased: named by the query or by the body, never by both.
fn target(
    query: Option<&str>,
    body: OptionalBody,
    known: &KnownFeedback,
) -> Result<ErasureTarget, Problem> {
    Parameters::refuse_raw_plus(query)?;
    let mut parameters = Parameters::parse(query, &["user", "item", "type"])?;
    let named = (parameters.user()?, parameters.item()?);
    let feedback = parameters.text("type").map(|name| known.find(&name));
    let feedback = feedback
        .transpose()
        .map_err(|error| invalid(error.to_string()))?;
    if feedback.is_some() && !matches!(named, (Some(_), Some(_))) {
        return Err(invalid(
            "type goes with user and item: it names what of one pair is erased",
        ));
    }
    match (named, body.0) {
        ((None, None), Some(bytes)) => json_body::parse::<ErasureBody>(&bytes)?.target(known),
        ((None, None), None) => Err(invalid(
            "nothing is named: give user, item or both, or name it in a JSON body",
        )),
        (_, Some(_)) => Err(invalid(
            "name what to erase in the query or in the body, not in both",
        )),
        ((Some(user), Some(item)), None) => {
            let mut names = Names::default();
            names.add_pair(user, item, feedback);
            Ok(names.into())
        }
        ((Some(user), None), None) => Ok(ErasureTarget::User(user)),
        ((None, Some(item)), None) => Ok(ErasureTarget::Item(item)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: &'static str) -> Result<ErasureTarget, Problem> {
        let body = Some(Bytes::from_static(body.as_bytes())).filter(|body| !body.is_empty());
        target(Some(query), OptionalBody(body), &KnownFeedback::default())
    }

    #[test]
    fn the_query_or_the_body_names_the_target() {
        use ErasureTarget::{Item, Pairs, User};
        assert!(matches!(read("user=a&item=x", ""), Ok(Pairs(pairs)) if pairs.len() == 1));
        let typed = read("user=a&item=x&type=interaction", "");
        assert!(matches!(typed, Ok(ErasureTarget::TypedPairs(pairs)) if pairs.len() == 1));
        assert!(matches!(read("user=a", ""), Ok(User(_))));
        assert!(matches!(read("item=x", ""), Ok(Item(_))));
        let body = r#"{"interactions":[{"user":"a","item":"x"},{"user":"b","item":"x"}]}"#;
        assert!(matches!(read("", body), Ok(Pairs(pairs)) if pairs.len() == 2));
        for (query, body) in [
            ("", ""),
            ("user=a", body),
            ("item=", ""),
            ("users=a", ""),
            ("user=a+b", ""),
            ("user=a&type=interaction", ""),
            ("user=a&item=x&type=unheard-of", ""),
        ] {
            assert!(read(query, body).is_err(), "{query} {body}");
        }
    }
}
