//! The ids that a service holds, for whoever judges them.

use crate::service::Service;
use recant_types::{ItemId, UserId};

impl Service {
    /// Calls `user` with the id of everybody and `item` with that of every item of the live version.
    pub fn visit_ids(&self, user: impl FnMut(&UserId), item: impl FnMut(&ItemId)) {
        let snapshot = self.0.publisher.current();
        snapshot.users.ids().for_each(user);
        snapshot.items.ids().for_each(item);
    }
}
