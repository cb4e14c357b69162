//! The version that readers see, on its way from whoever serves them to the node.

use std::sync::{Arc, Mutex, PoisonError};

use recant_cluster::Version;
use tokio::sync::Notify;

/// Holds the newest version until the node looks at it. A copy is the same.
#[derive(Clone, Default)]
pub(crate) struct LiveCell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// With whether an erasure waits until everybody has it.
    unseen: Mutex<Option<(Version, bool)>>,
    changed: Notify,
}

impl LiveCell {
    pub(crate) fn set(&self, version: Version, forgets: bool) {
        let unseen = &self.0.unseen;
        let mut unseen = unseen.lock().unwrap_or_else(PoisonError::into_inner);
        // What waits for a version waits for the next one as well.
        let waited_for = unseen.is_some_and(|(_, forgets)| forgets);
        *unseen = Some((version, forgets || waited_for));
        drop(unseen);
        self.0.changed.notify_one();
    }

    /// The next version that was not looked at; it is lost to nobody who stops waiting.
    pub(crate) async fn next(&self) -> (Version, bool) {
        loop {
            let unseen = &self.0.unseen;
            let taken = unseen.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(taken) = taken {
                return taken;
            }
            self.0.changed.notified().await;
        }
    }
}
