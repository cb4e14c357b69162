//! Versions of the model: which one readers of this node see, and which one a leader knows everybody to have.
//!
//! A version of a leader's own term is *everywhere* when its own readers, and those of every current member as
//! it is heard in this term, see it or a later one. Members put out hold no lease; those that were granted one
//! by an earlier leader are current until they are heard or that is over. From then on nobody without it is
//! granted a lease ([`Node::floor`]): by this leader, because it said so, and by every later one, because the
//! log says so before anybody is shown what follows from it.
//!
//! Of versions of earlier terms nothing is said. A version that is later in order may stand for less than they
//! do: whoever led in between may never have had them. From one that the log says to be everywhere on, every
//! later one stands for at least as much, since nobody leads without it, or learns all there is when it does. So
//! a leader makes a version of its own term, with a larger number than both its own last one and the one that
//! the log says to be everywhere, before anything of its term can be forgotten.

use super::exchange::Output;
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::version::Version;

impl Node {
    /// The version that readers of this node see.
    pub fn live(&self) -> Version {
        self.live
    }

    /// What this node, as the leader, has said to be everywhere; nothing when it does not lead.
    pub fn everywhere(&self) -> Option<Version> {
        match &self.role {
            Role::Leading(leading) => Some(leading.everywhere),
            Role::Following | Role::Claiming(_) => None,
        }
    }

    pub(super) fn is_live(&mut self, now: BootTime, version: Version, forgets: bool) {
        if version <= self.live {
            return;
        }
        self.live = version;
        // The leader hears of it at once.
        self.beat_sent = None;
        if let Role::Leading(leading) = &mut self.role {
            let timing = &self.options.timing;
            leading.published.add(version, forgets, now, timing);
        }
    }

    /// The version that a node must have that is to hold a lease.
    pub(super) fn floor(&self) -> Version {
        let said = self.everywhere().unwrap_or_default();
        said.max(self.read.everywhere)
    }

    /// Says what is everywhere, when that has grown.
    pub(super) fn say_everywhere(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let term = self.read.term;
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        if now < leading.alone_from {
            return;
        }
        let others = leading.live_of_others(&self.read, &self.options.id);
        let least = others.map_or(self.live, |others| others.min(self.live));
        let own = leading.published.up_to(least, term);
        if let Some(version) = own.filter(|own| *own > leading.everywhere) {
            leading.everywhere = version;
            let shown = leading.published.shown_at(version, &self.options.timing);
            self.seen
                .everywhere_waits
                .extend(shown.map(|shown| now - shown));
            leading.published.is_everywhere(version, now);
            out.push(Output::Everywhere(version));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entry::{Address, BootId, Incarnation, NodeId};
    use crate::mark::{Mark, Member, Standing};
    use crate::messages::Beat;
    use crate::node::{Input, NodeOptions};
    use crate::ratchet::Ratchet;
    use crate::timing::Timing;
    use uuid::Uuid;
    use zeroize::Zeroizing;

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    fn boot() -> BootId {
        BootId {
            life: 1,
            process: Uuid::nil(),
        }
    }

    fn version(term: u64, number: u64) -> Version {
        Version { term, number }
    }

    /// Node b, which takes the lead of term 4 at 1 s: the leader of term 3 has handed over, and node c follows. The
    /// log says what is everywhere.
    fn leader(live: Version, everywhere: Version) -> Node {
        let member = |standing| Member {
            boot: boot(),
            address: Address(String::new()),
            signing: Vec::new(),
            is_candidate: true,
            joined: 0,
            applied: 0,
            standing,
            debt: None,
        };
        let name = |name: &str| NodeId(name.to_owned());
        let mut mark = Mark::new(Incarnation(Uuid::nil()));
        mark.term = 3;
        mark.everywhere = everywhere;
        mark.leader = Some(name("a"));
        mark.members.insert(name("a"), member(Standing::Out));
        mark.members.insert(name("c"), member(Standing::Current));
        let options = NodeOptions {
            id: name("b"),
            boot: boot(),
            address: Address(String::new()),
            signing: Vec::new(),
            is_candidate: true,
            stored: Version::default(),
            patience: Duration::from_millis(500),
            timing: Timing::default(),
        };
        let key = Ratchet::new(0, 0, Zeroizing::new([1; 32]));
        let mut node = Node::start(options, mark, key, None, at(0));
        let (version, forgets) = (live, false);
        node.handle(at(0), Input::Live { version, forgets });
        let out = node.handle(at(1), Input::Tick);
        let payload = out.into_iter().find_map(|it| match it {
            Output::Append { payload, .. } => Some(payload),
            _ => None,
        });
        let payload = payload.expect("it claims");
        let sequence = node.next_read();
        node.handle(at(1), Input::Entry { sequence, payload });
        node.handle(at(1), Input::Applied { number: 1 });
        assert_eq!(node.leads(), Some(4));
        node
    }

    fn is_live(node: &mut Node, version: Version) -> Vec<Output> {
        let forgets = true;
        node.handle(at(1), Input::Live { version, forgets })
    }

    /// Node c says what its readers see.
    fn hear(node: &mut Node, live: Version) -> Vec<Output> {
        node.handle(
            at(1),
            Input::Beat(Beat {
                node: NodeId(String::from("c")),
                boot: boot(),
                address: Address(String::new()),
                signing: Vec::new(),
                is_candidate: true,
                term: 4,
                applied: 1,
                live,
                digest: None,
                keeps: None,
            }),
        )
    }

    fn said(out: &[Output]) -> Option<Version> {
        out.iter().find_map(|it| match it {
            Output::Everywhere(version) => Some(*version),
            _ => None,
        })
    }

    /// Node c led in between, and may have made what it shows of less than this node knew.
    #[test]
    fn nothing_is_said_of_versions_of_earlier_terms() {
        let mut node = leader(version(2, 20), version(1, 7));
        assert_eq!(said(&hear(&mut node, version(3, 1))), None);
        assert_eq!(said(&is_live(&mut node, version(4, 21))), None);
        assert_eq!(said(&hear(&mut node, version(4, 20))), None);
        let out = hear(&mut node, version(4, 21));
        assert_eq!(said(&out), Some(version(4, 21)));
    }

    #[test]
    fn a_request_needs_what_was_said() {
        let mut node = leader(version(3, 1), version(3, 1));
        is_live(&mut node, version(4, 2));
        hear(&mut node, version(4, 2));
        let refused = |node: &mut Node, version| {
            let submit = Input::Submit {
                request: crate::RequestId(1),
                bytes: 1,
                erases: false,
                everywhere: Some(version),
                settles: None,
            };
            let out = node.handle(at(1), submit);
            out.iter().any(|it| matches!(it, Output::Settle { .. }))
        };
        assert!(refused(&mut node, version(4, 3)) && refused(&mut node, version(3, 1)));
        assert!(!refused(&mut node, version(4, 2)));
    }

    #[test]
    fn a_lease_needs_what_is_everywhere() {
        let granted = |out: Vec<Output>| {
            out.iter()
                .any(|it| matches!(it, Output::Answer(answer) if answer.left.is_some()))
        };
        let mut node = leader(version(3, 1), version(3, 1));
        assert!(!granted(hear(&mut node, version(2, 9))));
        assert!(granted(hear(&mut node, version(3, 1))));
        // The version of a node does not go back within its life: this is an older message.
        assert!(granted(hear(&mut node, version(2, 9))));
    }
}
