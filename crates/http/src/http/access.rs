//! Who is let in, and how often: API keys and their roles, or, without any key, callers on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::counter;
use sha2::{Digest, Sha256};

use super::caller::{Caller, X_API_KEY};
use super::forwarding::caller_of;
use super::metric_names::HTTP_RATE_LIMITED_TOTAL;
use super::problem::{
    FORBIDDEN, INVALID_HEADER, ORIGIN_NOT_ALLOWED, Problem, RATE_LIMITED, UNAUTHENTICATED,
};
use super::routes::{Needs, Route, Routes};
use super::shares;
use crate::api_keys::{ApiKeys, Charge, Key, KeyTable};
use crate::config::Role;

/// What a request is, for whoever decides about it.
#[derive(Debug, Clone, Copy)]
struct Call {
    needs: Needs,
    charge: Charge,
    /// Whom it comes from ([`shares::owner`]).
    from: IpAddr,
}

impl Call {
    /// The call of a route. What is in no table still may not be called from another site's page; it
    /// ends in 404 or 405.
    fn of(route: Option<&Route>, from: IpAddr) -> Self {
        Self {
            needs: route.map_or(Needs::Nothing, |route| route.needs),
            charge: route.map_or(Charge::Usual, Route::charge),
            from,
        }
    }
}

/// The keys there are, and what each call takes. Shared by all requests.
#[derive(Clone)]
pub(super) struct AccessPolicy {
    keys: ApiKeys,
    routes: Routes,
    /// Whether requests come by TLS to this server itself.
    by_tls: bool,
}

impl AccessPolicy {
    /// The policy of `keys` for the calls of a table, which come by TLS or not.
    pub(super) fn new(keys: &ApiKeys, routes: Routes, by_tls: bool) -> Self {
        Self {
            keys: keys.clone(),
            routes,
            by_tls,
        }
    }

    /// Lets a request through when its key has the role that the call needs, and has not sent more than
    /// it may. What comes without a key of ours is taken from the allowance of its address, so that a
    /// stranger uses up nobody's.
    fn authorise(&self, headers: &HeaderMap, call: Call) -> Result<Caller, Problem> {
        let table = self.keys.current();
        let take_of_address = || {
            let taken = self.keys.take_of_address(call.from, call.charge);
            taken.map_err(|wait| rate_limited(call.charge, wait))
        };
        if !table.is_keyed() {
            require_local(headers, call.needs, self.by_tls)?;
            return take_of_address().map(|()| Caller::nobody());
        }
        let Needs::Role(role) = call.needs else {
            return take_of_address().map(|()| Caller::nobody());
        };
        let Some(key) = key_of(headers, &table) else {
            return take_of_address().and_then(|()| Err(unauthenticated()));
        };
        let taken = key.take(call.charge);
        taken.map_err(|wait| rate_limited(call.charge, wait))?;
        if !key.has(role) {
            return Err(forbidden(role));
        }
        Ok(Caller::of(&key.name, |role| key.has(role)))
    }
}

impl AccessPolicy {
    /// Lets a call through that another node sent on, when whoever it is for may make it. Their key was looked
    /// at there; it is taken from here too, where there is one of that name, for here all of its calls meet.
    fn authorise_forwarded(&self, caller: &Caller, call: Call) -> Result<(), Problem> {
        if let Some(name) = &caller.name {
            let table = self.keys.current();
            let taken = table
                .named(name)
                .map_or(Ok(()), |key| key.take(call.charge));
            taken.map_err(|wait| rate_limited(call.charge, wait))?;
        }
        match call.needs {
            Needs::Role(role) if !caller.has(role) => Err(forbidden(role)),
            _ => Ok(()),
        }
    }
}

/// The key in `Authorization: Bearer` or else in `X-API-Key`, if it is one of ours.
fn key_of<'t>(headers: &HeaderMap, table: &'t KeyTable) -> Option<&'t Key> {
    let text = bearer(headers).or_else(|| plain_key(headers))?;
    table.find(Sha256::digest(text.as_bytes()).as_slice())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The key as clients of gorse send it.
