//! An operator takes a node out for good.
//!
//! It is granted no lease from then on. When the one that it holds is over, or was over already, the log says
//! that it is removed; whoever waits for it waits until then and no longer. It stops when it reads that.
//!
//! Whoever has the directory of the removed node can derive the later keys of the log as they are: so another
//! series of them begins (`rekeying.rs`).

use super::exchange::{Output, Refusal, RequestId, Settled};
use super::leadership::Removal;
use super::{Node, Role};
use crate::entry::NodeId;

impl Node {
    pub(super) fn remove(
        &mut self,
        request: RequestId,
        node: NodeId,
        attested: bool,
        out: &mut Vec<Output>,
    ) {
        let is_known = node != self.options.id && self.read.members.contains_key(&node);
        let mut refuse = |request, refusal| {
            let settled = Settled::Refused(refusal);
            out.push(Output::Settle { request, settled });
        };
        match &mut self.role {
            Role::Leading(_) if !is_known => refuse(request, Refusal::NotRemovable),
            Role::Leading(leading) if self.handing_over.is_none() => {
                let removal = Removal { request, attested };
                if let Some(before) = leading.removing.insert(node, removal) {
                    // Whoever asked last waits for it.
                    refuse(before.request, Refusal::NotLeading);
                }
            }
            _ => refuse(request, Refusal::NotLeading),
        }
    }
}
