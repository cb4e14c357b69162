//! The schedule: what happens when, all of it from one seed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Mistake;
use super::engine::Engine;
use super::faults::name;
use super::onlooker::Onlooker;
use super::store::{ADD, ERASE, Store, ask};
use super::versions::{Made, Readers};
use crate::boot_time::BootTime;
use crate::entry::{Address, Body, BootId, Incarnation, NodeId, PlacedGroup, Slice, seal_entry};
use crate::mark::Mark;
use crate::messages::{Beat, BeatAnswer, Digest, Offer};
use crate::node::{
    Appended, Input, Node, NodeOptions, Output, Refusal, RequestId, Settled, Stopped,
};
use crate::ratchet::{FreshKey, Ratchet};
use crate::timing::Timing;
use crate::version::Version;

/// Microseconds of the world.
pub(super) type Micros = u64;

pub(super) const MILLISECOND: Micros = 1_000;
pub(super) const SECOND: Micros = 1_000_000;

/// Faults happen until then; then everything has to come right.
pub(super) const FAULTS_END: Micros = 60 * SECOND;
/// Callers ask for nothing from then on.
const REQUESTS_END: Micros = 115 * SECOND;
const END: Micros = 120 * SECOND;

/// What is tried with a seed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    pub(super) is_engine_lax: bool,
    pub(super) mistake: Option<Mistake>,
}