fn plain_key(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get(X_API_KEY)?.to_str().ok()?.trim();
    (!key.is_empty()).then_some(key)
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

/// The answer to a caller whose allowance is used up for so long.
fn rate_limited(charge: Charge, wait: Duration) -> Problem {
    counter!(HTTP_RATE_LIMITED_TOTAL, "allowance" => charge.as_str()).increment(1);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let detail = "the allowance is used up: come back after as many seconds as Retry-After says, and \
                  send less often";
    Problem::new(&RATE_LIMITED, detail).retry_after_seconds(seconds.max(1))
}

/// The answer to a key that lacks a role.
pub(super) fn forbidden(role: Role) -> Problem {
    let name = role.as_str();
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{name}\"");
    let challenge = HeaderValue::try_from(challenge).expect("role names are plain");
    let detail = format!("take a key with the role {name} or admin");
    Problem::new(&FORBIDDEN, detail).header(WWW_AUTHENTICATE, challenge)
}

/// Refuses a request that does not say once which host it is for (RFC 9112, section 3.2): what
/// guards the service and what stands before it may not read different ones.
fn require_one_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => Ok(()),
        (None, _) if version <= Version::HTTP_10 => Ok(()),
        _ => Err(Problem::new(&INVALID_HEADER, "Host: send it once")),
    }
}

/// Without keys the loopback address is the only guard, and a browser on this machine reaches it
/// for any page it shows: one that renamed its own host to 127.0.0.1, or one that just posts here,
/// another program's page on this machine included. They give themselves away by `Host`, `Origin`
/// or `Sec-Fetch-Site`.
fn require_local(headers: &HeaderMap, needs: Needs, by_tls: bool) -> Result<(), Problem> {
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
            let origin = origin.parse::<Uri>();
            origin.is_ok_and(|origin| is_own(&origin, headers, by_tls))
        }),
    };
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let site_is_own = matches!(site, None | Some(b"same-origin" | b"none"));
    if host_is_local && origin_is_local && (site_is_own || needs == Needs::Nothing) {
        return Ok(());
    }
    let detail = "call it by localhost, 127.0.0.1 or [::1], not from another site's page, or \
                  configure API keys";
    Err(Problem::new(&ORIGIN_NOT_ALLOWED, detail))
}

/// Whether a page comes from this server: from the host and port that the request is for. A port that
/// is not written depends on the scheme, so behind TLS a page of another scheme is another program's;
/// without, the scheme may be that of a proxy in front.
fn is_own(origin: &Uri, headers: &HeaderMap, by_tls: bool) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same = |own: &Authority| host.is_some_and(|host| host.eq_ignore_ascii_case(own.as_str()));
    (!by_tls || origin.scheme_str() == Some("https")) && origin.authority().is_some_and(same)
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whom a request comes from. What comes over no connection, in tests, is all of one origin.
fn origin_of(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip());
    shares::owner(peer)
}

