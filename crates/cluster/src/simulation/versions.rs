//! What readers are shown: leaders make versions of the model, others get them, late or never.

use super::Mistake;
use super::store::{SETTLE, ask};
use super::world::{Event, MILLISECOND, Micros, SECOND, World};
use crate::messages::Beat;
use crate::node::{Input, Node, RequestId};
use crate::version::Version;

/// Versions that a node may come back with when it is started again.
const KEPT: usize = 20;

/// A version as it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) version: Version,
    /// The last entry that it stands for.
    pub(super) learnt: u64,
    /// What is in it.
    pub(super) content: u64,
}

/// What readers of a machine see.
#[derive(Debug, Default)]
pub(super) struct Readers {
    pub(super) shown: Made,
    /// What is on its disk of what they saw, in order.
    pub(super) kept: Vec<Made>,
    /// Whether a version is being made.
    pub(super) is_making: bool,
    /// The term that its process leads, as far as was noticed.
    pub(super) leads: Option<u64>,
}

impl World {
    /// Whoever begins to lead makes a version of its own.
    pub(super) fn notice_lead(&mut self, node: usize) {
        let leads = self.leads(node);
        let readers = &mut self.machines[node].readers;
        if std::mem::replace(&mut readers.leads, leads) != leads && leads.is_some() {
            readers.is_making = false;
            self.make_soon(node);
        }
    }

    pub(super) fn leads(&self, node: usize) -> Option<u64> {
        self.machines[node].process.as_ref().and_then(Node::leads)
    }

    /// A leader makes a version of what it has applied, in its own time.
    pub(super) fn make_soon(&mut self, node: usize) {
        let Some(term) = self.leads(node) else {
            return;
        };
        if std::mem::replace(&mut self.machines[node].readers.is_making, true) {
            return;
        }
        let life = self.machines[node].life;
        let after = self.pace(node, 200 * MILLISECOND);
        self.later(after, Event::Publish { node, life, term });
    }

    pub(super) fn publish(&mut self, node: usize, life: u64, term: u64) -> Result<(), String> {
        if self.machines[node].life != life || self.leads(node) != Some(term) {
            return Ok(());
        }
        let machine = &mut self.machines[node];
        machine.readers.is_making = false;
        let shown = machine.readers.shown;
        let Some(process) = &machine.process else {
            return Ok(());
        };
        let mark = process.applied();
        let (applied, everywhere, erased) = (mark.number, mark.everywhere, mark.erased);
        // Who took the lead without what others were shown learns all there is.
        let is_behind = shown.version < everywhere;
        let learnt = if is_behind {
            applied
        } else {
            self.between(shown.learnt.min(applied), applied)
        };
        let number = shown.version.number.max(everywhere.number) + 1;
        let made = Made {
            version: Version { term, number },
            learnt,
            content: self.between(0, u64::MAX),
        };
        self.onlooker.made(made)?;
        let forgets = erased > shown.learnt || self.ratio(1, 4);
        if learnt < erased {
            self.make_soon(node);
        }
        self.show(node, made, forgets);
        Ok(())
    }

    /// Readers see a version; a little later the node is told so.
    fn show(&mut self, node: usize, made: Made, forgets: bool) {
        let machine = &mut self.machines[node];
        let (life, version) = (machine.life, made.version);
        machine.readers.shown = made;
        machine.newest = machine.newest.max(version);
        machine.readers.kept.push(made);
        if machine.readers.kept.len() > KEPT {
            machine.readers.kept.remove(0);
        }
        let after = self.between(0, 3 * MILLISECOND);
        let input = Input::Live { version, forgets };
        self.later(after, Event::Input { node, life, input });
    }