#[derive(Debug)]
pub(super) enum Event {
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
    /// A store keeps a key for the next series.
    Kept {
        node: usize,
        life: u64,
        key: FreshKey,
    },
    /// The first sync of a store is done, then the second.
    Committed {
        node: usize,
        life: u64,
        mark: Box<Mark>,
        groups: Vec<PlacedGroup>,
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
    /// It does so by itself.
    Look {
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
    /// A leader has made a version of the model.
    Publish {
        node: usize,
        life: u64,
        term: u64,
    },
    /// A node asks its leader for newer versions.
    Follow {
        node: usize,
        life: u64,
    },
    /// A version arrives.
    Update {
        node: usize,
        life: u64,
        made: Made,
    },
    /// A caller asks somebody.
    Request,
    Fault,
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) store: Store,
    pub(super) readers: Readers,
    /// The newest version that its readers were ever shown.
    pub(super) newest: Version,
    /// Which entry the ratchet has moved beyond.
    pub(super) destroyed: u64,
    pub(super) process: Option<Node>,
    pub(super) life: u64,
    /// The clock: where it began, and what it gains, in parts of a million.
    pub(super) offset: Micros,
    pub(super) gains: i64,
    pub(super) next_read: u64,
    pub(super) stopped_until: Micros,
    /// Requests that were decided last.
    pub(super) decided: Vec<u64>,
    /// Whether the entry that it applies asks what it holds.
    pub(super) checked: bool,
    pub(super) no_log_until: Micros,
    pub(super) no_peers_until: Micros,
    pub(super) slow_until: Micros,
    /// No version of the model gets there until then.
    pub(super) no_versions_until: Micros,
}

/// Nodes, engine, network, callers.
pub(super) struct World {
    pub(super) random: ChaCha8Rng,
    pub(super) plan: Plan,
    pub(super) now: Micros,
    pub(super) queue: BinaryHeap<Reverse<(Micros, u64)>>,
    pub(super) events: HashMap<u64, Event>,
    pub(super) next_event: u64,
    pub(super) engine: Engine,
    pub(super) silent_until: Micros,
    pub(super) machines: Vec<Machine>,
    pub(super) onlooker: Onlooker,
    /// Whether a request erases.
    pub(super) requests: HashMap<u64, bool>,
    /// What a request asks.
    pub(super) asked: HashMap<u64, Vec<u8>>,
    /// What an append carries, for a node that believes the engine.
    pub(super) carried: HashMap<(usize, u64, u64), Vec<u64>>,
    pub(super) accepted_late: u64,
    /// Requests that say of a version that it is everywhere, though nobody said so.
    pub(super) untrue: HashSet<u64>,
    /// Requests of an operator, and whom they remove.
    pub(super) removals: HashMap<u64, usize>,
    /// The key for the next series that somebody was handed last.
    pub(super) offered: Option<Offer>,
    /// Requests that were told that the log is full.
    pub(super) turned_away: Vec<u64>,
    /// The last entry when the engine was trimmed last.
    pub(super) trimmed_at: u64,
    /// Between two requests of callers at most.
    pub(super) quiet: Micros,
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
        let key = Ratchet::new(0, 0, Zeroizing::new(random.random()));
        let mut engine = Engine::new(plan.is_engine_lax);
        let first = Body::Lead {
            node: name(0),
            boot: BootId {
                life: 0,
                process: Uuid::from_u128(1),
            },
            address: address(0),
            signing: Vec::new(),
            is_candidate: true,
        };
        engine.append(0, seal_entry(mark.next(1), &first, &key));
        let count = random.random_range(2..=5);
        let quiet = if random.random_ratio(1, 2) {
            150 * MILLISECOND
        } else {
            4 * SECOND
        };
        let machines = (0..count).map(|_| Machine {
            store: Store::new(mark.clone(), key.clone()),
            readers: Readers::default(),
            newest: Version::default(),
            destroyed: 0,
            process: None,
            life: 0,
            offset: random.random_range(0..1 << 40),
            gains: random.random_range(-9_000..=9_000),
            next_read: 1,
            stopped_until: 0,
            decided: Vec::new(),
            checked: false,
            no_log_until: 0,
            no_peers_until: 0,
            slow_until: 0,
            no_versions_until: 0,
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
            asked: HashMap::new(),
            carried: HashMap::new(),
            accepted_late: 0,
            untrue: HashSet::new(),
            removals: HashMap::new(),
            offered: None,
            turned_away: Vec::new(),
            trimmed_at: 0,
            quiet,
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

    pub(super) fn ratio(&mut self, so_many: u32, of: u32) -> bool {
        self.random.random_ratio(so_many, of)
    }

    pub(super) fn any_machine(&mut self) -> usize {
        self.random.random_range(0..self.machines.len())
    }

    pub(super) fn named(&self, node: &NodeId) -> Option<usize> {
        (0..self.machines.len()).find(|other| name(*other) == *node)
    }

    pub(super) fn between(&mut self, least: Micros, most: Micros) -> Micros {
        self.random.random_range(least..=most)
    }

    pub(super) fn later(&mut self, after: Micros, event: Event) {
        self.next_event += 1;
        self.events.insert(self.next_event, event);
        self.queue
            .push(Reverse((self.now + after, self.next_event)));
    }

    /// The clock of a machine.
    pub(super) fn clock(&self, node: usize) -> BootTime {
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

    pub(super) fn is_calm(&self) -> bool {
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
            Event::Kept { node, life, key } => self.kept(node, life, key),
            Event::Committed {
                node,
                life,
                mark,
                groups,
                key,
            } => self.committed(node, life, *mark, &groups, key),
            Event::MovedOn {
                node,
                life,
                number,
                key,
            } => self.moved_on(node, life, number, key),
            Event::Poll { node, life } => self.poll(node, life),
            Event::Look { node, life } => self.read_anew(node, life),
            Event::Tick { node, life } => self.tick(node, life),
            Event::Publish { node, life, term } => self.publish(node, life, term),
            Event::Follow { node, life } => {
                self.follow(node, life);
                Ok(())
            }
            Event::Update { node, life, made } => {
                self.update(node, life, made);
                Ok(())
            }
            Event::Start { node } => self.start(node),
            Event::Request => self.request(),
            Event::Fault => {
                self.fault();
                Ok(())
            }
        }
    }

    fn tick(&mut self, node: usize, life: u64) -> Result<(), String> {
        if self.machines[node].life != life {
            return Ok(());
        }
        self.later(100 * MILLISECOND, Event::Tick { node, life });
        if self.errs(Mistake::ClaimWithoutVersion)
            && let Some(process) = &self.machines[node].process
        {
            let version = process.applied().everywhere;
            let forgets = false;
            self.give(node, life, Input::Live { version, forgets })?;
        }
        if self.now % (2 * SECOND) < 100 * MILLISECOND {
            let slice = Slice { bits: 0, number: 0 };
            self.give(node, life, Input::Check(slice))?;
        }
        self.give(node, life, Input::Tick)
    }

    fn timing(&self) -> Timing {
        let mut timing = Timing::default();
        if self.errs(Mistake::NoMargin) {
            timing.margin = Duration::ZERO;
        }
        timing
    }

    pub(super) fn errs(&self, mistake: Mistake) -> bool {
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
            address: address(node),
            signing: Vec::new(),
            is_candidate: node < 3,
            stored: self.machines[node].readers.shown.version,
            patience,
            timing: self.timing(),
        };
        let now = self.clock(node);
        let machine = &mut self.machines[node];
        machine.store.open();
        machine.destroyed = machine.store.mark.number;
        machine.life += 1;
        machine.next_read = machine.store.mark.sequence + 1;
        let store = machine.store.clone();
        let process = Node::start(options, store.mark, store.key, store.fresh, now);
        machine.process = Some(process);
        let life = machine.life;
        self.later(0, Event::Look { node, life });
        self.later(0, Event::Tick { node, life });
        self.later(0, Event::Follow { node, life });
        self.shown_at_start(node);
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
        self.notice_lead(node);
        Ok(())
    }

    fn carry_out(&mut self, node: usize, life: u64, output: Output) -> Result<(), String> {
        match output {
            Output::Append {
                attempt,
                tail,
                payload,
            } => self.send(node, life, attempt, tail, payload),
            Output::Apply {
                mark,
                groups,
                key,
                check,
                ..
            } => {
                self.machines[node].checked = check.is_some();
                self.apply(node, life, mark, groups, key);
            }
            Output::KeepKey(key) => self.keep(node, life, key),
            Output::Decide(requests) => {
                let machine = &mut self.machines[node];
                let asked = requests.iter().map(|it| &self.asked[&it.0]);
                let decided = asked.map(|asked| Some(machine.store.decide(asked)));
                let decided = decided.collect();
                machine.decided = requests.iter().map(|it| it.0).collect();
                let input = Input::Decided(decided);
                self.later(MILLISECOND / 10, Event::Input { node, life, input });
            }
            Output::ReadFrom(sequence) => self.machines[node].next_read = sequence,
            Output::Beat { leader, sent, beat } => {
                let to = self.named(&leader);
                if let Some(to) = to.filter(|to| self.is_connected(node, *to)) {
                    let after = self.delay();
                    let from = node;
                    if self.machines[to].process.is_none() {
                        let input = Input::LeaderRefuses;
                        self.later(after, Event::Input { node, life, input });
                    }
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
            Output::Everywhere(version) => self.settle(node, life, version),
            Output::Trim(sequence) => self.trim(node, sequence),
            Output::Answer(_) => unreachable!("taken where the beat arrives"),
            Output::Settle { request, settled } => {
                if settled == Settled::Accepted
                    && let Some(whom) = self.removals.get(&request.0)
                {
                    if !self.onlooker.is_removed(&name(*whom)) {
                        return Err(String::from("a removal is settled that is not in the log"));
                    }
                } else if settled == Settled::Refused(Refusal::LogFull) {
                    self.turned_away.push(request.0);
                } else if settled == Settled::Accepted {
                    if self.untrue.contains(&request.0) {
                        return Err(String::from("I4: settled by a version that nobody has"));
                    }
                    let erases = self.requests[&request.0];
                    let store = &self.machines[node].store;
                    self.onlooker.acknowledged(request.0, erases, store)?;
                    self.look_who_owes()?;
                    self.accepted_late += u64::from(self.is_calm());
                }
            }
            Output::Differs { node, finding } => {
                return Err(format!("I8: {node} holds the same, and is {finding:?}"));
            }
            Output::Stop(Stopped::Replaced) => {}
            Output::Stop(Stopped::NoKey) => return self.lacks_key(node),
            Output::Stop(Stopped::Removed) if self.onlooker.is_removed(&name(node)) => {}
            Output::Stop(stopped) => return Err(format!("node {node} stopped: {stopped}")),
        }
        Ok(())
    }

    fn look_who_owes(&self) -> Result<(), String> {
        let mut machines = self.machines.iter().enumerate();
        machines.try_for_each(|(node, machine)| self.onlooker.owes(&name(node), machine.destroyed))
    }

    fn trim(&mut self, node: usize, mut sequence: u64) {
        if self.errs(Mistake::TrimTooFar)
            && let Some(process) = &self.machines[node].process
        {
            sequence = process.applied().sequence;
        }
        if sequence > self.engine.begins() {
            self.engine.trim(sequence);
            self.trimmed_at = self.onlooker.number();
        }
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
        groups: Vec<PlacedGroup>,
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
                groups,
                key,
            },
        );
    }

    pub(super) fn is_connected(&self, one: usize, other: usize) -> bool {
        let is_cut = |node: usize| self.machines[node].no_peers_until > self.now;
        !is_cut(one) && !is_cut(other)
    }

    fn beat(
        &mut self,
        from: usize,
        life: u64,
        to: usize,
        mut beat: Beat,
        sent: BootTime,
    ) -> Result<(), String> {
        let now = self.clock(to);
        self.mistaken_live(from, to, &mut beat);
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
            if self.errs(Mistake::KeyForEverybody) {
                answer.offer = answer.offer.or(self.offered.clone());
            }
            if let Some(offer) = &answer.offer {
                self.onlooker.handed(name(from), &offer.key);
                self.offered = Some(offer.clone());
            }
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
        if arrives && self.is_full_for(attempt) {
            outcome = Appended::Full;
        } else if arrives {
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

    /// Whether the engine has no room just now.
    fn is_full_for(&self, attempt: u64) -> bool {
        !self.is_calm() && attempt % 37 == 5
    }

    /// Everybody's reader hears that there is something.
    fn delivered_to_all(&mut self) {
        for node in 0..self.machines.len() {
            let (life, after) = (self.machines[node].life, self.delay());
            self.later(after, Event::Poll { node, life });
        }
    }

    /// A reader that was told of nothing for a second looks by itself, from what its node has on: it may not
    /// have been told, or told of something else.
    fn read_anew(&mut self, node: usize, life: u64) -> Result<(), String> {
        let machine = &mut self.machines[node];
        if machine.life != life {
            return Ok(());
        }
        if let Some(process) = &machine.process {
            machine.next_read = process.next_read();
        }
        self.later(SECOND, Event::Look { node, life });
        self.poll(node, life)
    }

    fn poll(&mut self, node: usize, life: u64) -> Result<(), String> {
        if self.machines[node].life != life || self.machines[node].process.is_none() {
            return Ok(());
        }
        if self.machines[node].no_log_until > self.now || self.silent_until > self.now {
            return Ok(());
        }
        let from = self.machines[node].next_read;
        if from < self.engine.begins() {
            return self.lost_the_log(node);
        }
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

    /// A reader is behind what the engine still has.
    fn lost_the_log(&mut self, node: usize) -> Result<(), String> {
        let stands = self.machines[node].store.mark.sequence + 1;
        let is_needed = self.onlooker.is_member_since(&name(node), self.trimmed_at);
        if stands < self.engine.begins() && is_needed {
            return Err(format!("node {node} needs what was trimmed"));
        }
        let process = self.machines[node].process.as_ref();
        self.machines[node].next_read = process.map_or(stands, Node::next_read);
        if stands < self.engine.begins() && self.take_state(node, self.trimmed_at) {
            self.crash(node, SECOND);
        }
        Ok(())
    }

    /// A node that never joined takes what another has that stands behind this entry; whether it could.
    fn take_state(&mut self, node: usize, behind: u64) -> bool {
        let mut others = self.machines.iter();
        let from = others.find(|it| it.destroyed > behind);
        let Some(from) = from.filter(|it| it.destroyed == it.store.mark.number) else {
            return false;
        };
        let mut store = from.store.clone();
        // A state is sent without what is kept for later.
        store.fresh = None;
        self.machines[node].store = store;
        true
    }

    /// A node was not given the key that the log goes on under: so may it be with one that was no member.
    fn lacks_key(&mut self, node: usize) -> Result<(), String> {
        let stands = self.machines[node].store.mark.number;
        if self.onlooker.is_member_since(&name(node), stands) {
            return Err(format!("I13: node {node} has data, and not the key"));
        }
        self.take_state(node, stands);
        // Without one it is where it was, and tries again.
        self.crash(node, SECOND);
        Ok(())
    }

    /// A store writes down a key for the next series.
    fn keep(&mut self, node: usize, life: u64, key: FreshKey) {
        self.onlooker.handed(name(node), &key);
        let is_late = self.errs(Mistake::SayKeptEarly);
        if is_late {
            let input = Input::KeyKept(key.name());
            self.later(0, Event::Input { node, life, input });
        }
        let slow = is_late || self.machines[node].slow_until > self.now;
        let most = if slow { 3 * SECOND } else { 2 * MILLISECOND };
        let after = self.between(MILLISECOND / 5, most);
        self.later(after, Event::Kept { node, life, key });
    }

    fn kept(&mut self, node: usize, life: u64, key: FreshKey) -> Result<(), String> {
        let machine = &mut self.machines[node];
        if machine.life != life || machine.process.is_none() {
            return Ok(());
        }
        let name = key.name();
        machine.store.fresh = Some(key);
        self.give(node, life, Input::KeyKept(name))
    }

    fn committed(
        &mut self,
        node: usize,
        life: u64,
        mark: Mark,
        groups: &[PlacedGroup],
        key: Ratchet,
    ) -> Result<(), String> {
        let machine = &mut self.machines[node];
        if machine.life != life || machine.process.is_none() {
            return Ok(());
        }
        machine.store.commit(&mark, groups, self.plan.mistake);
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
        let before = std::mem::replace(&mut machine.destroyed, number);
        let erases = machine.store.mark.erased > before;
        let leads = self.machines[node].process.as_ref().and_then(Node::leads);
        if leads.is_some() && self.errs(Mistake::AnswerBeforeOthers) {
            self.onlooker.believes_acknowledged(number);
        }
        if erases {
            self.make_soon(node);
        }
        if self.machines[node].checked {
            let sum = self.machines[node].store.sum();
            self.give(node, life, Input::Digest(Digest { number, sum }))?;
        }
        self.give(node, life, Input::Applied { number })
    }

    pub(super) fn new_request(&mut self, erases: bool, asks: impl FnOnce(u64) -> Vec<u8>) -> u64 {
        let request = self.requests.len() as u64;
        self.requests.insert(request, erases);
        self.asked.insert(request, asks(request));
        request
    }

    fn request(&mut self) -> Result<(), String> {
        if self.now > REQUESTS_END {
            return Ok(());
        }
        let after = self.between(5 * MILLISECOND, self.quiet);
        self.later(after, Event::Request);
        let erases = self.random.random_ratio(1, 4);
        let whom = self.random.random_range(0..6);
        let what = if erases { ERASE } else { ADD };
        let request = self.new_request(erases, |request| ask(what, whom, request));
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
            bytes: 10,
            erases,
            everywhere: None,
            settles: None,
        };
        self.later(0, Event::Input { node, life, input });
        Ok(())
    }
}

impl Event {
    /// The machine whose process it is for.
    fn of(&self) -> Option<usize> {
        match self {
            Self::Input { node, .. }
            | Self::Beat { to: node, .. }
            | Self::Kept { node, .. }
            | Self::Committed { node, .. }
            | Self::MovedOn { node, .. }
            | Self::Poll { node, .. }
            | Self::Look { node, .. }
            | Self::Publish { node, .. }
            | Self::Follow { node, .. }
            | Self::Update { node, .. }
            | Self::Tick { node, .. } => Some(*node),
            Self::Append { .. } | Self::Start { .. } | Self::Request | Self::Fault => None,
        }
    }
}

fn address(node: usize) -> Address {
    Address(format!("https://n{node}"))
}
