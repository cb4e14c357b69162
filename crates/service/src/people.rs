//! What is said about people, and who they are.
//!
//! The model knows nothing of it: a change is a commit of its own, with no log entry and no version.

use crate::query::ServiceError;
use crate::service::Service;
use recant_store::RequestBatch;
use recant_types::{InvalidProperties, PersonPatch, PersonProperties, PersonSummary, UserId};

/// Why what is said about a person was not changed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum PatchError {
    /// It would be out of bounds.
    #[error(transparent)]
    Invalid(#[from] InvalidProperties),
    /// The service could not.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl Service {
    /// Says this about a person, in place of what was said before: durable on return, and what was
    /// said before can be read no more. Whether the person was known does not matter; saying nothing
    /// of somebody of whom nothing else is held leaves nothing of them.
    pub async fn put_user(
        &self,
        user: UserId,
        properties: PersonProperties,
    ) -> Result<(), ServiceError> {
        self.put_users(vec![(user, properties)]).await
    }

    /// Says this about people, each as [`Self::put_user`] does, all of it or nothing. Of one person
    /// the last counts.
    pub async fn put_users(
        &self,
        people: Vec<(UserId, PersonProperties)>,
    ) -> Result<(), ServiceError> {
        self.check_running()?;
        let mut batch = RequestBatch::default();
        for (user, properties) in &people {
            batch.put_properties(user, properties);
        }
        self.commit(batch).await.map(drop)
    }

    /// Changes what is said about a person, as it is when the change is committed, between whatever
    /// else is said and erased: durable on return. What would be out of bounds changes nothing.
    pub async fn patch_user(&self, user: UserId, patch: PersonPatch) -> Result<(), PatchError> {
        self.check_running()?;
        let mut batch = RequestBatch::default();
        batch.patch_properties(&user, patch);
        let refused = self.commit(batch).await?.refused;
        refused.map_or(Ok(()), |reason| Err(reason.into()))
    }

    /// What is held of a person; `None` when nothing is. What an accepted erasure names is left out
    /// already. Costs the reading of the person's history.
    pub async fn user(&self, user: &UserId) -> Result<Option<PersonSummary>, ServiceError> {
        let user = user.clone();
        self.read(move |store| store.person(&user)).await
    }

    /// What is said about a person; empty when nothing is. Nothing after an accepted erasure of the
    /// person.
    pub async fn properties(&self, user: &UserId) -> Result<PersonProperties, ServiceError> {
        let user = user.clone();
        self.read(move |store| store.properties(&user)).await
    }

    /// Up to `limit` of those of whom something is held, after `after` in the order of the bytes of
    /// their ids. Costs the reading of their histories.
    pub async fn users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<PersonSummary>, ServiceError> {
        self.read(move |store| store.persons(after.as_ref(), limit))
            .await
    }
}
