//! The one task that a node is: what happens goes in, what is to be done is set going.

use std::time::Duration;

use bytes::Bytes;
use recant_cluster::{
    Appended, Beat, BeatAnswer, Digest, Finding, FreshKey, Input, Mark, Node, NodeOptions, Output,
    PlacedGroup, Ratchet, Slice, Stopped, Version,
};
use recant_jetstream::{AppendError, Fill, JetStreamLog, ReadError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::boot_clock::boot_time;
use super::comparing::Comparing;
use super::entry_store::{EntryStore, Held, LogStanding, PlacedDecided};
use super::event::Event;
use super::gauges::Gauges;
use super::lease_gate::LeaseGate;
use super::live_cell::LiveCell;
use super::log_room::LogRoom;
use super::metric_names as names;
use super::reader::LogReader;
use super::requests::Requests;
use super::status::{Role, Status};
use super::submit_error::SubmitError;
use super::transport::{PeerError, Peers};

/// Entries that are read ahead of the store.
const UNREAD_MAX: usize = 256;

/// Times a beat that the node is told the time.
const TICKS_PER_BEAT: u32 = 5;

/// After so long without an entry the log is asked whether it is there: a leader has something to say each
/// second.
const SILENCE: Duration = Duration::from_secs(4);

/// Between two looks of a leader at how much of the log is taken.
const FILL: Duration = Duration::from_secs(2);

/// Before an entry that could not be applied is tried again.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct Driver<S: EntryStore> {
    node: Node,
    tick: Duration,
    log: JetStreamLog,
    reader: LogReader,
    store: S,
    peers: Peers,
    requests: Requests<S>,
    /// For what is set going to come back with.
    events: mpsc::WeakSender<Event<S>>,
    gate: LeaseGate,
    status: watch::Sender<Status>,
    everywhere: watch::Sender<Version>,
    gauges: Gauges,
    /// When the log was heard of last, by an entry or an answer, and whether it is being asked.
    heard: Instant,
    is_asking: bool,
    is_log_silent: bool,
    /// On a leader, and when it was looked at last.
    room: LogRoom,
    looked: Option<Instant>,
    comparing: Comparing,
    cannot_apply: Option<String>,
    stopped: Option<Stopped>,
    lost: Option<ReadError>,
}

