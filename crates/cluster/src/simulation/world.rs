//! The schedule: what happens when, all of it from one seed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Mistake;
use super::engine::Engine;
use super::onlooker::Onlooker;
use super::store::{ADD, ERASE, Store, ask, request_of};
use crate::boot_time::BootTime;
use crate::entry::{Body, BootId, Group, Incarnation, NodeId, seal_entry};
use crate::mark::Mark;
use crate::messages::{Beat, BeatAnswer};
use crate::node::{Appended, Input, Node, NodeOptions, Output, RequestId, Settled, Stopped};
use crate::ratchet::Ratchet;
use crate::timing::Timing;

/// Microseconds of the world.
type Micros = u64;

const MILLISECOND: Micros = 1_000;
const SECOND: Micros = 1_000_000;

/// Faults happen until then; then everything has to come right.
const FAULTS_END: Micros = 60 * SECOND;
const END: Micros = 120 * SECOND;

/// What is tried with a seed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    pub(super) is_engine_lax: bool,
    pub(super) mistake: Option<Mistake>,
}

#[derive(Debug)]
enum Event {
    /// Something for one life of a node.
    Input {
        node: usize,
        life: u64,
        input: Input,
    },
    /// A beat reaches a leader; the answer goes back.
    Beat {
        from: usize,
        life: u64,
        to: usize,
        beat: Beat,
        sent: BootTime,
    },
    /// An append reaches the engine.
    Append {
        node: usize,
        life: u64,
        attempt: u64,
        tail: u64,
        payload: Vec<u8>,
    },
    /// The first sync of a store is done, then the second.
    Committed {
        node: usize,
        life: u64,
        mark: Box<Mark>,
        group: Option<Group>,
        key: Ratchet,
    },
    MovedOn {
        node: usize,
        life: u64,
        number: u64,
        key: Ratchet,
    },
    /// A node's reader looks at the log.
    Poll {
        node: usize,
        life: u64,
    },
    Tick {
        node: usize,
        life: u64,
    },
    Start {
        node: usize,
    },
    /// A caller asks somebody.
    Request,
    Fault,
}

#[derive(Debug)]
struct Machine {
    store: Store,
    /// Which entry the ratchet has moved beyond.
    destroyed: u64,
    process: Option<Node>,
    life: u64,
    /// The clock: where it began, and what it gains, in parts of a million.
    offset: Micros,
    gains: i64,
    next_read: u64,
    stopped_until: Micros,
    /// Requests that were decided last.
    decided: Vec<u64>,
    no_log_until: Micros,
    no_peers_until: Micros,
    slow_until: Micros,
}

/// Nodes, engine, network, callers.
pub(super) struct World {
    random: ChaCha8Rng,
    plan: Plan,
    now: Micros,
    queue: BinaryHeap<Reverse<(Micros, u64)>>,
    events: HashMap<u64, Event>,
    next_event: u64,
    engine: Engine,
    silent_until: Micros,
    machines: Vec<Machine>,
    onlooker: Onlooker,
    /// Whether a request erases.
    requests: HashMap<u64, bool>,
    /// What an append carries, for a node that believes the engine.
    carried: HashMap<(usize, u64, u64), Vec<u64>>,
    accepted_late: u64,
}

impl World {
    /// Runs a seed to its end; what was broken, if anything.
    pub(super) fn run(seed: u64, plan: Plan) -> Result<(), String> {
        let mut world = Self::new(seed, plan)?;
        while let Some(Reverse((at, event))) = world.queue.pop()
            && at < END
        {
            world.now = at;
            if let Some(event) = world.events.remove(&event) {
                world.happen(event)?;
            }
            world.look()?;
        }
        world.everything_came_right()
    }

