//! The trace that a request belongs to (W3C Trace Context): what a caller says of it, and what is
//! answered.

use std::collections::HashMap;

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::STATUS_CODE;

/// The span of the caller.
const TRACEPARENT: &str = "traceparent";

/// What tracing systems on the way add to it.
const TRACESTATE: &str = "tracestate";

/// The span of the answer, for callers that began no trace.
pub(super) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Where the parts of a `traceparent` are divided.
const DIVISIONS: [usize; 3] = [2, 35, 52];

/// Length of a `traceparent` of version 00; later versions may go on after a further division.
const LENGTH: usize = 55;

/// Makes `span`, which must be new, a part of the caller's trace, if the headers name one. What is wrong
/// in them is as if it were not there. `None` where nothing is traced.
pub(super) fn join(span: &Span, headers: &HeaderMap) -> Option<SpanContext> {
    if let Some(carrier) = carrier(headers) {
        let context = TraceContextPropagator::new().extract(&carrier);
        // Refused where nothing is traced.
        let _ = span.set_parent(context);
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    own.is_valid().then_some(own)
}

/// Notes how the request of `span` was answered.
pub(super) fn note_status(span: &Span, status: u16) {
    span.set_attribute(STATUS_CODE, i64::from(status));
}

/// The header that tells a caller the trace and the span of their request.
pub(super) fn response_header(context: &SpanContext) -> HeaderValue {
    let text = format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    );
    HeaderValue::try_from(text).expect("hexadecimal digits")
}

/// The two headers, when there is exactly one good `traceparent`.
fn carrier(headers: &HeaderMap) -> Option<HashMap<String, String>> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else {
        return None;
    };
    let parent = parent.to_str().ok().filter(|text| is_traceparent(text))?;
    let states = headers.get_all(TRACESTATE).iter();
    let states: Vec<&str> = states.filter_map(|state| state.to_str().ok()).collect();
    let mut carrier = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
    if !states.is_empty() {
        carrier.insert(TRACESTATE.to_owned(), states.join(","));
    }
    Some(carrier)
}

/// Whether a text has the form of a `traceparent`. The library takes shorter numbers, too.
fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let Some((first, rest)) = bytes.split_at_checked(LENGTH) else {
        return false;
    };
    let in_form = first.iter().enumerate().all(|(at, byte)| {
        if DIVISIONS.contains(&at) {
            *byte == b'-'
        } else {
            is_digit(byte)
        }
    });
    let may_go_on = !text.starts_with("00") && rest.starts_with(b"-");
    in_form && !text.starts_with("ff") && (rest.is_empty() || may_go_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_one_traceparent_of_the_right_form_counts() {
        assert!(carrier(&headers(&[(TRACEPARENT, GOOD)])).is_some());
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(carrier(&headers(&[(TRACEPARENT, later)])).is_some());
        assert!(carrier(&headers(&[])).is_none());
        assert!(carrier(&headers(&[(TRACEPARENT, GOOD), (TRACEPARENT, GOOD)])).is_none());
        for wrong in [
            "",
            "nonsense",
            "00-ab-cd-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        ] {
            assert!(
                carrier(&headers(&[(TRACEPARENT, wrong)])).is_none(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn states_are_joined_and_a_bad_one_drops_none_of_the_parent() {
        let parent = (TRACEPARENT, GOOD);
        let several = [parent, (TRACESTATE, "a=1"), (TRACESTATE, "b=2,c=3")];
        let found = carrier(&headers(&several)).expect("a good parent");
        assert_eq!(found[TRACESTATE], "a=1,b=2,c=3");
        let extracted = TraceContextPropagator::new().extract(&found);
        let state = extracted.span().span_context().trace_state().clone();
        assert_eq!(state.get("c"), Some("3"));
        let found = carrier(&headers(&[parent, (TRACESTATE, "nonsense")])).expect("a good parent");
        let extracted = TraceContextPropagator::new().extract(&found);
        assert!(extracted.span().span_context().is_valid());
    }

    #[test]
    fn where_nothing_is_traced_there_is_no_trace() {
        let span = tracing::info_span!("request");
        assert!(join(&span, &headers(&[(TRACEPARENT, GOOD)])).is_none());
    }
}
