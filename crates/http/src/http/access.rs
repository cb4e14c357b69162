//! Who is let in: API keys and their roles, or, without any key, callers on this machine.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::{FORBIDDEN, ORIGIN_NOT_ALLOWED, Problem, UNAUTHENTICATED};
use super::routes::{Needs, Routes};
use crate::config::{AccessSettings, Role};

/// One API key, known by its digest.
struct Key {
    digest: [u8; 32],
    roles: HashSet<Role>,
}

/// The keys there are. Made once from checked settings, shared by all requests.
#[derive(Clone)]
pub(super) struct AccessPolicy {
    keys: Arc<[Key]>,
    routes: Routes,
}

impl AccessPolicy {
    /// The policy of `settings`, which were checked before, for the calls of a table.
    pub(super) fn new(settings: &AccessSettings, routes: Routes) -> Self {
        let keys = settings.keys.iter().map(|key| Key {
            digest: key.digest().expect("digests were checked on loading"),
            roles: key.roles.iter().copied().collect(),
        });
        Self {
            keys: keys.collect(),
            routes,
        }
    }

    /// Lets a request through when its key has the role that the call needs.
    fn authorise(&self, headers: &HeaderMap, needs: Needs) -> Result<(), Problem> {
        if self.keys.is_empty() {
            return require_local(headers);
        }
        let Needs::Role(role) = needs else {
            return Ok(());
        };
        let roles = self.roles_of(headers).ok_or_else(unauthenticated)?;
        if roles.contains(&role) || roles.contains(&Role::Admin) {
            return Ok(());
        }
        Err(forbidden(role))
    }

    /// The roles of the key in `Authorization: Bearer`, if it is one of ours. Every digest is
    /// compared, each in constant time, so the time taken tells nothing about them.
    fn roles_of(&self, headers: &HeaderMap) -> Option<&HashSet<Role>> {
        let digest = Sha256::digest(bearer(headers)?.as_bytes());
        let mut found = None;
        for key in self.keys.iter() {
            if bool::from(key.digest.ct_eq(digest.as_slice())) {
                found = Some(&key.roles);
            }
        }
        found
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unauthenticated() -> Problem {
    Problem::new(
        &UNAUTHENTICATED,
        "send the header Authorization: Bearer <key> with a key of this service",
    )
    .header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"recant\""),
    )
}

fn forbidden(role: Role) -> Problem {
    let name = role.as_str();
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{name}\"");
    let challenge = HeaderValue::try_from(challenge).expect("role names are plain");
    let detail = format!("take a key with the role {name} or admin");
    Problem::new(&FORBIDDEN, detail).header(WWW_AUTHENTICATE, challenge)
}

/// Without keys the loopback address is the only guard, and a browser on this machine reaches it
/// for any page it shows: one that renamed its own host to 127.0.0.1, or one that just posts here.
/// Both give themselves away by `Host` or `Origin`.
fn require_local(headers: &HeaderMap) -> Result<(), Problem> {
    let host_is_local = match headers.get(HOST) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|host| {
            let authority = host.parse::<Authority>();
            authority.is_ok_and(|authority| is_local(authority.host()))
        }),
    };
    let origin_is_local = match headers.get(ORIGIN) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|origin| {
            let uri = origin.parse::<Uri>();
            uri.is_ok_and(|uri| uri.host().is_some_and(is_local))
        }),
    };
    if host_is_local && origin_is_local {
        return Ok(());
    }
    let detail = "call it by localhost, 127.0.0.1 or [::1], not from another site's page, or \
                  configure API keys";
    Err(Problem::new(&ORIGIN_NOT_ALLOWED, detail))
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Middleware: refuses calls that the policy does not allow.
pub(super) async fn check_access(
    State(policy): State<AccessPolicy>,
    request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let needs = matched.and_then(|path| policy.routes.needs(request.method(), path.as_str()));
    // What is in no table still may not be called from another site's page; it ends in 404 or 405.
    let needs = needs.unwrap_or(Needs::Nothing);
    match policy.authorise(request.headers(), needs) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KeySettings;

    fn policy(keys: &[(&str, &[Role])]) -> AccessPolicy {
        let keys = keys.iter().map(|(key, roles)| KeySettings {
            name: format!("key of {} roles", roles.len()),
            sha256: format!("{:x}", Sha256::digest(key.as_bytes())),
            roles: roles.to_vec(),
        });
        let settings = AccessSettings {
            keys: keys.collect(),
        };
        AccessPolicy::new(&settings, Routes::described(&serde_json::Value::Null))
    }

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let parse = |value: &str| value.parse().expect("a header value");
        let pairs = pairs.iter();
        pairs.map(|(name, v)| (name.clone(), parse(v))).collect()
    }

    fn code(result: Result<(), Problem>) -> &'static str {
        result.map_or_else(|problem| problem.parts().0, |()| "ok")
    }

    #[test]
    fn a_key_opens_what_its_roles_allow() {
        let policy = policy(&[("r", &[Role::Read]), ("a", &[Role::Admin])]);
        let call = |authorization, role| {
            let headers = headers(&[(AUTHORIZATION, authorization)]);
            code(policy.authorise(&headers, Needs::Role(role)))
        };
        assert_eq!(call("Bearer r", Role::Read), "ok");
        assert_eq!(call("bearer r", Role::Read), "ok");
        assert_eq!(call("Bearer r", Role::Erase), "forbidden");
        assert_eq!(call("Bearer a", Role::Erase), "ok");
        for nobody in ["Bearer x", "Bearer ", "Basic r", "r", "Bearer r r"] {
            assert_eq!(call(nobody, Role::Read), "unauthenticated", "{nobody}");
        }
        let none = policy.authorise(&HeaderMap::new(), Needs::Nothing);
        assert_eq!(code(none), "ok");
    }

    #[test]
    fn without_keys_only_local_names_and_pages_are_served() {
        let policy = policy(&[]);
        let call = |pairs: &[_]| {
            let headers = headers(pairs);
            code(policy.authorise(&headers, Needs::Role(Role::Erase)))
        };
        for host in ["localhost:8080", "127.0.0.1", "[::1]:80", "LOCALHOST"] {
            assert_eq!(call(&[(HOST, host)]), "ok", "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80"] {
            assert_eq!(call(&[(HOST, host)]), "origin_not_allowed", "{host}");
        }
        assert_eq!(call(&[(ORIGIN, "http://localhost:3000")]), "ok");
        for origin in ["https://evil.example", "null"] {
            assert_eq!(call(&[(ORIGIN, origin)]), "origin_not_allowed", "{origin}");
        }
    }
}
