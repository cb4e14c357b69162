//! Webhooks: each state of an erasure is told to the endpoints that are configured, at least once, and of one
//! erasure in order.
//!
//! What an endpoint has still to be told is written with the erasure itself
//! ([`recant_store::RequestBatch::put_outbox`]); which states there are to tell says the erasure's record. A
//! courier an endpoint looks at the records at whole multiples of the endpoint's interval, and only then: so
//! what it sends, and when, follows from what can be read of an erasure anyway, and tells nothing of how long
//! its work took. A state is sent when the one before it was acknowledged and the acknowledgement is durable.
//! Of several nodes the one that leads tells, and what was acknowledged is written down by all of them.

mod courier;
mod endpoint;
mod outbox;
mod queue;
mod states;
mod turns;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use self::endpoint::Told;
pub use self::endpoint::{
    Deliver, Delivery, StateMessage, WEBHOOK_STATES, WebhookAccount, WebhookEndpoint,
    WebhookFailure, WebhookSummary,
};
use crate::query::ServiceError;
use crate::service::Service;
use recant_receipt::WebhookKey;
use recant_store::RequestBatch;
use recant_types::ErasureId;

/// Ends the couriers. Dropping it without [`WebhookGuard::stop`] ends them too, unawaited.
pub struct WebhookGuard {
    stop: watch::Sender<bool>,
    turns: JoinHandle<()>,
}

impl WebhookGuard {
    /// Tells the couriers to stop and waits until they have: what is under way has a moment to be answered.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.turns.await.is_err() {
            tracing::error!("what tells webhooks panicked");
        }
    }
}

impl Service {
    /// The key that webhooks to the endpoint of this name are signed with.
    pub async fn webhook_key(&self, name: &str) -> Result<WebhookKey, ServiceError> {
        let name = name.to_owned();
        self.read(move |store| store.webhook_key(&name)).await
    }

    /// From now on tells `endpoints`, whose names differ, of the erasures that are accepted, and goes on
    /// with what they have still to be told from before. Once a service, before it takes requests. What
    /// endpoints that are no longer among them had still to be told is dropped; of several nodes, by the one that leads.
    pub async fn start_webhooks(
        &self,
        endpoints: Vec<WebhookEndpoint>,
    ) -> Result<WebhookGuard, ServiceError> {
        let told: Vec<Arc<Told>> = endpoints.into_iter().map(Told::new).map(Arc::new).collect();
        let (stop, stopped) = watch::channel(false);
        if self.0.others.is_none() {
            turns::drop_all_but(self, &told, stopped.clone()).await?;
        }
        if self.0.told.set(told.clone()).is_err() {
            return Err(ServiceError::Internal);
        }
        let turns = turns::take(self.clone(), told, stopped);
        Ok(WebhookGuard {
            stop,
            turns: tokio::spawn(turns),
        })
    }

    /// Notes in the batch that accepts the erasure `id` that endpoints are to be told of it: all but those
    /// that are told on request, and of these the one that is `named`.
    pub(crate) fn note_webhooks(
        &self,
        batch: &mut RequestBatch,
        id: ErasureId,
        named: Option<&str>,
    ) {
        let all = self.0.told.get().into_iter().flatten();
        for told in all.filter(|told| told.is_told(named)) {
            batch.put_outbox(told.key, id);
        }
    }

    /// The endpoints that are told of erasures, and how far that has come.
    pub fn webhooks(&self) -> Vec<WebhookSummary> {
        let all = self.0.told.get().into_iter().flatten();
        all.map(|told| told.summary()).collect()
    }
}
