//! Which of several nodes answers a call. Every call says so beside the role that it takes.

use serde::Deserialize;
use serde_json::Value;

use super::parameters::decode;

/// Where the description of a call says it.
pub(super) const ANSWERED_BY: &str = "x-answered-by";

/// Which of several nodes answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnsweredBy {
    /// Any, however much it has missed: the answer tells nothing about data.
    Any,
    /// Any that may answer readers.
    Current,
    /// The same, unless the query has this parameter, with which something changes.
    CurrentUnless(&'static str),
    /// The same, unless it asks for the certified version, which the leader alone keeps.
    CurrentUnlessCertified,
    /// The leader, which tells what it knows.
    Leader,
    /// The leader, which changes something.
    LeaderWrites,
}

/// What is done with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is answered here.
    Any,
    /// It is answered here, if readers may be.
    Current,
    /// It is the leader's.
    Leader {
        /// Whether something may have changed once it was sent.
        writes: bool,
    },
}

impl AnsweredBy {
    /// What the description of a call says. One that does not say it is the leader's, as if it changed
    /// something.
    pub(super) fn described(operation: &Value) -> Self {
        match operation[ANSWERED_BY].as_str() {
            Some("any") => Self::Any,
            Some("current") => Self::Current,
            Some("current-unless-certified") => Self::CurrentUnlessCertified,
            Some("leader") => Self::Leader,
            _ => Self::LeaderWrites,
        }
    }

    /// Whether the body of a request has to be looked at as well.
    pub(super) fn depends_on_body(self) -> bool {
        self == Self::CurrentUnlessCertified
    }

    /// What is done with a request of this query and this body, which is empty where nothing depends on it.
    pub(super) fn turn(self, query: Option<&str>, body: &[u8]) -> Turn {
        match self {
            Self::CurrentUnlessCertified if asks_for_certified(query, body) => {
                Turn::Leader { writes: false }
            }
            Self::CurrentUnlessCertified => Turn::Current,
            Self::Any => Turn::Any,
            Self::CurrentUnless(name) if has(query, name) => Turn::Leader { writes: true },
            Self::Current | Self::CurrentUnless(_) => Turn::Current,
            Self::Leader => Turn::Leader { writes: false },
            Self::LeaderWrites => Turn::Leader { writes: true },
        }
    }
}

fn asks_for_certified(query: Option<&str>, body: &[u8]) -> bool {
    let pairs = query.unwrap_or_default().split('&');
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    let is = |raw: &str, text: &str| decode(raw).as_deref() == Some(text);
    pairs.any(|(name, value)| is(name, "as_of") && is(value, "certified"))
        || !body.is_empty() && says_certified(body)
}

/// What is no such body is refused wherever it is read.
fn says_certified(body: &[u8]) -> bool {
    let said = serde_json::from_slice::<AsOf>(body);
    said.is_ok_and(|said| said.as_of.as_deref() == Some("certified"))
}

/// What a body may say of the version.
#[derive(Deserialize)]
struct AsOf {
    as_of: Option<String>,
}

fn has(query: Option<&str>, name: &str) -> bool {
    let pairs = query.unwrap_or_default().split('&');
    let mut names = pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    names.any(|given| given == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_that_does_not_say_who_answers_is_the_leaders() {
        for (said, answered_by) in [
            (json!({ANSWERED_BY: "any"}), AnsweredBy::Any),
            (json!({ANSWERED_BY: "current"}), AnsweredBy::Current),
            (json!({ANSWERED_BY: "leader"}), AnsweredBy::Leader),
            (
                json!({ANSWERED_BY: "leader-writes"}),
                AnsweredBy::LeaderWrites,
            ),
            (json!({ANSWERED_BY: "anybody"}), AnsweredBy::LeaderWrites),
            (json!({}), AnsweredBy::LeaderWrites),
        ] {
            assert_eq!(AnsweredBy::described(&said), answered_by, "{said}");
        }
    }

    #[test]
    fn the_certified_version_is_the_leaders() {
        let leaders = Turn::Leader { writes: false };
        for (query, body, turn) in [
            (None, "", Turn::Current),
            (Some("user=a&as_of=live"), "", Turn::Current),
            (Some("user=a&as_of=certified"), "", leaders),
            (Some("as_of=certifi%65d"), "", leaders),
            (
                None,
                r#"{"user":"certified","as_of":"live"}"#,
                Turn::Current,
            ),
            (None, r#"{"as_of":"certified","user":"a"}"#, leaders),
            (None, r#"{"as_of":"certified""#, Turn::Current),
        ] {
            let answered_by = AnsweredBy::CurrentUnlessCertified;
            let told = answered_by.turn(query, body.as_bytes());
            assert_eq!(told, turn, "{query:?} {body}");
        }
    }

    #[test]
    fn a_parameter_may_make_a_question_a_write() {
        let answered_by = AnsweredBy::CurrentUnless("write-back-type");
        for (query, turn) in [
            (None, Turn::Current),
            (Some("n=3&write-back-delay=1m"), Turn::Current),
            (Some("a=write-back-type"), Turn::Current),
            (
                Some("n=3&write-back-type=read"),
                Turn::Leader { writes: true },
            ),
            (Some("write-back-type"), Turn::Leader { writes: true }),
        ] {
            assert_eq!(answered_by.turn(query, b""), turn, "{query:?}");
        }
    }
}
