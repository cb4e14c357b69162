//! A lead that ends in good order.

use crate::boot_time::BootTime;
use crate::entry::NodeId;

/// A lead that is being handed over.
#[derive(Debug)]
pub(super) struct HandingOver {
    /// Whom the operator named, if anybody.
    pub(super) named: Option<NodeId>,
    /// Who was told that it leads next.
    pub(super) told: Option<NodeId>,
    pub(super) since: BootTime,
}
