//! Whether all nodes hold the same.
//!
//! Now and then an entry names a part of what stores hold. Each says what it has of it when it has applied
//! just that entry, and tells the leader with its next beats. What more than half of the nodes hold that were
//! not removed, is right, whoever leads: any other is wrong. A node that is wrong goes no further, and what
//! it holds is of no use; a leader that is wrong hands over first. Where no such majority is, as between two
//! nodes, nobody is wrong: whoever differs from the leader is granted no lease in this life, and an operator
//! has to look.

use super::checks::Finding;
use super::exchange::Output;
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::entry::{BootId, NodeId, Slice};
use crate::mark::{Mark, Standing};
use crate::messages::{Beat, Digest};

impl Node {
    /// A part is to be compared.
    pub(super) fn check(&mut self, slice: Slice) {
        if let Role::Leading(leading) = &mut self.role {
            leading.checks.wanted = Some(slice);
        }
    }

    /// What this node holds.
    pub(super) fn holds(&mut self, now: BootTime, digest: Digest, out: &mut Vec<Output>) {
        self.digest = Some(digest);
        let (me, boot) = (self.options.id.clone(), self.options.boot);
        self.note(now, &me, boot, digest, out);
    }

    /// What a node that speaks to its leader holds.
    pub(super) fn hear_digest(&mut self, now: BootTime, beat: &Beat, out: &mut Vec<Output>) {
        if let Some(digest) = beat.digest.filter(|_| beat.term == self.read.term) {
            self.note(now, &beat.node, beat.boot, digest, out);
        }
    }

    fn note(
        &mut self,
        now: BootTime,
        node: &NodeId,
        boot: BootId,
        digest: Digest,
        out: &mut Vec<Output>,
    ) {
        let (me, nodes) = (&self.options.id, count(&self.read));
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        if self.read.is_removed(node) {
            return;
        }
        leading.checks.note(node, boot, digest);
        let news = leading.checks.judge(me, nodes);
        let am_wrong = news.iter().any(|it| *it == (me.clone(), Finding::Wrong));
        let news = news.into_iter();
        out.extend(news.map(|(node, finding)| Output::Differs { node, finding }));
        if am_wrong {
            self.is_wrong = true;
            self.hand_over(now, None, out);
        }
    }
}

/// How many nodes there are.
fn count(mark: &Mark) -> usize {
    let members = mark.members.values();
    let there = members.filter(|it| !matches!(it.standing, Standing::Removed { .. }));
    there.count()
}
