//! Waiting until the live version knows what was accepted.

use std::time::Duration;

use crate::service::Service;

impl Service {
    /// Waits until the live version reflects everything that was accepted before this call, at most
    /// for `patience`. Whether it does then: who asks next sees what they have just added, unless the
    /// worker is behind.
    pub async fn catch_up(&self, patience: Duration) -> bool {
        let newest = *self.0.store.watch_log().borrow();
        let mut progress = self.0.publisher.follow();
        let learnt = progress.wait_for(|progress| progress.learnt >= newest);
        tokio::time::timeout(patience, learnt)
            .await
            .is_ok_and(|followed| followed.is_ok())
    }
}