    fn new(seed: u64, plan: Plan) -> Result<Self, String> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let incarnation = Incarnation(Uuid::from_u128(u128::from(seed)));
        let mark = Mark::new(incarnation);
        let key = Ratchet::new(0, Zeroizing::new(random.random()));
        let mut engine = Engine::new(plan.is_engine_lax);
        let first = Body::Lead {
            node: name(0),
            boot: BootId {
                life: 0,
                process: Uuid::from_u128(1),
            },
        };
        engine.append(0, seal_entry(mark.next(1), &first, &key));
        let count = random.random_range(2..=5);
        let machines = (0..count).map(|_| Machine {
            store: Store::new(mark.clone(), key.clone()),
            destroyed: 0,
            process: None,
            life: 0,
            offset: random.random_range(0..1 << 40),
            gains: random.random_range(-9_000..=9_000),
            next_read: 1,
            stopped_until: 0,
            decided: Vec::new(),
            no_log_until: 0,
            no_peers_until: 0,
            slow_until: 0,
        });
        let machines = machines.collect();
        let mut world = Self {
            random,
            plan,
            now: 0,
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            next_event: 0,
            engine,
            silent_until: 0,
            machines,
            onlooker: Onlooker::new(mark, key),
            requests: HashMap::new(),
            carried: HashMap::new(),
            accepted_late: 0,
        };
        world.onlooker.read(&world.engine)?;
        for node in 0..count {
            let after = world.between(0, 2 * SECOND);
            world.later(after, Event::Start { node });
        }
        world.later(SECOND, Event::Request);
        world.later(SECOND, Event::Fault);
        Ok(world)
    }

    fn between(&mut self, least: Micros, most: Micros) -> Micros {
        self.random.random_range(least..=most)
    }

    fn later(&mut self, after: Micros, event: Event) {
        self.next_event += 1;
        self.events.insert(self.next_event, event);
        self.queue
            .push(Reverse((self.now + after, self.next_event)));
    }

    /// The clock of a machine.
    fn clock(&self, node: usize) -> BootTime {
        let machine = &self.machines[node];
        let gained = i128::from(self.now) * i128::from(1_000_000 + machine.gains) / 1_000_000;
        BootTime(Duration::from_micros(machine.offset + gained as u64))
    }

    /// How long a message takes; sometimes long.
    fn delay(&mut self) -> Micros {
        match self.random.random_range(0..100) {
            0 if !self.is_calm() => self.between(0, 5 * SECOND),
            1..5 => self.between(0, SECOND / 2),
            _ => self.between(MILLISECOND / 5, 4 * MILLISECOND),
        }
    }

    fn is_calm(&self) -> bool {
        self.now >= FAULTS_END
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        // What is for a process that stands still waits until it goes on.
        if let Some(node) = event.of()
            && self.machines[node].stopped_until > self.now
        {
            let after = self.machines[node].stopped_until - self.now;
            self.later(after, event);
            return Ok(());
        }
        match event {
            Event::Input { node, life, input } => self.give(node, life, input),
            Event::Beat {
                from,
                life,
                to,
                beat,
                sent,
            } => self.beat(from, life, to, beat, sent),
            Event::Append {
                node,
                life,
                attempt,
                tail,
                payload,
            } => self.append(node, life, attempt, tail, payload),
            Event::Committed {
                node,
                life,
                mark,
                group,
                key,
            } => self.committed(node, life, *mark, group, key),
            Event::MovedOn {
                node,
                life,
                number,
                key,
            } => self.moved_on(node, life, number, key),
            Event::Poll { node, life } => self.poll(node, life),
            Event::Tick { node, life } => {
                if self.machines[node].life == life {
                    self.later(100 * MILLISECOND, Event::Tick { node, life });
                }
                self.give(node, life, Input::Tick)
            }
            Event::Start { node } => self.start(node),
            Event::Request => self.request(),
            Event::Fault => {
                self.fault();
                Ok(())
            }
        }
    }

    fn timing(&self) -> Timing {
        let mut timing = Timing::default();
        if self.errs(Mistake::NoMargin) {
            timing.margin = Duration::ZERO;
        }
        timing
    }

    fn errs(&self, mistake: Mistake) -> bool {
        self.plan.mistake == Some(mistake)
    }

    fn start(&mut self, node: usize) -> Result<(), String> {
        if self.machines[node].process.is_some() {
            return Ok(());
        }
        let boot = BootId {
            life: self.machines[node].life + 1,
            process: Uuid::from_u128(self.random.random()),
        };
        let patience = Duration::from_millis(400 * node as u64);
        let options = NodeOptions {
            id: name(node),
            boot,
            is_candidate: node < 3,
            patience,
            timing: self.timing(),
        };
        let now = self.clock(node);
        let machine = &mut self.machines[node];
        machine.store.open();
        machine.destroyed = machine.store.mark.number;
        machine.life += 1;
        machine.next_read = machine.store.mark.sequence + 1;
        let (mark, key) = (machine.store.mark.clone(), machine.store.key.clone());
        machine.process = Some(Node::start(options, mark, key, now));
        let life = machine.life;
        self.later(0, Event::Poll { node, life });
        self.later(0, Event::Tick { node, life });
        Ok(())
    }

    /// Gives a process something, and does what it says.
    fn give(&mut self, node: usize, life: u64, mut input: Input) -> Result<(), String> {
        let now = self.clock(node);
        if self.errs(Mistake::LeaseFromAnswer)
            && let Input::Answer { sent, .. } = &mut input
        {
            *sent = now;
        }
        let machine = &mut self.machines[node];
        if machine.life != life {
            return Ok(());
        }
        let Some(process) = &mut machine.process else {
            return Ok(());
        };
        for output in process.handle(now, input) {
            self.carry_out(node, life, output)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, node: usize, life: u64, output: Output) -> Result<(), String> {
        match output {
            Output::Append {
                attempt,
                tail,
                payload,
            } => self.send(node, life, attempt, tail, payload),
            Output::Apply { mark, group, key } => self.apply(node, life, mark, group, key),
            Output::Decide(asked) => {
                let store = &self.machines[node].store;
                let decided = asked.iter().map(|asked| store.decide(asked)).collect();
                self.machines[node].decided =
                    asked.iter().filter_map(|it| request_of(it)).collect();
                let input = Input::Decided(decided);
                self.later(MILLISECOND / 10, Event::Input { node, life, input });
            }
            Output::ReadFrom(sequence) => self.machines[node].next_read = sequence,
            Output::Beat { leader, sent, beat } => {
                let to = (0..self.machines.len()).find(|other| name(*other) == leader);
                if let Some(to) = to.filter(|to| self.is_connected(node, *to)) {
                    let after = self.delay();
                    let from = node;
                    self.later(
                        after,
                        Event::Beat {
                            from,
                            life,
                            to,
                            beat,
                            sent,
                        },
                    );
                }
            }
            Output::Answer(_) => unreachable!("taken where the beat arrives"),
            Output::Settle { request, settled } => {
                if settled == Settled::Accepted {
                    let erases = self.requests[&request.0];
                    let store = &self.machines[node].store;
                    self.onlooker.acknowledged(request.0, erases, store)?;
                    self.accepted_late += u64::from(self.is_calm());
                }
            }
            Output::Stop(Stopped::Replaced) => {}
            Output::Stop(stopped) => return Err(format!("node {node} stopped: {stopped}")),
        }
        Ok(())
    }

    fn send(&mut self, node: usize, life: u64, attempt: u64, tail: u64, payload: Vec<u8>) {
        // Now and then it is on its way for long, and arrives when another node leads.
        let carries = std::mem::take(&mut self.machines[node].decided);
        self.carried.insert((node, life, attempt), carries);
        let long = !self.is_calm() && self.random.random_ratio(1, 40);
        let after = if long {
            self.between(0, 20 * SECOND)
        } else {
            self.delay()
        };
        self.later(
            after,
            Event::Append {
                node,
                life,
                attempt,
                tail,
                payload,
            },
        );
    }

    fn apply(
        &mut self,
        node: usize,
        life: u64,
        mark: Box<Mark>,
        group: Option<Group>,
        key: Ratchet,
    ) {
        let slow = self.machines[node].slow_until > self.now;
        let most = if slow { 3 * SECOND } else { 6 * MILLISECOND };
        let after = self.between(MILLISECOND / 2, most);
        if self.errs(Mistake::RatchetFirst) {
            self.machines[node].store.move_on(key.clone());
        }
        if self.errs(Mistake::SayAppliedEarly) {
            let number = mark.number;
            let input = Input::Applied { number };
            self.later(0, Event::Input { node, life, input });
        }
        self.later(
            after,
            Event::Committed {
                node,
                life,
                mark,
                group,
                key,
            },
        );
    }

    fn is_connected(&self, one: usize, other: usize) -> bool {
        let is_cut = |node: usize| self.machines[node].no_peers_until > self.now;
        !is_cut(one) && !is_cut(other)
    }

    fn beat(
        &mut self,
        from: usize,
        life: u64,
        to: usize,
        beat: Beat,
        sent: BootTime,
    ) -> Result<(), String> {
        let now = self.clock(to);
        let to_life = self.machines[to].life;
        let Some(leader) = &mut self.machines[to].process else {
            return Ok(());
        };
        let outputs = leader.handle(now, Input::Beat(beat));
        let mut answer: Option<BeatAnswer> = None;
        for output in outputs {
            match output {
                Output::Answer(said) => answer = Some(said),
                other => self.carry_out(to, to_life, other)?,
            }
        }
        if let Some(mut answer) = answer
            && self.is_connected(from, to)
        {
            if self.errs(Mistake::WholeLease) {
                answer.left = answer.left.map(|_| Timing::default().lease);
            }
            let input = Input::Answer { sent, answer };
            let times = if self.random.random_ratio(1, 50) {
                2
            } else {
                1
            };
            for _ in 0..times {
                let after = self.delay();
                let (node, input) = (from, input.clone());
                self.later(after, Event::Input { node, life, input });
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        node: usize,
        life: u64,
        attempt: u64,
        tail: u64,
        payload: Vec<u8>,
    ) -> Result<(), String> {
        let is_cut = self.machines[node].no_log_until > self.now;
        let is_silent = self.silent_until > self.now;
        // An engine that does not answer may have taken it all the same.
        let arrives = !is_cut && (!is_silent || self.random.random_ratio(1, 4));
        let mut outcome = Appended::Unknown;
        if arrives {
            let taken = self.engine.append(tail, payload);
            outcome = if taken {
                Appended::Done
            } else {
                Appended::Refused
            };
            self.onlooker.read(&self.engine)?;
            if taken {
                self.delivered_to_all();
            }
            if taken && self.errs(Mistake::BelieveTheEngine) {
                for request in self
                    .carried
                    .remove(&(node, life, attempt))
                    .into_iter()
                    .flatten()
                {
                    if !self.requests[&request] && !self.onlooker.knows(request) {
                        return Err(String::from(
                            "I5: acknowledged, and in no entry that counts",
                        ));
                    }
                }
            }
        }
        let is_lost = !self.is_calm() && self.random.random_ratio(1, 30);
        if is_silent || is_lost {
            outcome = Appended::Unknown;
        }
        let after = self.delay();
        let input = Input::Appended { attempt, outcome };
        self.later(after, Event::Input { node, life, input });
        Ok(())
    }

    /// Everybody's reader hears that there is something.
    fn delivered_to_all(&mut self) {
        for node in 0..self.machines.len() {
            let (life, after) = (self.machines[node].life, self.delay());
            self.later(after, Event::Poll { node, life });
        }
    }

    fn poll(&mut self, node: usize, life: u64) -> Result<(), String> {
        if self.machines[node].life != life || self.machines[node].process.is_none() {
            return Ok(());
        }
        let is_cut = self.machines[node].no_log_until > self.now || self.silent_until > self.now;
        // A reader looks again by itself: what it was told of may have been lost.
        if self.random.random_ratio(1, 8) || is_cut {
            self.later(SECOND / 4, Event::Poll { node, life });
        }
        if is_cut {
            return Ok(());
        }
        let from = self.machines[node].next_read;
        for sequence in from..=self.engine.len() {
            self.machines[node].next_read = sequence + 1;
            let times = match self.random.random_range(0..100) {
                0 if !self.is_calm() => 0,
                1 => 2,
                _ => 1,
            };
            for _ in 0..times {
                let payload = self.engine.at(sequence).cloned().expect("there");
                self.give(node, life, Input::Entry { sequence, payload })?;
            }
        }
        Ok(())
    }

    fn committed(
        &mut self,
        node: usize,
        life: u64,
        mark: Mark,
        group: Option<Group>,
        key: Ratchet,
    ) -> Result<(), String> {
        let machine = &mut self.machines[node];
        if machine.life != life || machine.process.is_none() {
            return Ok(());
        }
        machine
            .store
            .commit(&mark, group.as_ref(), self.plan.mistake);
        self.onlooker.applied(&machine.store)?;
        let after = self.between(MILLISECOND / 5, 2 * MILLISECOND);
        let number = mark.number;
        self.later(
            after,
            Event::MovedOn {
                node,
                life,
                number,
                key,
            },
        );
        Ok(())
    }

    fn moved_on(
        &mut self,
        node: usize,
        life: u64,
        number: u64,
        key: Ratchet,
    ) -> Result<(), String> {
        let machine = &mut self.machines[node];
        if machine.life != life || machine.process.is_none() {
            return Ok(());
        }
        machine.store.move_on(key);
        machine.destroyed = number;
        let leads = self.machines[node].process.as_ref().and_then(Node::leads);
        if leads.is_some() && self.errs(Mistake::AnswerBeforeOthers) {
            self.onlooker.believes_acknowledged(number);
        }
        self.give(node, life, Input::Applied { number })
    }

    fn request(&mut self) -> Result<(), String> {
        let after = self.between(5 * MILLISECOND, 150 * MILLISECOND);
        self.later(after, Event::Request);
        let request = self.requests.len() as u64;
        let erases = self.random.random_ratio(1, 4);
        let whom = self.random.random_range(0..6);
        let asked = ask(if erases { ERASE } else { ADD }, whom, request);
        self.requests.insert(request, erases);
        // A caller finds the leader mostly, but asks anybody.
        let leader = self.machines.iter().position(|machine| {
            let process = machine.process.as_ref();
            process.is_some_and(|process| process.leads().is_some())
        });
        let anybody = self.random.random_range(0..self.machines.len());
        let node = leader
            .filter(|_| self.random.random_ratio(3, 4))
            .unwrap_or(anybody);
        let life = self.machines[node].life;
        let input = Input::Submit {
            request: RequestId(request),
            asked,
            erases,
        };
        self.later(0, Event::Input { node, life, input });
        Ok(())
    }

    fn fault(&mut self) {
        if self.is_calm() {
            return;
        }
        let after = self.between(SECOND / 5, 6 * SECOND);
        self.later(after, Event::Fault);
        let node = self.random.random_range(0..self.machines.len());
        let long = self
            .between(SECOND / 10, 20 * SECOND)
            .min(FAULTS_END - self.now);
        let until = self.now + long;
        let what = self.random.random_range(0..8);
        let whom = self.random.random_range(0..6);
        let machine = &mut self.machines[node];
        match what {
            0 | 1 => {
                machine.process = None;
                machine.life += 1;
                machine.stopped_until = 0;
                self.later(long.min(8 * SECOND), Event::Start { node });
            }
            2 => {
                machine.stopped_until = until;
            }
            3 => machine.no_log_until = until,
            4 => machine.no_peers_until = until,
            5 => machine.slow_until = until,
            6 => self.silent_until = self.now + long.min(9 * SECOND),
            _ => machine.store.forget_tombstone(whom),
        }
    }

    /// What the onlooker sees of those who may answer readers now.
    fn look(&self) -> Result<(), String> {
        for (node, machine) in self.machines.iter().enumerate() {
            let Some(process) = &machine.process else {
                continue;
            };
            if machine.stopped_until <= self.now && process.may_answer(self.clock(node)) {
                self.onlooker.may_answer(node, machine.destroyed)?;
            }
        }
        Ok(())
    }

    fn everything_came_right(&self) -> Result<(), String> {
        let leaders = self.machines.iter().filter(|machine| {
            let process = machine.process.as_ref();
            process.is_some_and(|process| process.leads().is_some())
        });
        if leaders.count() != 1 || self.accepted_late == 0 {
            return Err(String::from("a minute after the last fault nobody leads"));
        }
        for (node, machine) in self.machines.iter().enumerate() {
            let process = machine.process.as_ref();
            let answers = process.is_some_and(|process| process.may_answer(self.clock(node)));
            let behind = self.onlooker.number() - machine.store.mark.number;
            if !answers || behind > 100 {
                return Err(format!(
                    "a minute after the last fault node {node} does not answer, {behind} behind"
                ));
            }
        }
        Ok(())
    }
}

impl Event {
    /// The machine whose process it is for.
    fn of(&self) -> Option<usize> {
        match self {
            Self::Input { node, .. }
            | Self::Beat { to: node, .. }
            | Self::Committed { node, .. }
            | Self::MovedOn { node, .. }
            | Self::Poll { node, .. }
            | Self::Tick { node, .. } => Some(*node),
            Self::Append { .. } | Self::Start { .. } | Self::Request | Self::Fault => None,
        }
    }
}

fn name(node: usize) -> NodeId {
    NodeId(format!("n{node}"))
}
