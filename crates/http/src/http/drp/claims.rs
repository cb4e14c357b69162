//! What a signed message has to say, checked in the order that the protocol demands.

use serde_json::{Map, Value};

use super::refusal::Refusal;
use recant_types::{TimeRule, UnixMillis, UserId};

/// Longest time from `issued-at` to `expires-at`. It is that for which a repeated message is known
/// again: what comes later has expired.
pub(super) const LIFETIME_MILLISECONDS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// Longest `agent-request-id`, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Claims that count only when the agent says to have verified them.
const VERIFIED: [&str; 3] = ["email", "phone_number", "address"];

/// What a message is held against.
pub(super) struct Expected<'a> {
    /// Who signed it.
    pub(super) agent: &'a str,
    /// Who it has to be for.
    pub(super) business: &'a str,
    /// When it came.
    pub(super) now: UnixMillis,
}

/// When a message that was checked is from, and until when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) issued: UnixMillis,
    pub(super) expires: UnixMillis,
}

/// Refuses a message of another agent, for another business, or of another time.
pub(super) fn check(
    message: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Lifetime, Refusal> {
    if text(message, "agent-id") != Some(expected.agent) {
        return Err(Refusal::forbidden("agent-id is not the agent that signed"));
    }
    if text(message, "business-id") != Some(expected.business) {
        return Err(Refusal::forbidden("business-id is not this business"));
    }
    let (issued, expires) = (time(message, "issued-at"), time(message, "expires-at"));
    let (Some(issued), Some(expires)) = (issued, expires) else {
        return Err(Refusal::wrong(
            "issued-at and expires-at must be ISO 8601 times",
        ));
    };
    if issued > expected.now {
        return Err(Refusal::wrong("issued-at is in the future: set your clock"));
    }
    if expires <= expected.now {
        return Err(Refusal::wrong("the request has expired: sign another one"));
    }
    if expires.0.saturating_sub(issued.0) > LIFETIME_MILLISECONDS_MAX {
        return Err(Refusal::wrong(
            "expires-at is more than a day after issued-at: ten minutes are enough",
        ));
    }
    Ok(Lifetime { issued, expires })
}

/// The person that a message is about, by the claim of this name.
pub(super) fn user(message: &Map<String, Value>, claim: &str) -> Result<UserId, Refusal> {
    let verified = || message.get(&format!("{claim}_verified")) == Some(&Value::Bool(true));
    if VERIFIED.contains(&claim) && !verified() {
        return Err(Refusal::wrong(
            "the claim that names the person was not verified by the agent",
        ));
    }
    let id = text(message, claim).map(UserId::trimmed);
    id.and_then(Result::ok)
        .ok_or_else(|| Refusal::wrong("the claim that names the person is missing, or is no id"))
}

/// The id that the agent has for the request. It is kept with the erasure, so it has to be one that
/// names nobody: no blanks and no address.
pub(super) fn agent_request_id(message: &Map<String, Value>) -> Result<Option<&str>, Refusal> {
    let Some(value) = message
        .get("agent-request-id")
        .filter(|value| !value.is_null())
    else {
        return Ok(None);
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let id = value
        .as_str()
        .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain));
    id.map(Some).ok_or_else(|| {
        Refusal::wrong("agent-request-id must be 1 to 128 letters, digits, or any of - _ . :")
    })
}

/// A member that is a text.
pub(super) fn text<'a>(message: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    message.get(name).and_then(Value::as_str)
}

fn time(message: &Map<String, Value>, name: &str) -> Option<UnixMillis> {
    let said = text(message, name).filter(|text| text.contains('-'))?;
    let time = TimeRule::of_catalogues().text(said).ok().flatten();
    time.map(UnixMillis::from_timestamp)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_764_410_400_000);

    fn message(changes: &[(&str, Value)]) -> Map<String, Value> {
        let mut message = json!({
            "agent-id": "AA",
            "business-id": "SHOP",
            "issued-at": "2025-11-29T09:59:00Z",
            "expires-at": "2025-11-29T10:09:00.000000+00:00",
        });
        for (name, value) in changes {
            message[*name] = value.clone();
        }
        message.as_object().expect("an object").clone()
    }

    fn checked(changes: &[(&str, Value)]) -> Result<Lifetime, Refusal> {
        let expected = Expected {
            agent: "AA",
            business: "SHOP",
            now: NOW,
        };
        check(&message(changes), &expected)
    }

    #[test]
    fn a_message_counts_for_its_agent_its_business_and_its_time() {
        let lifetime = checked(&[]).expect("good");
        assert_eq!(lifetime.issued, UnixMillis(NOW.0 - 60_000));
        assert_eq!(lifetime.expires, UnixMillis(NOW.0 + 540_000));
        for (name, value) in [
            ("agent-id", json!("BB")),
            ("agent-id", json!(7)),
            ("business-id", json!("OTHER")),
            ("issued-at", json!("2025-11-29T10:00:01Z")),
            ("issued-at", json!("yesterday")),
            ("issued-at", json!(1_764_410_000)),
            ("expires-at", json!("2025-11-29T10:00:00Z")),
            ("expires-at", json!("2025-11-30T09:59:01Z")),
            ("expires-at", Value::Null),
        ] {
            assert!(checked(&[(name, value.clone())]).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn a_person_is_named_by_one_claim_and_an_address_only_when_verified() {
        let of = |claim: &str, changes: &[(&str, Value)]| {
            let id = user(&message(changes), claim);
            id.map(|id| id.expose().to_owned()).ok()
        };
        assert_eq!(
            of("identifier", &[("identifier", json!("ada"))]).as_deref(),
            Some("ada")
        );
        assert_eq!(of("identifier", &[("identifier", json!(7))]), None);
        assert_eq!(of("identifier", &[("identifier", json!(""))]), None);
        assert_eq!(of("identifier", &[]), None);
        let email = ("email", json!("ada@example.org"));
        assert_eq!(of("email", std::slice::from_ref(&email)), None);
        let verified = |value: Value| [email.clone(), ("email_verified", value)];
        assert_eq!(of("email", &verified(json!("true"))), None);
        let ada = of("email", &verified(json!(true)));
        assert_eq!(ada.as_deref(), Some("ada@example.org"));
    }

    #[test]
    fn an_agents_own_id_names_nobody() {
        let of = |value: Value| {
            let message = message(&[("agent-request-id", value)]);
            agent_request_id(&message)
                .map(|id| id.map(str::to_owned))
                .ok()
        };
        assert_eq!(of(json!("r-7")), Some(Some(String::from("r-7"))));
        assert_eq!(of(Value::Null), Some(None));
        for bad in [
            json!(""),
            json!("ada@example.org"),
            json!("a b"),
            json!(7),
            json!("x/y"),
        ] {
            assert_eq!(of(bad.clone()), None, "{bad}");
        }
    }
}