impl<S: EntryStore> Driver<S> {
    pub(crate) fn new(
        options: NodeOptions,
        log: JetStreamLog,
        store: S,
        peers: Peers,
        events: mpsc::WeakSender<Event<S>>,
        gate: LeaseGate,
    ) -> Result<Self, S::Error> {
        let LogStanding { mark, key, fresh } = store.standing()?;
        let reader = LogReader::new(log.clone(), mark.sequence + 1);
        let tick = options.timing.beat / TICKS_PER_BEAT;
        let node = Node::start(options, mark, key, fresh, boot_time());
        let status = watch::Sender::new(status_of(&node));
        Ok(Self {
            node,
            tick,
            log,
            reader,
            store,
            peers,
            requests: Requests::default(),
            events,
            gate,
            status,
            everywhere: watch::Sender::default(),
            gauges: Gauges::default(),
            heard: Instant::now(),
            is_asking: false,
            is_log_silent: false,
            room: LogRoom::default(),
            looked: None,
            comparing: Comparing::default(),
            cannot_apply: None,
            stopped: None,
            lost: None,
        })
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn everywhere(&self) -> watch::Receiver<Version> {
        self.everywhere.subscribe()
    }

    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<Event<S>>,
        live: LiveCell,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut ticks = interval(self.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let has_room = self.node.unread() < UNREAD_MAX;
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                event = events.recv() => match event {
                    Some(event) => self.happened(event),
                    None => break,
                },
                read = self.reader.next(), if has_room => self.read(read),
                (version, forgets) = live.next() => self.give(Input::Live { version, forgets }),
                _ = ticks.tick() => {
                    self.ask_a_silent_log();
                    self.look_at_the_room();
                    self.ask_what_nodes_hold();
                    self.give(Input::Tick);
                }
            }
            self.publish();
        }
        self.gate.set(None);
    }

    fn happened(&mut self, event: Event<S>) {
        match event {
            Event::Submit {
                asked,
                bytes,
                erases,
                everywhere,
                settles,
                answer,
            } => {
                if !self
                    .room
                    .has_room(erases || everywhere.is_some() || settles.is_some())
                {
                    // Whoever asked may have gone away.
                    let _ = answer.send(Err(SubmitError::LogFull));
                    return;
                }
                let request = self.requests.take(asked, answer);
                self.give(Input::Submit {
                    request,
                    bytes,
                    erases,
                    everywhere,
                    settles,
                });
            }
            Event::MayLead(may_lead) => self.give(Input::MayLead(may_lead)),
            Event::HandOver { to } => self.give(Input::HandOver { to }),
            Event::Remove {
                node,
                attested,
                answer,
            } => {
                let request = self.requests.take_removal(answer);
                self.give(Input::Remove {
                    request,
                    node,
                    attested,
                });
            }
            Event::LogFill(fill) => self.note_fill(fill),
            Event::LogAnswers(answers) => {
                self.is_asking = false;
                self.is_log_silent = !answers;
                self.heard = Instant::now();
            }
            Event::Decided(decided) => {
                let decided = self.requests.decided(decided);
                self.give(Input::Decided(decided));
            }
            Event::Appended { attempt, outcome } => {
                if outcome == Appended::Full {
                    self.room.refused();
                }
                self.give(Input::Appended { attempt, outcome });
            }
            Event::KeyKept(name) => self.give(Input::KeyKept(name)),
            Event::Applied {
                number,
                outcomes,
                held,
            } => {
                self.cannot_apply = None;
                if let Some((slice, held)) = held {
                    self.comparing.holds(slice.bits, held.terms);
                    let sum = held.sum;
                    self.give(Input::Digest(Digest { number, sum }));
                }
                self.requests.committed(outcomes);
                self.give(Input::Applied { number });
            }
            Event::NotApplied { number, why } => {
                metrics::counter!(names::CLUSTER_APPLY_FAILURES_TOTAL).increment(1);
                tracing::error!(number, %why, "an entry of the log could not be applied; it is tried again");
                self.cannot_apply = Some(why);
            }
            Event::OwedSince { after, accepted_at } => self.gauges.owed_since(after, accepted_at),
            Event::Beat { beat, answer } => self.answer_beat(beat, answer),
            Event::Answered { sent, answer } => self.give(Input::Answer { sent, answer }),
            Event::LeaderRefuses => self.give(Input::LeaderRefuses),
        }
    }

    fn read(&mut self, read: Result<(u64, Bytes), ReadError>) {
        match read {
            Ok((sequence, payload)) => {
                (self.heard, self.is_log_silent) = (Instant::now(), false);
                let payload = payload.into();
                self.give(Input::Entry { sequence, payload });
            }
            Err(error) => {
                tracing::error!(%error, "this node goes no further");
                self.lost = Some(error);
                self.give(Input::LogLost);
            }
        }
    }

    fn give(&mut self, input: Input) {
        for output in self.node.handle(boot_time(), input) {
            self.set_going(output);
        }
    }

    fn answer_beat(&mut self, beat: Beat, answer: oneshot::Sender<BeatAnswer>) {
        let mut answer = Some(answer);
        for output in self.node.handle(boot_time(), Input::Beat(beat)) {
            match output {
                Output::Answer(it) => {
                    if let Some(answer) = answer.take() {
                        // A node that went away asks again.
                        let _ = answer.send(it);
                    }
                }
                output => self.set_going(output),
            }
        }
    }

    fn set_going(&mut self, output: Output) {
        match output {
            Output::Append {
                attempt,
                tail,
                payload,
            } => self.append(attempt, tail, payload),
            Output::Apply {
                mark,
                groups,
                requests,
                key,
                check,
            } => {
                for PlacedGroup { group, .. } in &groups {
                    metrics::histogram!(names::CLUSTER_GROUP_REQUESTS)
                        .record(group.decided.len() as f64);
                }
                self.requests.commit(requests);
                let decided = groups.into_iter().flat_map(decided_of).collect();
                self.commit(*mark, decided, key, check);
            }
            Output::KeepKey(key) => self.keep_key(key),
            Output::Decide(requests) => {
                let asked = self.requests.decide(requests);
                let store = self.store.clone();
                self.later(async move { Some(Event::Decided(store.decide(asked).await)) });
            }
            Output::ReadFrom(sequence) => self.reader.read_from(sequence),
            Output::Beat { leader, sent, beat } => {
                let Some(to) = self.node.address_of(&leader).cloned() else {
                    return;
                };
                let peers = self.peers.clone();
                self.later(async move {
                    match peers.beat(&to, &beat).await {
                        Ok(answer) => Some(Event::Answered { sent, answer }),
                        Err(PeerError::Refused) => Some(Event::LeaderRefuses),
                        Err(error) => {
                            tracing::debug!(%error, "a beat was not answered");
                            None
                        }
                    }
                });
            }
            // Beats are answered where they come in.
            Output::Answer(_) => {}
            Output::Everywhere(version) => drop(self.everywhere.send_replace(version)),
            Output::Trim(before) => self.trim(before),
            Output::Settle { request, settled } => self.requests.settle(request, settled),
            Output::Differs { node, finding } => {
                metrics::counter!(names::CLUSTER_DIGEST_MISMATCH_TOTAL).increment(1);
                let what = match finding {
                    Finding::Wrong => "it destroys what it holds, and takes the state of another",
                    Finding::Undecided => "no majority says which is right: it answers nobody",
                };
                tracing::error!(%node, what, "a node does not hold what others hold after the same entries");
            }
            Output::Stop(stopped) => {
                tracing::error!(%stopped, "this node goes no further");
                self.stopped = Some(stopped);
            }
        }
    }

    fn append(&mut self, attempt: u64, tail: u64, payload: Vec<u8>) {
        if !self.room.takes(payload.len() as u64) {
            return self.later(async move {
                Some(Event::Appended {
                    attempt,
                    outcome: Appended::Full,
                })
            });
        }
        let log = self.log.clone();
        self.later(async move {
            let began = Instant::now();
            let appended = log.append(tail, payload.into()).await;
            match &appended {
                Ok(_) => metrics::histogram!(names::CLUSTER_LOG_APPEND_SECONDS)
                    .record(began.elapsed().as_secs_f64()),
                Err(AppendError::Refused) => {
                    metrics::counter!(names::CLUSTER_LOG_APPEND_REFUSED_TOTAL).increment(1);
                }
                Err(_) => {}
            }
            let outcome = match &appended {
                Ok(_) => Appended::Done,
                Err(error) => {
                    tracing::debug!(%error, tail, "an append was not acknowledged");
                    Appended::from(error)
                }
            };
            Some(Event::Appended { attempt, outcome })
        });
    }

    /// Drops what no node needs. It is tried again with the next that is not needed.
    fn trim(&self, before: u64) {
        let log = self.log.clone();
        self.later(async move {
            if let Err(error) = log.trim(before).await {
                tracing::warn!(%error, before, "the log was not trimmed");
            }
            None
        });
    }

    /// Has a leader look at how much of the log is taken. Another node knows nothing of it.
    fn look_at_the_room(&mut self) {
        if self.node.leads().is_none() {
            self.room = LogRoom::default();
            self.looked = None;
            return;
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < FILL) {
            return;
        }
        self.looked = Some(Instant::now());
        self.room.look();
        let log = self.log.clone();
        self.later(async move { Some(Event::LogFill(log.fill().await.ok())) });
    }

    /// Has a leader compare the next part of what nodes hold.
    fn ask_what_nodes_hold(&mut self) {
        if self.node.leads().is_some()
            && let Some(slice) = self.comparing.due()
        {
            self.give(Input::Check(slice));
        }
    }

    fn note_fill(&mut self, fill: Option<Fill>) {
        if let Some(fill) = fill.filter(|_| self.looked.is_some()) {
            self.room.looked(fill);
        }
    }

    /// Asks the log whether it is there, when nothing was heard of it for long.
    fn ask_a_silent_log(&mut self) {
        if self.is_asking || self.heard.elapsed() < SILENCE {
            return;
        }
        self.is_asking = true;
        let log = self.log.clone();
        self.later(async move { Some(Event::LogAnswers(log.ends().await.is_ok())) });
    }

    /// Applies an entry, for as long as it takes: without it nothing after it counts.
    fn commit(&self, mark: Mark, decided: Vec<PlacedDecided>, key: Ratchet, check: Option<Slice>) {
        let (store, events) = (self.store.clone(), self.events.clone());
        self.later(async move {
            let number = mark.number;
            loop {
                let committed = store
                    .commit(mark.clone(), decided.clone(), key.clone())
                    .await;
                match committed {
                    Ok(outcomes) => {
                        let held = match check {
                            Some(slice) => held(&store, number, slice).await,
                            None => None,
                        };
                        return Some(Event::Applied {
                            number,
                            outcomes,
                            held,
                        });
                    }
                    Err(error) => {
                        let why = error.to_string();
                        let event = Event::NotApplied { number, why };
                        events.upgrade()?.send(event).await.ok()?;
                        sleep(AGAIN).await;
                    }
                }
            }
        });
    }

    /// Keeps a key for the next series, for as long as it takes: nobody goes on without it.
    fn keep_key(&self, key: FreshKey) {
        let store = self.store.clone();
        self.later(async move {
            while let Err(error) = store.keep_key(key.clone()).await {
                tracing::error!(%error, "the next key of the log could not be kept; it is tried again");
                sleep(AGAIN).await;
            }
            Some(Event::KeyKept(key.name()))
        });
    }

    /// Sets something going; what comes of it is the next thing that happens.
    fn later(&self, work: impl Future<Output = Option<Event<S>>> + Send + 'static) {
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Some(event) = work.await
                && let Some(events) = events.upgrade()
            {
                // Nobody is there any more: the node has ended.
                let _ = events.send(event).await;
            }
        });
    }

    fn publish(&mut self) {
        self.gate.set(self.node.answers_until());
        let status = Status {
            is_log_full: !self.room.has_room(false),
            log_bytes: self.room.bytes(),
            is_log_silent: self.is_log_silent,
            cannot_apply: self.cannot_apply.clone(),
            stopped: self.stopped,
            log: self.lost,
            ..status_of(&self.node)
        };
        self.gauges.count(&self.node.take_seen());
        if let Some(after) = self.gauges.notice(&status) {
            let store = self.store.clone();
            self.later(async move {
                let accepted_at = store.erased_since(after).await;
                Some(Event::OwedSince { after, accepted_at })
            });
        }
        self.gauges.show(&status, &self.gate);
        self.status.send_if_modified(|last| {
            let is_other = *last != status;
            if is_other {
                *last = status;
            }
            is_other
        });
    }
}

