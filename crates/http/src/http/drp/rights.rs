//! Which right a message exercises.

use serde_json::{Map, Value};

use super::access::Access;
use super::claims::text;
use super::refusal::Refusal;

/// A right that is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// To be erased.
    Deletion,
    /// To see what is held.
    Access(Access),
}

impl Right {
    /// The right that `message` exercises. What is not carried out is refused with the reason.
    pub(super) fn asked(message: &Map<String, Value>) -> Result<Self, Refusal> {
        // The protocol writes sales in two ways.
        match text(message, "exercise") {
            Some("deletion") => Ok(Self::Deletion),
            Some("access" | "access:specific") => Ok(Self::Access(Access::Everything)),
            Some("access:categories") => Ok(Self::Access(Access::Categories)),
            Some("sale:opt_out" | "sale:opt-out" | "sale:opt_in" | "sale:opt-in") => {
                Err(Refusal::wrong(
                    "this service sells nothing and keeps no consent: ask the business; deletion and \
                     access are carried out",
                ))
            }
            Some("correction") => Err(Refusal::wrong(
                "the protocol has no right to correction: what somebody did is recorded by the business, \
                 which can correct it; deletion and access are carried out",
            )),
            Some(_) => Err(Refusal::wrong(
                "of the rights there are, deletion, access, access:categories and access:specific are \
                 carried out",
            )),
            None => Err(Refusal::wrong("exercise is missing, or is no text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use super::*;

    fn asked(exercise: Value) -> Result<Right, Refusal> {
        let message = json!({"exercise": exercise});
        Right::asked(message.as_object().expect("an object"))
    }

    #[test]
    fn rights_are_carried_out_or_refused_with_a_reason_of_their_own() {
        for (name, right) in [
            ("deletion", Right::Deletion),
            ("access", Right::Access(Access::Everything)),
            ("access:specific", Right::Access(Access::Everything)),
            ("access:categories", Right::Access(Access::Categories)),
        ] {
            assert_eq!(asked(json!(name)).expect(name), right);
        }
        let reason = |exercise: Value| match asked(exercise) {
            Err(Refusal::Told(StatusCode::BAD_REQUEST, reason, true)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(json!("sale:opt_out")), reason(json!("sale:opt-in")));
        let reasons = ["sale:opt_out", "correction", "Deletion"].map(|name| reason(json!(name)));
        let none = reason(Value::Null);
        assert_eq!(reason(json!(["deletion"])), none);
        let different: std::collections::BTreeSet<_> = reasons.into_iter().chain([none]).collect();
        assert_eq!(different.len(), 4);
    }
}
