//! What every handler can reach.

use std::sync::{Arc, OnceLock};

use super::membership::Membership;
use super::problem::{Problem, STARTING};
use crate::telemetry::Exporter;
use recant_service::Service;

/// Seconds after which a caller may look again while the service starts.
const STARTING_RETRY_SECONDS: u64 = 2;

/// Shared by all handlers; made once, before the server listens.
///
/// The server listens before there is a service, so that `/healthz` and `/metrics` answer while a
/// large store is opened or a first model is trained. [`AppState::provide`] ends that phase; until
/// then calls that need the service are answered 503.
#[derive(Clone)]
pub struct AppState {
    service: Arc<OnceLock<Service>>,
    exporter: Exporter,
    membership: Option<Arc<dyn Membership>>,
}

impl AppState {
    /// The state of a server whose service is still to come.
    pub fn new(exporter: Exporter) -> Self {
        Self {
            service: Arc::new(OnceLock::new()),
            exporter,
            membership: None,
        }
    }

    /// The state of a server that is one node among several.
    pub fn with_membership(mut self, membership: Arc<dyn Membership>) -> Self {
        self.membership = Some(membership);
        self
    }

    /// How this node stands among others; `None` where it is the only one.
    pub(super) fn membership(&self) -> Option<&Arc<dyn Membership>> {
        self.membership.as_ref()
    }

    /// Opens the calls to `service`. Only the first service counts.
    pub fn provide(&self, service: Service) {
        let _ = self.service.set(service);
    }

    /// The service, or the problem to answer while there is none.
    pub(super) fn service(&self) -> Result<&Service, Problem> {
        self.service.get().ok_or_else(|| {
            Problem::new(
                &STARTING,
                "the service is still opening its data: ask /readyz, and repeat the request",
            )
            .retry_after_seconds(STARTING_RETRY_SECONDS)
        })
    }

    pub(super) fn exporter(&self) -> &Exporter {
        &self.exporter
    }
}
