//! What goes wrong, and what has to be right all the same.

use std::collections::BTreeSet;

use super::world::{Event, FAULTS_END, Micros, SECOND, World};
use crate::entry::NodeId;
use crate::node::{Input, Node, RequestId};

impl World {
    pub(super) fn fault(&mut self) {
        if self.is_calm() {
            return;
        }
        let after = self.between(SECOND / 5, 6 * SECOND);
        self.later(after, Event::Fault);
        let node = self.any_machine();
        let long = self
            .between(SECOND / 10, 20 * SECOND)
            .min(FAULTS_END - self.now);
        let until = self.now + long;
        let what = self.between(0, 12);
        let whom = self.between(0, 5) as u8;
        let machine = &mut self.machines[node];
        match what {
            0 | 1 => self.crash(node, long.min(8 * SECOND)),
            2 => machine.stopped_until = until,
            3 => machine.no_log_until = until,
            4 => machine.no_peers_until = until,
            5 => machine.slow_until = until,
            6 => self.silent_until = self.now + long.min(9 * SECOND),
            7 => self.tell_all(&Input::HandOver { to: None }),
            // Of a listener that is not there for a moment, though its process leads.
            8 => self.tell_all(&Input::LeaderRefuses),
            9 => self.remove(node),
            10 => machine.no_versions_until = until,
            _ => machine.store.forget_tombstone(whom),
        }
    }

    pub(super) fn crash(&mut self, node: usize, long: Micros) {
        let machine = &mut self.machines[node];
        machine.process = None;
        machine.life += 1;
        machine.stopped_until = 0;
        self.later(long, Event::Start { node });
    }

    fn tell_all(&mut self, input: &Input) {
        for node in 0..self.machines.len() {
            let (life, input) = (self.machines[node].life, input.clone());
            self.later(0, Event::Input { node, life, input });
        }
    }

    /// An operator removes a node for good: one in a run, or two of many, and enough stay that one may lead.
    fn remove(&mut self, node: usize) {
        let most = match self.machines.len() {
            0..3 => 0,
            3 => 1,
            _ => 2,
        };
        let removed: BTreeSet<usize> = self.removals.values().copied().collect();
        if !removed.contains(&node) && removed.len() == most {
            return;
        }
        let request = self.new_request(false, |_| Vec::new());
        self.removals.insert(request, node);
        let attested = self.ratio(1, 2);
        self.tell_all(&Input::Remove {
            request: RequestId(request),
            node: name(node),
            attested,
        });
    }

    /// What the onlooker sees of those who may answer readers now.
    pub(super) fn look(&self) -> Result<(), String> {
        for (node, machine) in self.machines.iter().enumerate() {
            let Some(process) = &machine.process else {
                continue;
            };
            if machine.stopped_until <= self.now && process.may_answer(self.clock(node)) {
                let shown = &machine.readers.shown;
                self.onlooker.may_answer(node, machine.destroyed, shown)?;
            }
        }
        Ok(())
    }

    pub(super) fn everything_came_right(&self) -> Result<(), String> {
        let processes = self.machines.iter().enumerate();
        let leaders = processes.filter(|(node, _)| self.leads(*node).is_some());
        let leaders: Vec<usize> = leaders.map(|(node, _)| node).collect();
        let ([leader], 1..) = (leaders.as_slice(), self.accepted_late) else {
            return Err(String::from("a minute after the last fault nobody leads"));
        };
        if let Some(request) = (self.turned_away.iter()).find(|it| self.onlooker.knows(**it)) {
            return Err(format!(
                "request {request} was told that the log is full, and is in it"
            ));
        }
        if self.onlooker.wants_key() {
            return Err(String::from(
                "a minute after the last fault somebody who was removed has the keys",
            ));
        }
        let newest = self.machines[*leader].readers.shown;
        for (node, machine) in self.machines.iter().enumerate() {
            if self.onlooker.is_removed(&name(node)) {
                continue;
            }
            let process = machine.process.as_ref();
            let answers = process.is_some_and(|process| process.may_answer(self.clock(node)));
            let behind = self.onlooker.number() - machine.store.mark.number;
            let shown = machine.readers.shown;
            if !answers || behind > 100 || shown != newest {
                return Err(format!(
                    "a minute after the last fault node {node} answers: {answers}, {behind} behind, from \
                     version {} of {}",
                    shown.version, newest.version
                ));
            }
        }
        let members = self.machines[*leader].process.as_ref().map(Node::members);
        self.onlooker.knows_members(&members.unwrap_or_default())
    }
}

pub(super) fn name(node: usize) -> NodeId {
    NodeId(format!("n{node}"))
}
