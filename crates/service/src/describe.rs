//! Changing what is said about items: durable, then visible, in one order.
//!
//! A description is a record of its own, so its change needs no log and no worker: it is committed
//! and then put into the live version, whose factors stay as they are. What waits while a commit is
//! under way shares the next one.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::catalogue::{Catalogue, Edit};
use crate::curator::{DescribeError, Order, Outcome, Round, Waiting};
use crate::query::ServiceError;
use crate::service::Service;
use recant_store::{Committed, RequestBatch};
use recant_types::{DescriptionPatch, ItemDescription, ItemId};

/// From so many changes on a version is made on a blocking thread.
const EDITS_INLINE_MAX: usize = 64;

impl Service {
    /// Says this about items, in place of what was said before: all of it, durable and in the live
    /// version on return, or nothing. Each must be within its bounds.
    pub async fn describe(&self, items: Vec<ItemDescription>) -> Result<(), DescribeError> {
        if items.is_empty() {
            return Ok(());
        }
        items.iter().try_for_each(ItemDescription::check)?;
        let items = items.into_iter().map(Arc::new).collect();
        self.order(Order::Put(items)).await.map(drop)
    }

    /// Changes what is said about an item that is there, and returns it as it is now.
    pub async fn redescribe(
        &self,
        item: ItemId,
        patch: DescriptionPatch,
    ) -> Result<Arc<ItemDescription>, DescribeError> {
        let said = self.order(Order::Patch(item, patch)).await?;
        said.ok_or(DescribeError::NotFound)
    }

    /// What is said about items now.
    pub fn catalogue(&self) -> Catalogue {
        self.0.publisher.current().catalogue.clone()
    }

    /// What is said about an item; `None` when it is neither described nor known by interactions.
    pub fn item(&self, id: &ItemId) -> Option<Arc<ItemDescription>> {
        self.0.publisher.current().catalogue.item(id)
    }

    async fn order(&self, order: Order) -> Outcome {
        self.check_running()?;
        let (answer, outcome) = oneshot::channel();
        self.0.curator.wait(Waiting { order, answer });
        // Not a part of the request: one that is given up must not leave a commit unseen.
        let service = self.clone();
        tokio::spawn(async move { service.carry_out_orders().await });
        let outcome = self.in_time(outcome).await?;
        outcome.map_err(|_| ServiceError::Internal)?
    }

    async fn carry_out_orders(&self) {
        let _turn = self.0.curator.turn.lock().await;
        let orders = self.0.curator.take();
        if orders.is_empty() {
            return;
        }
        let current = self.0.publisher.current();
        let round = Round::of(orders, &current.catalogue);
        let said: Vec<_> = round.said.into_values().collect();
        let committed = if said.is_empty() {
            Ok(())
        } else {
            self.commit_said(said).await
        };
        for (answer, outcome) in round.outcomes {
            let outcome = match &committed {
                Ok(()) => outcome,
                Err(error) => outcome.and(Err((*error).into())),
            };
            // Whoever asked may have gone.
            let _ = answer.send(outcome);
        }
    }

    async fn commit_said(&self, said: Vec<Arc<ItemDescription>>) -> Result<(), ServiceError> {
        let mut batch = RequestBatch::default();
        for description in &said {
            batch.put_description(description);
        }
        self.0.sequencer.commit(batch).await?;
        self.show(said.into_iter().map(Edit::Describe).collect())
            .await;
        Ok(())
    }

    /// Puts durable changes into the live version.
    async fn show(&self, edits: Vec<Edit>) {
        if self.0.others.is_some() {
            // There already, with the entry of the log that brought them.
            return;
        }
        let publisher = Arc::clone(&self.0.publisher);
        if edits.len() <= EDITS_INLINE_MAX {
            return publisher.edit(&edits);
        }
        let shown = tokio::task::spawn_blocking(move || publisher.edit(&edits)).await;
        if shown.is_err() {
            tracing::error!("making a version panicked");
        }
    }

    /// Commits a batch in its turn among the changes of descriptions, and shows that nothing is said
    /// any more about the item that `removed` names. Goes on when its caller gives up.
    pub(crate) async fn commit_in_turn(
        &self,
        batch: RequestBatch,
        removed: impl FnOnce(&Committed) -> Option<ItemId> + Send + 'static,
    ) -> Result<Committed, ServiceError> {
        let service = self.clone();
        let task = tokio::spawn(async move {
            let _turn = service.0.curator.turn.lock().await;
            let committed = service.0.sequencer.commit(batch).await?;
            if let Some(id) = removed(&committed) {
                service.show(vec![Edit::Remove(id)]).await;
            }
            Ok(committed)
        });
        let done = self.in_time(task).await?;
        done.map_err(|_| ServiceError::Internal)?
    }
}