/// What a store holds of a part, at the entry that asks for it.
async fn held<S: EntryStore>(store: &S, number: u64, slice: Slice) -> Option<(Slice, Held)> {
    match store.digest(slice).await {
        Ok(held) => Some((slice, held)),
        Err(error) => {
            tracing::warn!(%error, number, "what this node holds was not compared");
            None
        }
    }
}

/// What was decided of each request of a group.
fn decided_of(placed: PlacedGroup) -> impl Iterator<Item = PlacedDecided> {
    let (term, number) = (placed.term, placed.number);
    let decided = placed.group.decided.into_iter();
    decided.map(move |decided| PlacedDecided {
        term,
        number,
        decided,
    })
}

fn status_of(node: &Node) -> Status {
    let mark = node.applied();
    let role = node
        .leads()
        .map_or(Role::Follower, |term| Role::Leader { term });
    Status {
        role,
        term: mark.term,
        leader: mark.leader.clone(),
        leader_address: mark.leader_address().map(|address| address.0.clone()),
        incarnation: mark.incarnation,
        hash: mark.hash,
        applied: mark.number,
        behind: node.unread(),
        live: node.live(),
        everywhere: mark.everywhere,
        members: node.members(),
        wants_key: mark.wants_key > 0,
        to_settle: node.to_settle(),
        signed_with: mark.signed_with.clone(),
        is_log_full: false,
        log_bytes: 0,
        is_log_silent: false,
        cannot_apply: None,
        stopped: None,
        log: None,
    }
}
