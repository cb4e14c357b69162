//! What all calls that erase have in common: the pairs of a body, the headers they honour, the
//! answer. It has the same shape whether or not what they name existed.

use axum::Json;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::json_body::Id;
use super::known_feedback::KnownFeedback;
use super::prefer;
use super::problem::{BODY_TOO_LARGE, INVALID_BODY, INVALID_HEADER, Problem};
use super::state::AppState;
use recant_receipt::Salt;
use recant_service::AcceptedErasure;
use recant_service::{IdempotencyKey, Service};
use recant_types::{
    ERASURE_PAIRS_MAX, ErasureRecord, ErasureStatus, ErasureTarget, Given, ItemId, Names, UserId,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Longest idempotency key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What to erase, with no id in a URL: any of the three, together 1 to 10 000 names, as one erasure.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with users, items, interactions"
)]
#[schema(as = ErasureRequest, example = json!({"users": ["ada"], "interactions": [{"user": "bob", "item": "dune"}]}))]
pub(super) struct ErasureBody {
    /// Everything of each of these users.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 10_000)]
    users: Vec<Given<UserId>>,
    /// Every interaction with each of these items.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 10_000)]
    items: Vec<Given<ItemId>>,
    /// These pairs, and nothing else of their users.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    interactions: Vec<PairBody>,
}

/// One pair.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with user and item")]
#[schema(as = Pair)]
pub(super) struct PairBody {
    /// Who.
    #[schema(value_type = Id)]
    user: Given<UserId>,
    /// With what.
    #[schema(value_type = Id)]
    item: Given<ItemId>,
    /// What was done; everything unless given.
    #[serde(default, rename = "type")]
    #[schema(max_length = 64)]
    feedback: Option<String>,
}

impl ErasureBody {
    /// The target it names.
    pub(super) fn target(self, known: &KnownFeedback) -> Result<ErasureTarget, Problem> {
        let mut names = Names {
            users: self.users.into_iter().map(|user| user.0).collect(),
            items: self.items.into_iter().map(|item| item.0).collect(),
            ..Names::default()
        };
        for pair in self.interactions {
            let feedback = pair.feedback.map(|name| known.find(&name)).transpose();
            let feedback =
                feedback.map_err(|error| Problem::new(&INVALID_BODY, error.to_string()))?;
            names.add_pair(pair.user.0, pair.item.0, feedback);
        }
        match names.count() {
            0 => {
                let detail = "nothing is named: give users, items or interactions";
                Err(Problem::new(&INVALID_BODY, detail))
            }
            1..=ERASURE_PAIRS_MAX => Ok(names.into()),
            _ => {
                let detail = format!("name at most {ERASURE_PAIRS_MAX} a request, all together");
                Err(Problem::new(&BODY_TOO_LARGE, detail))
            }
        }
    }
}

/// The answer to an erasure request.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedErasure, example = json!({
    "id": "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a",
    "status": "accepted",
    "accepted_at": "2025-01-31T12:00:00.000Z",
    "receipt_salt": "kZ0yqk3mKQf0vQ7tq1mC0f3n0oZ5o2jH1bq8cJx3A2E",
}))]
pub(super) struct AcceptedAnswer {
    /// Where to follow it: `/erasures/{id}`, a restriction too.
    id: String,
    /// How far it has come.
    status: &'static str,
    /// When it was made durable.
    accepted_at: String,
    /// Opens the commitment in the receipt: with it you can show what the erasure was about, and
    /// nobody can without it. It is kept nowhere and not shown again; keep it with the receipt.
    /// Null in the answer to a repeated request when the service has replaced its key since.
    receipt_salt: Option<String>,
}

/// Has `target` erased as the headers ask for it, and makes the answer: 202 when it is accepted,
/// 200 when the caller waited and the live model has forgotten.
pub(super) async fn erase(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    target: ErasureTarget,
) -> Result<Response, Problem> {
    let accepted = accept(state, caller, headers, target).await?;
    answer_when_asked(state.service()?, headers, accepted).await
}

