//! What the calls of the face share.

use std::sync::Arc;

use axum::{Extension, Router};
use tokio::sync::{Mutex, Semaphore};

use crate::http::state::AppState;

/// Most lists that wait at once to be written back.
const WAITING_MAX: usize = 10_000;

/// Made once; cloning shares it.
#[derive(Clone)]
pub(super) struct Shared {
    /// Held while what is said about an item is read and changed, for a change of one category is one
    /// of all of them.
    pub(super) turn: Arc<Mutex<()>>,
    /// Places for lists that wait to be written back.
    pub(super) waiting: Arc<Semaphore>,
}

/// Lets `calls` share something new.
pub(super) fn shared_by(calls: Router<AppState>) -> Router<AppState> {
    calls.layer(Extension(Shared {
        turn: Arc::default(),
        waiting: Arc::new(Semaphore::new(WAITING_MAX)),
    }))
}
