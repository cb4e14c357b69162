//! What nodes that were away owe no more, as the one that leads can say.

use super::to_settle::{CameBack, ToSettle};
use super::{Node, Role};
use crate::entry::NodeId;
use crate::mark::{Member, Standing};

impl Node {
    /// Whom the log says to owe something, and who by what this node knows as the leader does not; nobody while it
    /// does not lead.
    pub fn to_settle(&self) -> Vec<ToSettle> {
        let mark = &self.applied;
        let owing = mark
            .members
            .iter()
            .filter(|(node, _)| mark.owes_after(node).is_some());
        owing
            .filter_map(|(node, member)| self.settles(node, member))
            .collect()
    }

    fn settles(&self, node: &NodeId, member: &Member) -> Option<ToSettle> {
        let Role::Leading(leading) = &self.role else {
            return None;
        };
        let (upto, came_back) = match member.standing {
            Standing::Out | Standing::Removed { attested: false } => return None,
            Standing::Removed { attested: true } => (self.applied.erased, CameBack::Never),
            Standing::Current => {
                let is_me = *node == self.options.id;
                let heard = leading.heard_of(node, member);
                let applied = heard.or(is_me.then_some(self.applied.number))?;
                let debt = member.debt.as_ref()?;
                // What is erased from then on waits for it as for everybody; with another disk, what was before that.
                let upto = match self.applied.owes_upto(node) {
                    Some(upto) => upto,
                    None => member.joined.max(self.applied.erased),
                };
                if applied < upto {
                    return None;
                }
                let came_back = CameBack::Current {
                    left_with: debt.signing.clone(),
                    signs_with: member.signing.clone(),
                };
                (upto, came_back)
            }
        };
        let node = node.clone();
        Some(ToSettle {
            node,
            upto,
            came_back,
        })
    }
}
