//! Readers are answered by a node only while it may answer: asked before the answer is begun, again when it
//! was made, and of an answer that comes in pieces again for each.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::Response as AnyResponse;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use metrics::counter;

use super::membership::Membership;
use super::metric_names::CLUSTER_REFUSED_TOTAL;
use super::problem::Problem;

/// Why the rest of an answer does not come.
#[derive(Debug, thiserror::Error)]
#[error("the node may answer no more")]
struct Over;

/// The answer that `next` makes, if readers may be given it.
pub(super) async fn answer(
    membership: &Arc<dyn Membership>,
    request: Request,
    next: Next,
) -> Response {
    if !membership.may_answer() {
        return not_current();
    }
    let response = next.run(request).await;
    if !membership.may_answer() {
        return not_current();
    }
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    in_pieces(Arc::clone(membership), response)
}

/// What was begun and may not be gone on with ends as a connection does that breaks: there is no other way
/// to take an answer back.
fn in_pieces(membership: Arc<dyn Membership>, response: AnyResponse<Body>) -> Response {
    let (parts, body) = response.into_parts();
    let pieces = body.into_data_stream().map(move |piece| {
        if membership.may_answer() {
            piece
        } else {
            refused("not_current");
            Err(axum::Error::new(Over))
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

fn not_current() -> Response {
    refused("not_current");
    Problem::not_current().into_response()
}

/// Counts a call that was turned away because of how the nodes stand.
pub(super) fn refused(code: &'static str) {
    counter!(CLUSTER_REFUSED_TOTAL, "code" => code).increment(1);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::Router;
    use axum::body::{Bytes, to_bytes};
    use axum::extract::State;
    use axum::http::{Request as AnyRequest, StatusCode};
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use futures_util::future::BoxFuture;
    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;
    use crate::http::membership::{ForwardError, Leader, NodeRole, Standing};

    /// A node that may answer until it may not.
    #[derive(Default)]
    struct Lease(AtomicBool);

    impl Membership for Lease {
        fn may_answer(&self) -> bool {
            !self.0.load(Ordering::SeqCst)
        }

        fn leader(&self) -> Leader {
            Leader::Unknown
        }

        fn standing(&self) -> Standing {
            Standing {
                role: NodeRole::Replica,
                node: String::from("n1"),
                term: 1,
                entries_behind: 0,
                why: None,
                nodes: Vec::new(),
            }
        }

        fn leader_changed(&self) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }

        fn forward(
            &self,
            _to: String,
            _request: AnyRequest<Body>,
        ) -> BoxFuture<'static, Result<AnyResponse<Body>, ForwardError>> {
            Box::pin(std::future::ready(Err(ForwardError::NotSent)))
        }
    }

    async fn at_gate(
        State(membership): State<Arc<dyn Membership>>,
        request: Request,
        next: Next,
    ) -> Response {
        answer(&membership, request, next).await
    }

    /// An answer in four pieces; the lease ends while the piece of this number is made.
    async fn pieces(ends_at: usize) -> (StatusCode, Result<Bytes, axum::Error>) {
        let lease = Arc::new(Lease::default());
        let membership: Arc<dyn Membership> = lease.clone();
        let handler = move || async move {
            let piece = move |number: usize| {
                if number == ends_at {
                    lease.0.store(true, Ordering::SeqCst);
                }
                Ok::<_, Infallible>(number.to_string())
            };
            Body::from_stream(stream::iter(1..=4).map(piece))
        };
        let routes = Router::new().route("/", get(handler));
        let routes = routes.layer(from_fn_with_state(membership, at_gate));
        let request = AnyRequest::get("/").body(Body::empty()).expect("a request");
        let response = routes.oneshot(request).await.expect("a router never fails");
        let status = response.status();
        (status, to_bytes(response.into_body(), usize::MAX).await)
    }

    #[tokio::test]
    async fn an_answer_in_pieces_breaks_off_where_the_lease_ended() {
        let (status, body) = pieces(usize::MAX).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body.expect("the whole"), "1234");
        for ends_at in 1..=4 {
            let (status, body) = pieces(ends_at).await;
            assert_eq!(status, StatusCode::OK, "the head was sent");
            assert!(body.is_err(), "{ends_at}: {body:?}");
        }
    }
}
