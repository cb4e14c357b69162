//! Who has something with an item.

use crate::query::ServiceError;
use crate::service::Service;
use crate::snapshot::Snapshot;
use recant_types::{ItemId, UserId};

impl Service {
    /// Up to `limit` people of whom the live version has something with an item. It may still have
    /// what an accepted erasure names; [`Self::export`] does not. Cost: a search in every history, for
    /// histories are kept by people alone.
    pub async fn people_with(
        &self,
        item: &ItemId,
        limit: usize,
    ) -> Result<Vec<UserId>, ServiceError> {
        let snapshot = self.0.publisher.current();
        let Some(row) = snapshot.items.row(item) else {
            return Ok(Vec::new());
        };
        self.blocking(move || snapshot.people_at(row).take(limit).cloned().collect())
            .await
    }
}

impl Snapshot {
    /// The users whose histories have the item at `item`.
    fn people_at(&self, item: u32) -> impl Iterator<Item = &UserId> {
        let histories = (0..).zip(&self.histories);
        let with = histories.filter(move |(_, history)| {
            let place = history.binary_search_by_key(&item, |entry| entry.index);
            place.is_ok()
        });
        with.filter_map(|(user, _)| self.users.id(user))
    }
}
