//! Ids in paths and queries of the face.

use super::refusal::Refusal;
use recant_types::{InvalidId, ItemId, UserId};

/// The user that a text names.
pub(super) fn user_id(text: &str) -> Result<UserId, Refusal> {
    UserId::trimmed(text).map_err(|reason| refused("user", reason))
}

/// The item that a text names.
pub(super) fn item_id(text: &str) -> Result<ItemId, Refusal> {
    ItemId::trimmed(text).map_err(|reason| refused("item", reason))
}

fn refused(place: &str, reason: InvalidId) -> Refusal {
    Refusal::invalid(format!("{place}: {reason}"))
}
