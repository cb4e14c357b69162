//! Restrictions of processing: who is restricted, and how it ends.
//!
//! One begins as an erasure does, with [`Service::erase_for`] and
//! [`ErasureTarget::Restriction`](recant_types::ErasureTarget::Restriction).

use crate::query::ServiceError;
use crate::service::Service;
use recant_store::RequestBatch;
use recant_types::{UnixMillis, UserId};

impl Service {
    /// Ends the restriction of these users, of each who is restricted: durable on return, with the time of
    /// acceptance. What was kept of them is learnt in the background, with its own times and weights.
    pub async fn lift_restrictions(&self, users: Vec<UserId>) -> Result<UnixMillis, ServiceError> {
        self.check_running()?;
        let accepted_at = UnixMillis::now();
        let mut batch = RequestBatch::default();
        users.iter().for_each(|user| batch.lift_restriction(user));
        self.commit(batch).await?;
        Ok(accepted_at)
    }

    /// Whether the processing of what is held of a user, or would be, is restricted.
    pub fn is_restricted(&self, user: &UserId) -> bool {
        self.0.store.is_restricted(user)
    }
}
