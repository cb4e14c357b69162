//! Spans as the conventions of OpenTelemetry name them. In log lines they keep their own, shorter names.

use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

/// The name of the span of a request.
pub(crate) const REQUEST: &str = "request";

/// The attribute of a request's span that holds the status of its answer.
pub(crate) const STATUS_CODE: &str = "http.response.status_code";

/// Attributes of the span of a request, by their name in log lines and by that of the conventions.
const RENAMED: [(&str, &str); 2] = [("method", "http.request.method"), ("route", "http.route")];

/// Attributes that say what the span says itself.
const REDUNDANT: [&str; 1] = ["trace_id"];

/// Gives the span of a request the names that every viewer of traces knows; others stay as they are.
pub(super) fn apply(span: &mut SpanData) {
    if span.name != REQUEST {
        return;
    }
    let of = |key: &str| {
        let found = span.attributes.iter().find(|one| one.key.as_str() == key);
        found.map_or_else(String::new, |one| one.value.to_string())
    };
    let name = format!("{} {}", of("method"), of("route"));
    span.name = name.into();
    span.span_kind = SpanKind::Server;
    let redundant = |key: &str| REDUNDANT.contains(&key);
    span.attributes.retain(|one| !redundant(one.key.as_str()));
    for attribute in &mut span.attributes {
        let known = RENAMED
            .iter()
            .find(|(own, _)| *own == attribute.key.as_str());
        if let Some((_, convention)) = known {
            attribute.key = (*convention).into();
        }
        let failed = matches!(attribute.value, Value::I64(500..));
        if failed && attribute.key.as_str() == STATUS_CODE {
            span.status = Status::error("");
        }
    }
}