/// Accepts the erasure of `target`, once for an idempotency key of the headers.
pub(super) async fn accept(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    target: ErasureTarget,
) -> Result<AcceptedErasure, Problem> {
    let key = idempotency_key(headers)?.map(|key| own(key, caller));
    let service = state.service()?;
    Ok(service.erase_for(caller.requester(), target, key).await?)
}

/// Accepts the erasure of `item` with what is said about it; otherwise as [`accept`].
pub(super) async fn accept_item(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    item: ItemId,
) -> Result<AcceptedErasure, Problem> {
    let key = idempotency_key(headers)?.map(|key| own(key, caller));
    let (service, requester) = (state.service()?, caller.requester());
    Ok(service.erase_item_for(requester, item, key).await?)
}

/// Has `item` erased with what is said about it; otherwise as [`erase`].
pub(super) async fn erase_item(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    item: ItemId,
) -> Result<Response, Problem> {
    let accepted = accept_item(state, caller, headers, item).await?;
    answer_when_asked(state.service()?, headers, accepted).await
}

/// The answer, at once or when the caller has waited as long as the headers say.
async fn answer_when_asked(
    service: &Service,
    headers: &HeaderMap,
    accepted: AcceptedErasure,
) -> Result<Response, Problem> {
    let AcceptedErasure { mut record, salt } = accepted;
    let wait = prefer::wait(headers);
    if let Some(patience) = wait {
        let waited = service.wait_forgotten(record.id, patience).await?;
        record = waited.unwrap_or(record);
    }
    let mut response = answer(&record, salt.as_ref(), wait.is_some());
    if let Some(wait) = wait {
        let applied = HeaderValue::try_from(format!("wait={}", wait.as_secs()));
        let applied = applied.expect("letters and digits");
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

fn answer(record: &ErasureRecord, salt: Option<&Salt>, waited: bool) -> Response {
    let forgotten = matches!(
        record.status,
        ErasureStatus::Forgotten | ErasureStatus::Certified
    );
    let status = if waited && forgotten {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let location = format!("/erasures/{}", record.id);
    let body = AcceptedAnswer {
        id: record.id.to_string(),
        status: record.status_name(),
        accepted_at: record.accepted_at.to_rfc3339(),
        receipt_salt: salt.map(Salt::expose),
    };
    (status, [(LOCATION, location)], Json(body)).into_response()
}

/// An idempotency key among those of its caller alone: the keys of two callers may be the same by
/// chance, or because one of them wants to see the other's erasures. No idempotency key holds a line
/// break, so no two pairs of names make the same text.
fn own(key: IdempotencyKey, caller: &Caller) -> IdempotencyKey {
    match &caller.name {
        Some(name) => IdempotencyKey(format!("{name}\n{}", key.0)),
        None => key,
    }
}

/// The caller's idempotency key, if there is one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if values.next().is_some() || text.is_empty() || text.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        let detail = "Idempotency-Key: send one, of 1 to 255 visible ASCII characters";
        return Err(Problem::new(&INVALID_HEADER, detail));
    }
    Ok(Some(IdempotencyKey(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json_body;
    use recant_types::{ErasureId, UnixMillis};

    fn target(body: &str) -> Result<ErasureTarget, Problem> {
        let body = json_body::parse::<ErasureBody>(body.as_bytes());
        body.and_then(|body| body.target(&KnownFeedback::default()))
    }

    #[test]
    fn pairs_are_read_strictly() {
        let good = target(r#"{"interactions":[{"user":"a","item":"x"}]}"#);
        assert!(matches!(good, Ok(ErasureTarget::Pairs(pairs)) if pairs.len() == 1));
        for (bad, part) in [
            (r#"{"interactions":[]}"#, "nothing is named"),
            (r#"{"users":[],"items":[]}"#, "nothing is named"),
            (r#"{"users":"ada"}"#, "wrong type"),
            (r#"{"interactions":[{"user":"a"}]}"#, "`item`"),
            (
                r#"{"interactions":[{"user":"a","item":"x","weight":1}]}"#,
                "does not know",
            ),
            (r#"{"oops":1}"#, "does not know"),
            (r#"{"interactions":[{"user":"a","item":""}]}"#, "empty"),
            (
                r#"{"interactions":[{"user":"a","item":"x","type":"needle"}]}"#,
                "feedback.types",
            ),
        ] {
            let problem = target(bad).expect_err(bad);
            let (code, detail) = problem.parts();
            assert!(
                code == "invalid_body" && detail.contains(part),
                "{bad}: {detail}"
            );
        }
        let pairs = vec![r#"{"user":"u","item":"i"}"#; ERASURE_PAIRS_MAX + 1].join(",");
        let problem = target(&format!("{{\"interactions\":[{pairs}]}}")).expect_err("too many");
        assert_eq!(problem.parts().0, "body_too_large");
    }

    #[test]
    fn users_items_and_pairs_are_one_erasure() {
        use ErasureTarget::{Item, Several, User};
        assert!(matches!(target(r#"{"users":["a"]}"#), Ok(User(_))));
        assert!(matches!(target(r#"{"items":["x"]}"#), Ok(Item(_))));
        let body = r#"{"users":["a","b"],"items":["x"],"interactions":[{"user":"c","item":"y"}]}"#;
        let Ok(Several(names)) = target(body) else {
            panic!("several names")
        };
        let counts = (names.users.len(), names.items.len(), names.pairs.len());
        assert_eq!(counts, (2, 1, 1));
        let typed = r#"{"user":"a","item":"x","type":"interaction"}"#;
        let only = target(&format!(r#"{{"interactions":[{typed}]}}"#));
        assert!(matches!(only, Ok(ErasureTarget::TypedPairs(pairs)) if pairs.len() == 1));
        let mixed = target(&format!(r#"{{"items":["x"],"interactions":[{typed}]}}"#));
        assert!(matches!(mixed, Ok(Several(names)) if names.typed_pairs.len() == 1));
        let half = vec![r#""u""#; ERASURE_PAIRS_MAX / 2 + 1].join(",");
        let problem = target(&format!("{{\"users\":[{half}],\"items\":[{half}]}}"));
        assert_eq!(problem.expect_err("too many").parts().0, "body_too_large");
    }

    #[test]
    fn only_one_plain_idempotency_key_is_taken() {
        let mut headers = HeaderMap::new();
        assert!(matches!(idempotency_key(&headers), Ok(None)));
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("k-1"));
        let key = idempotency_key(&headers).expect("a key").expect("a key");
        assert_eq!(key.0, "k-1");
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("k-2"));
        assert!(idempotency_key(&headers).is_err(), "two");
        for bad in ["", "é", &"x".repeat(256)] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_bytes(bad.as_bytes()).expect("a header");
            headers.insert(IDEMPOTENCY_KEY, value);
            assert!(idempotency_key(&headers).is_err(), "{bad}");
        }
    }

    #[test]
    fn callers_do_not_share_their_idempotency_keys() {
        let key = || IdempotencyKey(String::from("k"));
        let ada = own(key(), &Caller::named("ada"));
        let bob = own(key(), &Caller::named("bob"));
        assert!(ada.0 != bob.0 && ada.0 != "k");
        let nobody = own(key(), &Caller::nobody());
        assert_eq!(nobody.0, "k", "without keys all callers are one");
    }

    #[test]
    fn it_is_200_only_for_those_who_waited_long_enough() {
        let target = ErasureTarget::User(UserId::new("ada").expect("an id"));
        let id = ErasureId::generate();
        let mut record = ErasureRecord::accepted(id, 1, &target, UnixMillis(0));
        assert_eq!(answer(&record, None, true).status(), StatusCode::ACCEPTED);
        record.status = ErasureStatus::Forgotten;
        assert_eq!(answer(&record, None, false).status(), StatusCode::ACCEPTED);
        let response = answer(&record, None, true);
        assert_eq!(response.status(), StatusCode::OK);
        let location = response.headers()[LOCATION].to_str().expect("ASCII");
        assert_eq!(location, format!("/erasures/{id}"));
        record.status = ErasureStatus::Failed;
        assert_eq!(answer(&record, None, true).status(), StatusCode::ACCEPTED);
    }
}
