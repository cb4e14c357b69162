//! What a node does that does not lead: it tells its leader how far it is, and takes its lease.

use super::checks::Finding;
use super::exchange::{Output, Stopped};
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::messages::{Beat, BeatAnswer};
use crate::ratchet::FreshKey;

impl Node {
    /// Speaks to the leader when it is time, or when there is news.
    pub(super) fn follow(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let beat = self.options.timing.beat;
        let is_due = self.beat_sent.is_none_or(|sent| now - sent >= beat);
        if self.stopped.is_some() || !is_due || !matches!(self.role, Role::Following) {
            return;
        }
        let Some(leader) = self.read.leader.clone() else {
            return;
        };
        self.beat_sent = Some(now);
        if leader == self.options.id {
            // What this node led before it was started again; nobody leads.
            return;
        }
        let beat = Beat {
            node: self.options.id.clone(),
            boot: self.options.boot,
            address: self.options.address.clone(),
            signing: self.options.signing.clone(),
            is_candidate: self.options.is_candidate,
            term: self.read.term,
            applied: self.applied.number,
            live: self.live,
            digest: self.digest,
            keeps: self.fresh.as_ref().map(FreshKey::name),
        };
        out.push(Output::Beat {
            leader,
            sent: now,
            beat,
        });
    }

    /// What the leader says of a beat. An answer of another term is of no use: what was granted then is held.
    pub(super) fn answered(&mut self, sent: BootTime, answer: BeatAnswer, out: &mut Vec<Output>) {
        if !matches!(self.role, Role::Following) || answer.term != self.read.term {
            return;
        }
        self.leader_refuses = false;
        if answer.succeeds {
            self.succeeds_in = Some(answer.term);
        }
        if answer.leader_differs
            && self.leader_differed_in != Some(answer.term)
            && let Some(node) = self.read.leader.clone()
        {
            self.leader_differed_in = Some(answer.term);
            let finding = Finding::Wrong;
            out.push(Output::Differs { node, finding });
        }
        if answer.differs {
            return self.stop(Stopped::Differs, out);
        }
        if let Some(offer) = answer.offer {
            self.keep(offer, out);
        }
        let me = self.read.current(&self.options.id);
        let is_mine = me.is_some_and(|member| member.boot == self.options.boot);
        match answer.left {
            Some(left) if is_mine => {
                let left = left.min(self.options.timing.lease);
                self.lease.renew(sent, left);
            }
            _ => self.lease.give_up(),
        }
    }
}
