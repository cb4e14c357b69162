//! How a leader hands over in good order: whoever waits is answered, one node is told that it leads next, and
//! only then the log says that this one does not.

use super::exchange::{Output, Refusal, Settled};
use super::handover::HandingOver;
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::entry::NodeId;

/// Beats within which whoever leads next has to be heard.
const BEATS_WAITED: u32 = 4;

impl Node {
    /// Takes nothing new; what waits to be decided is refused.
    pub(super) fn hand_over(
        &mut self,
        now: BootTime,
        named: Option<NodeId>,
        out: &mut Vec<Output>,
    ) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        let queued = leading.queue.drain(..).map(|queued| queued.request);
        let removing = std::mem::take(&mut leading.removing).into_values();
        for request in queued.chain(removing.map(|removal| removal.request)) {
            let settled = Settled::Refused(Refusal::NotLeading);
            out.push(Output::Settle { request, settled });
        }
        self.handing_over = Some(HandingOver {
            named,
            told: None,
            since: now,
        });
    }

    /// Whether a node that spoke to this one leads next; it is told so by the answer.
    pub(super) fn succeeds(&mut self, node: &NodeId) -> bool {
        let floor = self.floor();
        let may_lead = self.read.current(node).is_some_and(|it| it.is_candidate);
        let (Role::Leading(leading), Some(handing_over)) = (&self.role, &mut self.handing_over)
        else {
            return false;
        };
        let is_named = (handing_over.named.as_ref()).is_none_or(|named| named == node);
        let is_nobody_else = (handing_over.told.as_ref()).is_none_or(|told| told == node);
        let has_version = leading.live_of(node).is_some_and(|live| live >= floor);
        if may_lead && is_named && is_nobody_else && has_version {
            handing_over.told = Some(node.clone());
            return true;
        }
        false
    }

    /// Whether nobody is waited for who could lead next.
    pub(super) fn has_successor(&self, now: BootTime) -> bool {
        let Some(handing_over) = &self.handing_over else {
            return false;
        };
        let waited = self.options.timing.beat * BEATS_WAITED;
        handing_over.told.is_some() || now - handing_over.since >= waited
    }
}
