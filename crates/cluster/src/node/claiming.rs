//! How a node comes to lead: the log is silent, and it says so behind the last entry.

use super::exchange::{Appended, Output, Settled};
use super::leadership::Leading;
use super::pending::Pending;
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::entry::{Body, EntryHash, seal_entry};

impl Node {
    /// Claims to lead when the log was silent for long, and everything in it is applied: a node that leads
    /// lacks nothing that was ever acknowledged.
    pub(super) fn claim(&mut self, now: BootTime, out: &mut Vec<Output>) {
        if self.stopped.is_some() || !self.is_at_tail() {
            return;
        }
        match &self.role {
            Role::Following => {
                let silence = self.options.timing.takeover + self.options.patience;
                if self.options.is_candidate && now - self.heard >= silence {
                    let body = Body::Lead {
                        node: self.options.id.clone(),
                        boot: self.options.boot,
                    };
                    let pending = self.append(now, self.read.term + 1, &body, out);
                    self.role = Role::Claiming(pending);
                }
            }
            Role::Claiming(pending) if pending.is_due(now) => self.append_again(now, out),
            Role::Claiming(_) | Role::Leading(_) => {}
        }
    }

    /// Sends an entry after the last one that was read.
    pub(super) fn append(
        &mut self,
        now: BootTime,
        term: u64,
        body: &Body,
        out: &mut Vec<Output>,
    ) -> Pending {
        self.attempts += 1;
        let payload = seal_entry(self.read.next(term), body, &self.key);
        let attempt = self.attempts;
        out.push(Output::Append {
            attempt,
            tail: self.sequence,
            payload: payload.clone(),
        });
        Pending::new(payload, attempt, now, &self.options.timing)
    }

    /// Sends the entry that is on its way once more, behind the tail as it is now.
    pub(super) fn append_again(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let (attempt, tail) = (self.attempts + 1, self.sequence);
        let timing = self.options.timing;
        let Some(pending) = self.pending_mut() else {
            return;
        };
        pending.sent_again(attempt, now, &timing);
        let payload = pending.payload.clone();
        out.push(Output::Append {
            attempt,
            tail,
            payload,
        });
        self.attempts = attempt;
    }

    pub(super) fn appended(&mut self, now: BootTime, attempt: u64, outcome: Appended) {
        if let Some(pending) = self.pending_mut() {
            pending.appended(now, attempt, outcome);
        }
    }

    fn pending_mut(&mut self) -> Option<&mut Pending> {
        match &mut self.role {
            Role::Following => None,
            Role::Claiming(pending) => Some(pending),
            Role::Leading(leading) => leading.pending.as_mut(),
        }
    }

    /// An entry that counts was read. If it is the one on its way, that has arrived; if it is another's, the
    /// one on its way can never count.
    pub(super) fn read_back(
        &mut self,
        now: BootTime,
        hash: EntryHash,
        body: &Body,
        out: &mut Vec<Output>,
    ) {
        let is_mine = self
            .pending_mut()
            .is_some_and(|pending| pending.hash == hash);
        match &mut self.role {
            Role::Following => {}
            Role::Claiming(pending) if is_mine => {
                let other = self.applied.current(&self.options.id);
                let has_other_life = other.is_some_and(|it| it.boot != self.options.boot);
                let timing = &self.options.timing;
                let leading = Leading::new(pending.sent, now, has_other_life, timing);
                self.lease.give_up();
                self.role = Role::Leading(Box::new(leading));
            }
            Role::Claiming(_) => self.role = Role::Following,
            Role::Leading(leading) if is_mine => {
                leading.arrived(&self.options.timing, body, now);
            }
            Role::Leading(_) => self.lose_lead(out),
        }
    }

    /// Gives up the lead, and tells whoever waits.
    pub(super) fn lose_lead(&mut self, out: &mut Vec<Output>) {
        let role = std::mem::replace(&mut self.role, Role::Following);
        let Role::Leading(leading) = role else {
            return;
        };
        for (request, refusal) in leading.unanswered() {
            let settled = Settled::Refused(refusal);
            out.push(Output::Settle { request, settled });
        }
    }
}