/// Middleware: refuses calls that the policy does not allow.
pub(super) async fn check_access(
    State(policy): State<AccessPolicy>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = require_one_host(request.version(), request.headers()) {
        return problem.into_response();
    }
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.and_then(|path| policy.routes.find(request.method(), path.as_str()));
    let call = Call::of(route, origin_of(&request));
    match policy.authorise(request.headers(), call) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Middleware in front of calls that other nodes send on: believes them about who calls.
pub(super) async fn check_forwarded(
    State(policy): State<AccessPolicy>,
    mut request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.and_then(|path| policy.routes.find(request.method(), path.as_str()));
    let call = Call::of(route, origin_of(&request));
    let caller = caller_of(request.headers()).and_then(|caller| {
        policy.authorise_forwarded(&caller, call)?;
        Ok(caller)
    });
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;
    use crate::config::{KeySettings, Settings};

    fn policy(keys: &[(&str, &[Role])]) -> AccessPolicy {
        let keys = keys.iter().map(|(key, roles)| KeySettings {
            name: format!("key of {} roles", roles.len()),
            sha256: format!("{:x}", Sha256::digest(key.as_bytes())),
            roles: roles.to_vec(),
            requests_per_second_max: None,
        });
        let mut settings = Settings::default();
        settings.access.keys = keys.collect();
        let keys = ApiKeys::open(&settings).expect("no file");
        AccessPolicy::new(&keys, Routes::described(&serde_json::Value::Null), false)
    }

    fn call_of(needs: Needs) -> Call {
        Call {
            needs,
            charge: Charge::Usual,
            from: Ipv4Addr::LOCALHOST.into(),
        }
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let parse = |value: &str| value.parse().expect("a header value");
        let pairs = pairs.iter();
        pairs.map(|(name, v)| (name.clone(), parse(v))).collect()
    }

    fn code(result: Result<Caller, Problem>) -> &'static str {
        result.map_or_else(|problem| problem.parts().0, |_| "ok")
    }

    #[test]
    fn a_key_opens_what_its_roles_allow() {
        let policy = policy(&[("r", &[Role::Read]), ("a", &[Role::Admin])]);
        let call = |authorization, role| {
            let headers = headers(&[(AUTHORIZATION, authorization)]);
            code(policy.authorise(&headers, call_of(Needs::Role(role))))
        };
        assert_eq!(call("Bearer r", Role::Read), "ok");
        assert_eq!(call("bearer r", Role::Read), "ok");
        assert_eq!(call("Bearer r", Role::Erase), "forbidden");
        assert_eq!(call("Bearer a", Role::Erase), "ok");
        for nobody in ["Bearer x", "Bearer ", "Basic r", "r", "Bearer r r"] {
            assert_eq!(call(nobody, Role::Read), "unauthenticated", "{nobody}");
        }
        let by_header = |key, role| {
            let headers = headers(&[(X_API_KEY, key)]);
            policy.authorise(&headers, call_of(Needs::Role(role)))
        };
        assert!(by_header("r", Role::Read).is_ok_and(|caller| !caller.may_write()));
        assert!(by_header("a", Role::Read).is_ok_and(|caller| caller.may_write()));
        assert_eq!(code(by_header("r", Role::Erase)), "forbidden");
        for nobody in ["x", "", "Bearer r"] {
            assert_eq!(code(by_header(nobody, Role::Read)), "unauthenticated");
        }
        let none = policy.authorise(&HeaderMap::new(), call_of(Needs::Nothing));
        assert_eq!(code(none), "ok");
    }

    #[test]
    fn without_keys_only_local_names_and_pages_are_served() {
        let policy = policy(&[]);
        let call = |pairs: &[_]| {
            let headers = headers(pairs);
            code(policy.authorise(&headers, call_of(Needs::Role(Role::Erase))))
        };
        for host in ["localhost:8080", "127.0.0.1", "[::1]:80", "LOCALHOST"] {
            assert_eq!(call(&[(HOST, host)]), "ok", "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80"] {
            assert_eq!(call(&[(HOST, host)]), "origin_not_allowed", "{host}");
        }
        let page = |origin| call(&[(HOST, "localhost:8080"), (ORIGIN, origin)]);
        assert_eq!(page("http://localhost:8080"), "ok");
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
        ] {
            assert_eq!(page(origin), "origin_not_allowed", "{origin}");
        }
        let by_tls = AccessPolicy {
            by_tls: true,
            ..policy.clone()
        };
        for (host, origin, code_by_tls) in [
            ("localhost:8443", "https://localhost:8443", "ok"),
            ("localhost", "https://localhost", "ok"),
            ("localhost", "http://localhost", "origin_not_allowed"),
            ("localhost:8443", "null", "origin_not_allowed"),
        ] {
            let headers = headers(&[(HOST, host), (ORIGIN, origin)]);
            let answer = by_tls.authorise(&headers, call_of(Needs::Role(Role::Erase)));
            assert_eq!(code(answer), code_by_tls, "{origin}");
        }
        let site = HeaderName::from_static("sec-fetch-site");
        let fetched = |how| call(&[(HOST, "localhost:8080"), (site.clone(), how)]);
        for (how, code) in [
            ("same-origin", "ok"),
            ("none", "ok"),
            ("same-site", "origin_not_allowed"),
            ("cross-site", "origin_not_allowed"),
        ] {
            assert_eq!(fetched(how), code, "{how}");
        }
    }
}
