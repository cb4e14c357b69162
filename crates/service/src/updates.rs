//! What other nodes are sent of the model.

use crate::service::Service;
use crate::update_feed::UpdateFeed;

impl Service {
    /// What a node that has the version `after`, or nothing, is sent while this one leads. A service by itself
    /// has no other nodes: its feed says nothing.
    pub fn updates(&self, after: Option<(u64, u64)>) -> UpdateFeed {
        self.0.versions.feed(after)
    }
}
