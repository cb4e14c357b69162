//! When couriers are under way: always where a node is alone, else while it leads.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::courier::Courier;
use super::endpoint::{Told, ToldProgress};
use super::outbox::write_down;
use crate::query::ServiceError;
use crate::replication::ReplicaRole;
use crate::service::Service;
use recant_store::{OutboxEndpoint, Store};
use recant_types::ErasureId;

/// Tells `told` until it is to stop: one courier an endpoint, and none while another node leads.
pub(super) async fn take(service: Service, told: Vec<Arc<Told>>, mut stop: watch::Receiver<bool>) {
    let Some(mut role) = service.0.others.as_ref().map(|it| it.replication.role()) else {
        return tell(&service, &told, stop).await;
    };
    while !*stop.borrow() {
        let now = *role.borrow_and_update();
        if let ReplicaRole::Leader { term } = now {
            let (end, ended) = watch::channel(false);
            let leads_no_more = |role: &ReplicaRole| *role != ReplicaRole::Leader { term };
            let watching = async {
                let goes_on = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => false,
                    role = role.wait_for(leads_no_more) => role.is_ok(),
                };
                end.send_replace(true);
                goes_on
            };
            let dropping = drop_all_but(&service, &told, ended.clone());
            let telling = tell(&service, &told, ended);
            let (dropped, (), goes_on) = tokio::join!(dropping, telling, watching);
            if let Err(error) = dropped {
                tracing::warn!(%error, "whom there is no endpoint for any more could not be read");
            }
            // How far the endpoints have come knows whoever leads.
            told.iter()
                .for_each(|told| told.set_progress(ToldProgress::default()));
            if !goes_on {
                return;
            }
            continue;
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            changed = role.changed() => if changed.is_err() { return },
        }
    }
}

/// Tells until `ended`.
async fn tell(service: &Service, told: &[Arc<Told>], ended: watch::Receiver<bool>) {
    let mut couriers = JoinSet::new();
    for told in told {
        couriers.spawn(Courier::new(service.clone(), Arc::clone(told), ended.clone()).run());
    }
    while let Some(courier) = couriers.join_next().await {
        if courier.is_err() {
            tracing::error!("the courier of a webhook panicked");
        }
    }
}

/// Drops what endpoints that are not configured any more had still to be told.
pub(super) async fn drop_all_but(
    service: &Service,
    told: &[Arc<Told>],
    ended: watch::Receiver<bool>,
) -> Result<(), ServiceError> {
    let kept = told.iter().map(|told| told.key).collect();
    let gone = gone(service, kept).await?;
    let (endpoints, mut erasures) = (gone.len(), 0);
    for (endpoint, ids) in gone {
        erasures += ids.len();
        let done = ids.into_iter().map(|id| (id, None)).collect();
        if !write_down(service, endpoint, done, ended.clone()).await {
            return Ok(());
        }
    }
    if endpoints > 0 {
        tracing::warn!(
            endpoints,
            erasures,
            "what endpoints that are not configured any more had still to be told is dropped"
        );
    }
    Ok(())
}

async fn gone(
    service: &Service,
    kept: Vec<OutboxEndpoint>,
) -> Result<Vec<(OutboxEndpoint, Vec<ErasureId>)>, ServiceError> {
    let read = move |store: &Store| {
        let gone = store.outbox_endpoints()?.into_keys();
        let gone = gone.filter(|endpoint| !kept.contains(endpoint));
        let each = gone.map(|endpoint| {
            let waiting = store.outbox(endpoint)?.into_iter();
            Ok((endpoint, waiting.map(|(id, _)| id).collect()))
        });
        each.collect()
    };
    service.read(read).await
}
