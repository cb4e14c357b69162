//! Webhooks: each state of an erasure is told to the endpoints that are configured, at least once, and of one
//! erasure in order.
//!
//! What an endpoint has still to be told is written with the erasure itself
//! ([`recant_store::WriteBatch::put_outbox`]); which states there are to tell says the erasure's record. A
//! courier an endpoint looks at the records at whole multiples of the endpoint's interval, and only then: so
//! what it sends, and when, follows from what can be read of an erasure anyway, and tells nothing of how long
//! its work took. A state is sent when the one before it was acknowledged and the acknowledgement is durable.

mod courier;
mod endpoint;
mod queue;
mod states;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::courier::Courier;
pub(crate) use self::endpoint::Told;
pub use self::endpoint::{
    Deliver, Delivery, StateMessage, WEBHOOK_STATES, WebhookEndpoint, WebhookSummary,
};
use crate::query::ServiceError;
use crate::service::Service;
use recant_receipt::WebhookKey;
use recant_store::{OutboxEndpoint, WriteBatch};
use recant_types::ErasureId;

/// Ends the couriers. Dropping it without [`WebhookGuard::stop`] ends them too, unawaited.
pub struct WebhookGuard {
    stop: watch::Sender<bool>,
    couriers: Vec<JoinHandle<()>>,
}

impl WebhookGuard {
    /// Tells the couriers to stop and waits until they have: what is under way has a moment to be answered.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for courier in self.couriers {
            if courier.await.is_err() {
                tracing::error!("the courier of a webhook panicked");
            }
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
    /// endpoints that are no longer among them had still to be told is dropped.
    pub async fn start_webhooks(
        &self,
        endpoints: Vec<WebhookEndpoint>,
    ) -> Result<WebhookGuard, ServiceError> {
        let told: Vec<Arc<Told>> = endpoints.into_iter().map(Told::new).map(Arc::new).collect();
        self.drop_all_but(&told).await?;
        let (stop, stopped) = watch::channel(false);
        let couriers = told.iter().map(|told| {
            let courier = Courier::new(self.clone(), Arc::clone(told), stopped.clone());
            tokio::spawn(courier.run())
        });
        let couriers = couriers.collect();
        if self.0.told.set(told).is_err() {
            return Err(ServiceError::Internal);
        }
        Ok(WebhookGuard { stop, couriers })
    }

    async fn drop_all_but(&self, told: &[Arc<Told>]) -> Result<(), ServiceError> {
        let waiting = self.read(|store| store.outbox_endpoints()).await?;
        let is_gone = |endpoint: &OutboxEndpoint| told.iter().all(|told| told.key != *endpoint);
        let gone: BTreeMap<_, _> = waiting.into_iter().filter(|(it, _)| is_gone(it)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        gone.keys().for_each(|it| batch.remove_outbox_of(*it));
        self.commit(batch).await?;
        let erasures: u64 = gone.values().sum();
        let endpoints = gone.len();
        tracing::warn!(
            endpoints,
            erasures,
            "what endpoints that are not configured any more had still to be told is dropped"
        );
        Ok(())
    }

    /// Notes in the batch that accepts the erasure `id` that every endpoint is to be told of it.
    pub(crate) fn note_webhooks(&self, batch: &mut WriteBatch, id: ErasureId) {
        for told in self.0.told.get().into_iter().flatten() {
            batch.put_outbox(told.key, id, None);
        }
    }

    /// The endpoints that are told of erasures, and how far that has come.
    pub fn webhooks(&self) -> Vec<WebhookSummary> {
        let all = self.0.told.get().into_iter().flatten();
        all.map(|told| told.summary()).collect()
    }
}
