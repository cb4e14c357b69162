//! Spans on their way out: a bounded number of them waits, and the rest is dropped and counted. Nobody
//! who makes a span waits for a collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::counter;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::conventions;
use crate::http::metric_names::TRACE_SPANS_TOTAL;

/// Most spans that wait. The queue behind has room for more, so it never drops any uncounted.
const WAITING_MAX: usize = 2048;

/// Most spans in one message.
const BATCH_MAX: usize = 512;

/// How long a span waits for others to go with.
const DELAY: Duration = Duration::from_secs(1);

/// Queues spans for an exporter that works on a thread of its own.
#[derive(Debug)]
pub(super) struct SpanQueue {
    inner: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
}

impl SpanQueue {
    pub(super) fn new(exporter: impl SpanExporter + 'static) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let exporter = Counting {
            inner: exporter,
            waiting: Arc::clone(&waiting),
            is_down: AtomicBool::new(false),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(2 * WAITING_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(DELAY)
            .build();
        let inner = BatchSpanProcessor::builder(exporter).with_batch_config(config);
        Self {
            inner: inner.build(),
            waiting,
        }
    }
}

fn count(outcome: &'static str, spans: usize) {
    counter!(TRACE_SPANS_TOTAL, "outcome" => outcome).increment(spans as u64);
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            count("dropped", 1);
            return;
        }
        conventions::apply(&mut span);
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// An exporter that counts what became of the spans, and says once when none arrive.
#[derive(Debug)]
struct Counting<E> {
    inner: E,
    waiting: Arc<AtomicUsize>,
    is_down: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
        let result = self.inner.export(batch).await;
        count(if result.is_ok() { "sent" } else { "failed" }, spans);
        let was_down = self.is_down.swap(result.is_err(), Ordering::AcqRel);
        match (&result, was_down) {
            (Err(error), false) => tracing::warn!(%error, "the collector takes no traces"),
            (Ok(()), true) => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