    /// A node asks its leader for what its readers do not see yet.
    pub(super) fn follow(&mut self, node: usize, life: u64) {
        if self.machines[node].life != life {
            return;
        }
        let again = self.between(20 * MILLISECOND, 150 * MILLISECOND);
        self.later(again, Event::Follow { node, life });
        let process = self.machines[node].process.as_ref();
        let Some(leader) = process.and_then(|process| process.applied().leader.clone()) else {
            return;
        };
        let to = self.named(&leader);
        let Some(to) = to.filter(|to| *to != node && self.is_connected(node, *to)) else {
            return;
        };
        let made = self.machines[to].readers.shown;
        let is_running = self.machines[to].stopped_until <= self.now;
        let is_cut = self.machines[node].no_versions_until > self.now;
        let is_news = !is_cut && made.version > self.machines[node].readers.shown.version;
        if is_running && self.leads(to).is_some() && is_news {
            let after = self.pace(node, 20 * MILLISECOND);
            self.later(after, Event::Update { node, life, made });
        }
    }

    /// A version has arrived. It waits for the entries that it stands for.
    pub(super) fn update(&mut self, node: usize, life: u64, made: Made) {
        let machine = &self.machines[node];
        let (shown, process) = (machine.readers.shown, machine.process.as_ref());
        if machine.life != life || made.version <= shown.version {
            return;
        }
        if process.is_some_and(|process| process.applied().number >= made.learnt) {
            self.show(node, made, false);
        } else {
            let after = 50 * MILLISECOND;
            self.later(after, Event::Update { node, life, made });
        }
    }

    /// A leader writes down what follows from a version that is everywhere; and now and then tries to with one
    /// of which nobody said so.
    pub(super) fn settle(&mut self, node: usize, life: u64, mut version: Version) {
        let request = self.new_request(false, |request| ask(SETTLE, 0, request));
        if self.ratio(1, 20) {
            version.number += 1_000_000;
            self.untrue.insert(request);
        }
        // Who has come back is said with it, as it may with anything.
        let process = self.machines[node].process.as_ref();
        let settles = process.and_then(|process| process.to_settle().pop());
        let settles = settles.map(|it| (it.node, it.upto));
        let input = Input::Submit {
            request: RequestId(request),
            bytes: 10,
            erases: false,
            everywhere: Some(version),
            settles,
        };
        let after = self.between(0, 30 * MILLISECOND);
        self.later(after, Event::Input { node, life, input });
    }

    /// A process begins with what is on its disk: the version it showed last, an older one, or none.
    pub(super) fn shown_at_start(&mut self, node: usize) {
        let count = self.machines[node].readers.kept.len();
        let back = if self.ratio(1, 3) {
            1
        } else {
            self.between(1, KEPT as Micros) as usize
        };
        let machine = &mut self.machines[node];
        let kept = count.checked_sub(back).map(|at| machine.readers.kept[at]);
        machine
            .readers
            .kept
            .truncate((count + 1).saturating_sub(back));
        machine.readers.shown = kept.unwrap_or_default();
        machine.readers.is_making = false;
        let (life, newest) = (machine.life, machine.newest);
        let version = if self.errs(Mistake::LiveOfAnotherLife) {
            newest
        } else {
            self.machines[node].readers.shown.version
        };
        let after = self.between(0, SECOND / 2);
        let input = Input::Live {
            version,
            forgets: false,
        };
        self.later(after, Event::Input { node, life, input });
    }

    /// What a leader hears of a node's version that makes a mistake.
    pub(super) fn mistaken_live(&self, from: usize, to: usize, beat: &mut Beat) {
        let Some(leader) = &self.machines[to].process else {
            return;
        };
        let said = leader.everywhere().unwrap_or_default();
        let floor = said.max(leader.applied().everywhere);
        let readers = &self.machines[from].readers;
        if self.errs(Mistake::EverywhereTooSoon) && beat.live >= floor {
            beat.live = leader.live();
        }
        if self.errs(Mistake::LeaseWithoutVersion) {
            beat.live = beat.live.max(floor);
        }
        if self.errs(Mistake::ClaimWithoutVersion) {
            beat.live = readers.shown.version;
        }
    }

    /// How long work takes: long on a machine that is slow.
    fn pace(&mut self, node: usize, most: Micros) -> Micros {
        let is_slow = self.machines[node].slow_until > self.now;
        let most = if is_slow { 4 * SECOND } else { most };
        self.between(MILLISECOND, most)
    }
}
