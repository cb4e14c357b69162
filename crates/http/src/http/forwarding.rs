//! The way of a call to the node that leads: who sends it on, in whose name, and what of it is left out.
//!
//! The node that a caller reaches checks the key and the role; the leader believes it. So a call is sent on
//! to an address where nodes alone are let in, and says there who it is for. The address for callers knows
//! none of these headers: what somebody sends by their names is left out.

use axum::body::{Body, Bytes};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::caller::{Caller, X_API_KEY};
use super::problem::{INVALID_HEADER, InPlainText, Problem};
use super::routes::Needs;
use crate::config::Role;

/// The node that sends a call on.
pub(super) const FORWARDED_BY: HeaderName = HeaderName::from_static("recant-forwarded-by");

/// Whom it is sent on for.
const CALLER: HeaderName = HeaderName::from_static("recant-caller");

/// On the answer of a node that was sent a call and does not lead: it did nothing.
pub(super) const NOT_LEADING: HeaderName = HeaderName::from_static("recant-not-leading");

/// Headers of one connection, which say nothing on the next.
const OF_A_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whom a call is sent on for, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    roles: Vec<Role>,
}

/// A call on its way to another node. Its body is in memory, so it can be sent more than once.
pub(super) struct Outgoing {
    head: Parts,
    body: Bytes,
}

impl Outgoing {
    /// The call as `node` sends it on for `caller`.
    pub(super) fn new(
        parts: &Parts,
        body: Bytes,
        node: &HeaderValue,
        caller: &Caller,
        needs: Needs,
    ) -> Self {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = parts.method.clone();
        head.uri = without_host(&parts.uri);
        head.headers = parts.headers.clone();
        strip(&mut head.headers);
        // How long the body is now, and that it comes at once, is for the sender to say.
        for name in [CONTENT_LENGTH, EXPECT, FORWARDED_BY, CALLER, NOT_LEADING] {
            head.headers.remove(name);
        }
        // The key was looked at here, and need not be shown again. Other tokens are the callee's to check.
        if needs != Needs::Nothing {
            head.headers.remove(AUTHORIZATION);
            head.headers.remove(X_API_KEY);
        }
        head.headers.insert(FORWARDED_BY, node.clone());
        head.headers.insert(CALLER, written(caller));
        Self { head, body }
    }

    /// The request.
    pub(super) fn request(&self) -> Request<Body> {
        Request::from_parts(self.head.clone(), Body::from(self.body.clone()))
    }
}

/// An answer of another node, as it goes on to the caller. What it says stays, whatever its status.
pub(super) fn passed_on(mut response: Response<Body>) -> Response<Body> {
    strip(response.headers_mut());
    response.extensions_mut().insert(InPlainText);
    response
}

/// For whom a call came that another node sent on.
pub(super) fn caller_of(headers: &HeaderMap) -> Result<Caller, Problem> {
    let name = one(headers, &FORWARDED_BY).and_then(|_| one(headers, &CALLER));
    let name = name.and_then(|name| URL_SAFE_NO_PAD.decode(name.as_bytes()).ok());
    let name = name.and_then(|name| serde_json::from_slice::<Name>(&name).ok());
    name.map(|name| Caller::with_roles(name.name.as_deref(), &name.roles))
        .ok_or_else(|| {
            let detail = "nodes alone call here, and say who sends a call on and whom it is for";
            Problem::new(&INVALID_HEADER, detail)
        })
}

fn written(caller: &Caller) -> HeaderValue {
    let name = Name {
        name: caller.requester(),
        roles: caller.roles(),
    };
    let name = serde_json::to_vec(&name).expect("texts");
    HeaderValue::try_from(URL_SAFE_NO_PAD.encode(name)).expect("letters and digits")
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn without_host(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    path.map(Uri::from).unwrap_or_default()
}

/// Takes out what is of one connection, and what `Connection` says is.
fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter();
    let named: Vec<HeaderName> = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in OF_A_CONNECTION.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[(&str, &str)], needs: Needs) -> HeaderMap {
        let mut request = Request::post("http://recant.example/erasures?a=b");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let caller = Caller::with_roles(Some("shop é"), &[Role::Erase]);
        let node = HeaderValue::from_static("n2");
        let outgoing = Outgoing::new(&parts, Bytes::from_static(b"{}"), &node, &caller, needs);
        let request = outgoing.request();
        assert_eq!(request.uri(), "/erasures?a=b");
        assert_eq!(request.method(), "POST");
        request.headers().clone()
    }

    #[test]
    fn the_leader_is_told_who_calls_and_not_by_which_key() {
        let headers = sent(
            &[
                ("authorization", "Bearer needle"),
                ("x-api-key", "needle"),
                ("idempotency-key", "k"),
                ("prefer", "wait=3"),
                ("host", "recant.example"),
            ],
            Needs::Role(Role::Erase),
        );
        assert!(!format!("{headers:?}").contains("needle"));
        for kept in ["idempotency-key", "prefer", "host"] {
            assert!(headers.contains_key(kept), "{kept}");
        }
        assert_eq!(headers[FORWARDED_BY], "n2");
        let caller = caller_of(&headers).expect("whole");
        assert_eq!(caller.requester().as_deref(), Some("shop é"));
        assert!(caller.has(Role::Erase) && !caller.has(Role::Admin) && !caller.may_write());
    }

    #[test]
    fn a_token_that_is_no_key_goes_on() {
        let headers = sent(&[("authorization", "Bearer token")], Needs::Nothing);
        assert_eq!(headers[AUTHORIZATION], "Bearer token");
    }

    #[test]
    fn what_a_caller_says_of_itself_is_left_out() {
        let admin = URL_SAFE_NO_PAD.encode(br#"{"name":"boss","roles":["admin"]}"#);
        let forged = [
            ("recant-caller", admin.as_str()),
            ("recant-caller", admin.as_str()),
            ("recant-forwarded-by", "n9"),
            ("recant-not-leading", "1"),
            ("connection", "close, x-secret"),
            ("x-secret", "a"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
        ];
        let headers = sent(&forged, Needs::Role(Role::Erase));
        let caller = caller_of(&headers).expect("whole");
        assert_eq!(caller.requester().as_deref(), Some("shop é"));
        assert_eq!(headers[FORWARDED_BY], "n2");
        assert_eq!(headers.len(), 2, "{headers:?}");
    }

    #[test]
    fn a_call_without_a_whole_name_is_no_nodes() {
        let mut headers = HeaderMap::new();
        let refused = |headers: &HeaderMap| caller_of(headers).is_err();
        assert!(refused(&headers));
        headers.insert(FORWARDED_BY, HeaderValue::from_static("n2"));
        assert!(refused(&headers));
        for bad in ["", "%", "e30", "bnVsbA"] {
            headers.insert(CALLER, HeaderValue::try_from(bad).expect("a value"));
            assert!(refused(&headers), "{bad}");
        }
        let good = written(&Caller::nobody());
        headers.insert(CALLER, good.clone());
        assert!(caller_of(&headers).is_ok_and(|caller| caller == Caller::nobody()));
        headers.append(CALLER, good);
        assert!(refused(&headers), "twice");
    }
}
