//! The layers of a node among several: what it answers itself, and what it sends on to the leader.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::counter;
use tokio::time::{Instant, timeout_at};
use tower_http::set_header::SetResponseHeaderLayer;

use super::answered_by::Turn;
use super::caller::Caller;
use super::forwarding::{NOT_LEADING, Outgoing, passed_on};
use super::gate;
use super::membership::{ForwardError, Leader, Membership};
use super::metric_names::CLUSTER_FORWARDED_TOTAL;
use super::problem::{INTERNAL, Problem, ROUTE_NOT_FOUND};
use super::routes::{Needs, Routes};
use recant_service::ServiceError;

/// On every answer: the node that made it.
const NODE: HeaderName = HeaderName::from_static("recant-node");

/// Pause before a leader that was not reached is called again.
const AGAIN: Duration = Duration::from_millis(100);

/// A node among several. Cloning shares it.
#[derive(Clone)]
pub(super) struct Node {
    membership: Arc<dyn Membership>,
    routes: Routes,
    name: HeaderValue,
    /// Whether its calls were sent on by another node; such a one goes no further.
    is_forwarded: bool,
}

impl Node {
    /// The node that `membership` speaks of, for the calls of a table.
    pub(super) fn new(membership: Arc<dyn Membership>, routes: Routes, is_forwarded: bool) -> Self {
        let name = HeaderValue::try_from(membership.standing().node);
        Self {
            membership,
            routes,
            name: name.unwrap_or_else(|_| HeaderValue::from_static("unnamed")),
            is_forwarded,
        }
    }

    /// Answers a call that is the leader's, or has the leader answer it.
    async fn lead(&self, request: Request, next: Next, needs: Needs, writes: bool) -> Response {
        if self.membership.leader() == Leader::Here {
            return self.answer(request, next, writes).await;
        }
        if self.is_forwarded {
            return self.not_leading();
        }
        let (parts, body) = request.into_parts();
        let body = match in_memory(body).await {
            Ok(body) => body,
            Err(problem) => return problem.into_response(),
        };
        let caller = parts.extensions.get().cloned();
        let caller = caller.unwrap_or_else(Caller::nobody);
        let call = Outgoing::new(&parts, body.clone(), &self.name, &caller, needs);
        match self.seek(&call, writes).await {
            Sought::Answered(response) => passed_on(response),
            Sought::Here => {
                let request = Request::from_parts(parts, Body::from(body));
                self.answer(request, next, writes).await
            }
            Sought::Open => {
                gate::refused("leadership_lost");
                Problem::from(ServiceError::LeadershipLost).into_response()
            }
            Sought::Nobody => {
                gate::refused("no_leader");
                Problem::from(ServiceError::NoLeader).into_response()
            }
        }
    }

    /// Answers as the leader. What a write came to is told whatever has become of the node meanwhile: it is
    /// true, and a refusal would say that nothing was done.
    async fn answer(&self, request: Request, next: Next, writes: bool) -> Response {
        if writes {
            next.run(request).await
        } else {
            gate::answer(&self.membership, request, next).await
        }
    }

    /// Finds the leader and has it answer, for as long as a call is held.
    async fn seek(&self, call: &Outgoing, writes: bool) -> Sought {
        let until = Instant::now() + self.membership.patience();
        loop {
            // Before the question, so that no change is missed.
            let changed = self.membership.leader_changed();
            let pause = match self.membership.leader() {
                Leader::Here => return Sought::Here,
                Leader::Unknown => None,
                Leader::At(leader) => match self.send(leader, call).await {
                    Ok(response) => return Sought::Answered(response),
                    Err(ForwardError::Unanswered) if writes => return Sought::Open,
                    Err(_) => Some(AGAIN),
                },
            };
            let waited = async {
                match pause {
                    None => changed.await,
                    Some(pause) => {
                        let _ = tokio::time::timeout(pause, changed).await;
                    }
                }
            };
            if timeout_at(until, waited).await.is_err() {
                return Sought::Nobody;
            }
        }
    }

    async fn send(&self, leader: String, call: &Outgoing) -> Result<Response, ForwardError> {
        let sent = self.membership.forward(leader, call.request()).await;
        let is_led = |response: &Response| !response.headers().contains_key(NOT_LEADING);
        let sent = sent.and_then(|response| {
            let led = Some(response).filter(is_led);
            led.ok_or(ForwardError::NotSent)
        });
        let outcome = match &sent {
            Ok(_) => "answered",
            Err(ForwardError::NotSent) => "not_sent",
            Err(ForwardError::Unanswered) => "unanswered",
        };
        counter!(CLUSTER_FORWARDED_TOTAL, "outcome" => outcome).increment(1);
        sent
    }

    fn not_leading(&self) -> Response {
        let mut response = Problem::from(ServiceError::NoLeader).into_response();
        let headers = response.headers_mut();
        headers.insert(NOT_LEADING, self.name.clone());
        response
    }
}

/// What came of the search for the leader.
enum Sought {
    /// Its answer.
    Answered(Response),
    /// It is this node.
    Here,
    /// It was sent the call and did not answer.
    Open,
    /// There was none in time.
    Nobody,
}

/// Middleware around every call but those of whoever runs the service: answers it here, or has the leader
/// answer it.
pub(super) async fn answer_or_forward(
    State(node): State<Node>,
    request: Request,
    next: Next,
) -> Response {
    let template = request.extensions().get::<MatchedPath>();
    let route = template.and_then(|path| node.routes.find(request.method(), path.as_str()));
    let Some(route) = route else {
        // The method is not known there, which the next one says.
        return next.run(request).await;
    };
    let needs = route.needs;
    let answered_by = route.answered_by;
    let (request, body) = if answered_by.depends_on_body() && !request.body().is_end_stream() {
        let (parts, body) = request.into_parts();
        match in_memory(body).await {
            Ok(body) => (Request::from_parts(parts, Body::from(body.clone())), body),
            Err(problem) => return problem.into_response(),
        }
    } else {
        (request, Bytes::new())
    };
    let turn = answered_by.turn(request.uri().query(), &body);
    if node.is_forwarded && !matches!(turn, Turn::Leader { .. }) {
        let detail = "nodes send on what is the leader's, and nothing else";
        return Problem::new(&ROUTE_NOT_FOUND, detail).into_response();
    }
    match turn {
        Turn::Any => next.run(request).await,
        Turn::Current => gate::answer(&node.membership, request, next).await,
        Turn::Leader { writes } => node.lead(request, next, needs, writes).await,
    }
}

/// The body of a request, which was read before: it is in memory, within its limits.
async fn in_memory(body: Body) -> Result<Bytes, Problem> {
    let body = to_bytes(body, usize::MAX).await;
    body.map_err(|_| Problem::new(&INTERNAL, "repeat the request; the log says more"))
}

/// The layer around everything: says on each answer which node made it, unless another said so.
pub(super) fn naming(node: &Node) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(NODE, node.name.clone())
}
