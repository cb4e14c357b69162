//! Spans for OpenTelemetry, sent to a collector by OTLP. Where no collector is configured none of this
//! is built.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::collector::{Collector, PATIENCE};
use super::logs::is_own;
use super::span_queue::SpanQueue;
use crate::config::TelemetrySettings;

/// Where a collector takes spans.
const PATH: &str = "/v1/traces";

/// Longest wait for the last spans to be taken when the process ends.
const FLUSH_PATIENCE: Duration = Duration::from_secs(3);

/// What sends the spans of the process.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// What the settings want: nothing, where they name no collector.
    pub(super) fn of(settings: &TelemetrySettings) -> Result<Self, ExporterBuildError> {
        if settings.otlp_endpoint.is_empty() {
            return Ok(Self(None));
        }
        let endpoint = settings.otlp_endpoint.trim_end_matches('/');
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}{PATH}"))
            .with_timeout(PATIENCE)
            .build()?;
        let resource = Resource::builder_empty()
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let ratio = Sampler::TraceIdRatioBased(settings.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_span_processor(SpanQueue::new(exporter))
            .build();
        Ok(Self(Some(provider)))
    }

    /// What makes spans of this program into spans of a trace: those of level `info`, with their fields.
    /// Log lines stay in the log.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let scope = InstrumentationScope::builder("recant");
        let scope = scope.with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = self.0.as_ref()?.tracer_with_scope(scope);
        let spans = filter_fn(|metadata| metadata.is_span() && is_own(metadata));
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(spans.with_max_level_hint(LevelFilter::INFO)))
    }

    /// Sends what waits, within a few seconds; what comes later is lost. It blocks.
    pub fn finish(self) {
        let Some(provider) = self.0 else {
            return;
        };
        if provider.shutdown_with_timeout(FLUSH_PATIENCE).is_err() {
            tracing::warn!("the last traces were not sent");
        }
    }
}
