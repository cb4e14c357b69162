//! What one endpoint has still to be told, and what of it is to be sent when.
//!
//! No clock, no disk, no network: moments and results are given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::states;
use recant_types::{ErasureId, ErasureRecord, ErasureStatus, UnixMillis};

/// Of one erasure.
#[derive(Debug, Default)]
struct Waiting {
    /// The last state that the endpoint needs to be told no more.
    done: Option<ErasureStatus>,
    /// The furthest that was reached at the last look.
    reached: Option<ErasureStatus>,
    /// When each state of [`states::ORDER`] was reached.
    times: [Option<UnixMillis>; states::ORDER.len()],
    /// Attempts to send the next state that failed.
    failures: usize,
    activity: Activity,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Activity {
    /// There is nothing to send.
    #[default]
    Idle,
    /// The next state is to be sent from this moment on.
    Due(Instant),
    /// The next state is being sent.
    UnderWay,
}

/// What became of an erasure in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// More of it is to be told.
    More,
    /// That was the last.
    Finished,
}

/// All erasures of which an endpoint has still to be told something.
#[derive(Debug)]
pub(super) struct Queue {
    /// The states that it is told, ascending.
    told: Vec<ErasureStatus>,
    waiting: BTreeMap<ErasureId, Waiting>,
    /// What is due, soonest first.
    due: BTreeSet<(Instant, ErasureId)>,
}

impl Queue {
    /// Nothing yet, for an endpoint that is told these states, ascending.
    pub(super) fn new(told: Vec<ErasureStatus>) -> Self {
        Self {
            told,
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Takes up an erasure of which the endpoint needs to be told nothing up to `done`. One that is known
    /// already stays as it is.
    pub(super) fn enter(&mut self, id: ErasureId, done: Option<ErasureStatus>) {
        self.waiting.entry(id).or_insert_with(|| Waiting {
            done,
            ..Waiting::default()
        });
    }

    /// The erasures that may reach further states.
    pub(super) fn unfinished(&self) -> Vec<ErasureId> {
        let last = states::ORDER.last().copied();
        let unfinished = self.waiting.iter().filter(|(_, it)| it.reached != last);
        unfinished.map(|(id, _)| *id).collect()
    }

    /// Notes how far an erasure has come; what there is to send is due at `now`.
    pub(super) fn reach(&mut self, record: &ErasureRecord, now: Instant) {
        let Some(waiting) = self.waiting.get_mut(&record.id) else {
            return;
        };
        waiting.reached = Some(states::reached(record));
        waiting.times = states::ORDER.map(|state| states::time_of(record, state));
        self.make_due(record.id, now);
    }

    /// What is to be sent at `now`: it is under way from then on.
    pub(super) fn take(&mut self, now: Instant) -> Option<(ErasureId, ErasureStatus)> {
        let (_, id) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.pop_first();
        let state = self.next(id)?;
        let waiting = self.waiting.get_mut(&id)?;
        waiting.activity = Activity::UnderWay;
        Some((id, state))
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether `state` is the last that the endpoint is told.
    pub(super) fn is_last(&self, state: ErasureStatus) -> bool {
        self.told.last() == Some(&state)
    }

    /// The endpoint needs to be told `state` no more. What comes after it is due at `now`.
    pub(super) fn done(&mut self, id: ErasureId, state: ErasureStatus, now: Instant) -> After {
        if self.is_last(state) {
            self.remove(id);
            return After::Finished;
        }
        if let Some(waiting) = self.waiting.get_mut(&id) {
            (waiting.done, waiting.failures) = (Some(state), 0);
            waiting.activity = Activity::Idle;
            self.make_due(id, now);
        }
        After::More
    }

    /// How often the next state of an erasure was sent in vain, this attempt included.
    pub(super) fn count_failure(&mut self, id: ErasureId) -> usize {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return 0;
        };
        waiting.failures += 1;
        waiting.failures
    }

    /// The state that was under way is due again at `at`.
    pub(super) fn put_off(&mut self, id: ErasureId, at: Instant) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.activity = Activity::Due(at);
            self.due.insert((at, id));
        }
    }

    /// Forgets an erasure.
    pub(super) fn remove(&mut self, id: ErasureId) {
        if let Some(waiting) = self.waiting.remove(&id)
            && let Activity::Due(at) = waiting.activity
        {
            self.due.remove(&(at, id));
        }
    }

    /// The oldest erasures beyond `most`, but for those of which something is under way, with the number of
    /// states of each that could be sent.
    pub(super) fn beyond(&self, most: usize) -> Vec<(ErasureId, u64)> {
        let excess = self.waiting.len().saturating_sub(most);
        let oldest = self.waiting.iter().take(excess);
        let resting = oldest.filter(|(_, it)| it.activity != Activity::UnderWay);
        resting
            .map(|(id, it)| (*id, self.sendable(it).count() as u64))
            .collect()
    }

    /// The states that were reached before `limit` and are neither sent nor under way: the first of each
    /// erasure.
    pub(super) fn older_than(&self, limit: UnixMillis) -> Vec<(ErasureId, ErasureStatus)> {
        let resting = self.waiting.iter();
        let resting = resting.filter(|(_, it)| it.activity != Activity::UnderWay);
        let next = resting.filter_map(|(id, it)| Some((*id, self.sendable(it).next()?)));
        next.filter(|(_, (_, at))| *at < limit)
            .map(|(id, (state, _))| (id, state))
            .collect()
    }

    /// When the state of an erasure was reached.
    pub(super) fn reached_at(&self, id: ErasureId, state: ErasureStatus) -> Option<UnixMillis> {
        let waiting = self.waiting.get(&id)?;
        let mut sendable = self.sendable(waiting);
        sendable.find(|(it, _)| *it == state).map(|(_, at)| at)
    }

    /// How many states that were reached the endpoint has still to be told, and when the oldest was reached.
    pub(super) fn backlog(&self) -> (u64, Option<UnixMillis>) {
        let all = self.waiting.values().flat_map(|it| self.sendable(it));
        all.fold((0, None), |(count, oldest), (_, at)| {
            (
                count + 1,
                Some(oldest.map_or(at, |oldest: UnixMillis| oldest.min(at))),
            )
        })
    }

    /// The states of one erasure that were reached and are not done, with their times.
    fn sendable(
        &self,
        waiting: &Waiting,
    ) -> impl Iterator<Item = (ErasureStatus, UnixMillis)> + '_ {
        let (done, reached, times) = (waiting.done, waiting.reached, waiting.times);
        let told = self.told.iter().copied();
        let open = told.filter(move |state| Some(*state) > done && Some(*state) <= reached);
        open.filter_map(move |state| {
            let place = states::ORDER.iter().position(|it| *it == state)?;
            Some((state, times[place]?))
        })
    }

    fn next(&self, id: ErasureId) -> Option<ErasureStatus> {
        let waiting = self.waiting.get(&id)?;
        self.sendable(waiting).next().map(|(state, _)| state)
    }

    fn make_due(&mut self, id: ErasureId, now: Instant) {
        if self.next(id).is_none() {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(&id)
            && waiting.activity == Activity::Idle
        {
            waiting.activity = Activity::Due(now);
            self.due.insert((now, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::webhooks::states::tests::record;

    #[derive(Debug, Clone)]
    enum Step {
        /// An erasure is accepted.
        Accept,
        /// The one at this place comes one state further.
        Advance(usize),
        /// All records are looked at.
        Look,
        /// The next message is sent, and this is what becomes of it.
        Send { acknowledged: bool },
        /// The process ends; what is durable stays.
        Restart,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::Accept),
            (0..6usize).prop_map(Step::Advance),
            Just(Step::Look),
            any::<bool>().prop_map(|acknowledged| Step::Send { acknowledged }),
            Just(Step::Restart),
        ];
        prop::collection::vec(step, 0..120)
    }

    fn subsets() -> impl Strategy<Value = Vec<ErasureStatus>> {
        prop::sample::subsequence(states::ORDER.to_vec(), 1..=4)
    }

    /// The queue, and a disk and an endpoint to hold it against.
    struct Model {
        told: Vec<ErasureStatus>,
        queue: Queue,
        now: Instant,
        records: Vec<ErasureRecord>,
        durable: BTreeMap<ErasureId, Option<ErasureStatus>>,
        received: BTreeMap<ErasureId, Vec<ErasureStatus>>,
    }

    impl Model {
        fn new(told: Vec<ErasureStatus>) -> Self {
            Self {
                queue: Queue::new(told.clone()),
                told,
                now: Instant::now(),
                records: Vec::new(),
                durable: BTreeMap::new(),
                received: BTreeMap::new(),
            }
        }

        fn advance(&mut self, place: usize) {
            let Some(known) = self.records.get_mut(place) else {
                return;
            };
            let next = states::ORDER.iter().find(|state| **state > known.status);
            if let Some(next) = next {
                let id = known.id;
                *known = record(*next);
                known.id = id;
            }
        }

        fn look(&mut self) {
            for (id, done) in &self.durable {
                self.queue.enter(*id, *done);
            }
            for id in self.queue.unfinished() {
                let record = self.records.iter().find(|record| record.id == id);
                self.queue.reach(record.expect("accepted"), self.now);
            }
        }

        /// Sends one message, if one is due; the connection may break before or after it was received.
        fn send(&mut self, acknowledged: bool) -> bool {
            let Some((id, state)) = self.queue.take(self.now) else {
                return false;
            };
            self.received.entry(id).or_default().push(state);
            if !acknowledged {
                self.queue.count_failure(id);
                self.queue.put_off(id, self.now);
                return true;
            }
            if self.queue.is_last(state) {
                self.durable.remove(&id);
            } else {
                self.durable.insert(id, Some(state));
            }
            self.queue.done(id, state, self.now);
            true
        }

        fn step(&mut self, step: &Step) {
            match step {
                Step::Accept => {
                    let accepted = record(ErasureStatus::Accepted);
                    self.durable.insert(accepted.id, None);
                    self.records.push(accepted);
                }
                Step::Advance(place) => self.advance(*place),
                Step::Look => self.look(),
                Step::Send { acknowledged } => {
                    self.send(*acknowledged);
                }
                Step::Restart => self.queue = Queue::new(self.told.clone()),
            }
        }
    }

    proptest! {
        /// Whatever fails and whenever the process ends: everything arrives, and of one erasure a state
        /// never comes before or after its turn.
        #[test]
        fn every_state_arrives_in_order(told in subsets(), steps in steps()) {
            let mut model = Model::new(told.clone());
            steps.iter().for_each(|step| model.step(step));
            for place in 0..model.records.len() {
                (0..4).for_each(|_| model.advance(place));
            }
            model.look();
            while model.send(true) {}
            prop_assert!(model.durable.is_empty());
            prop_assert_eq!(model.queue.backlog(), (0, None));
            prop_assert_eq!(model.queue.next_due(), None);
            for record in &model.records {
                let mut received = model.received.remove(&record.id).unwrap_or_default();
                prop_assert!(received.is_sorted());
                received.dedup();
                prop_assert_eq!(received, told.clone());
            }
        }
    }

    #[test]
    fn one_erasure_has_one_message_under_way_and_the_others_are_not_held_up() {
        let now = Instant::now();
        let mut queue = Queue::new(states::ORDER.to_vec());
        let (first, second) = (
            record(ErasureStatus::Erased),
            record(ErasureStatus::Accepted),
        );
        for record in [&first, &second] {
            queue.enter(record.id, None);
            queue.reach(record, now);
        }
        let mut taken = [queue.take(now), queue.take(now)].map(|it| it.expect("due"));
        taken.sort_unstable();
        let accepted = ErasureStatus::Accepted;
        assert_eq!(taken, [(first.id, accepted), (second.id, accepted)]);
        assert_eq!(queue.take(now), None);
        let later = now + Duration::from_secs(5);
        assert_eq!(queue.count_failure(first.id), 1);
        queue.put_off(first.id, later);
        assert_eq!(queue.done(second.id, accepted, now), After::More);
        assert_eq!((queue.take(now), queue.next_due()), (None, Some(later)));
        assert_eq!(queue.take(later), Some((first.id, accepted)));
        assert_eq!(queue.count_failure(first.id), 2);
        assert_eq!(queue.done(first.id, accepted, later), After::More);
        assert_eq!(queue.take(later), Some((first.id, ErasureStatus::Erased)));
    }

    #[test]
    fn the_oldest_are_dropped_and_what_is_old_is_known() {
        let now = Instant::now();
        let mut queue = Queue::new(states::ORDER.to_vec());
        let records: Vec<_> = (0..4).map(|_| record(ErasureStatus::Forgotten)).collect();
        for record in &records {
            queue.enter(record.id, Some(ErasureStatus::Accepted));
            queue.reach(record, now);
        }
        assert_eq!(queue.backlog(), (8, records[0].erased_at));
        let beyond = [(records[0].id, 2), (records[1].id, 2)];
        assert_eq!(queue.beyond(2), beyond);
        assert_eq!(queue.beyond(4), []);
        let erased_at = records[0].erased_at.expect("erased");
        assert_eq!(queue.older_than(erased_at), []);
        let after = UnixMillis(erased_at.0 + 1);
        assert_eq!(queue.older_than(after).len(), 4);
        let (id, state) = queue.take(now).expect("due");
        assert_eq!(queue.reached_at(id, state), Some(erased_at));
        assert!(queue.beyond(0).iter().all(|(other, _)| *other != id));
        assert_eq!(queue.older_than(after).len(), 3);
        queue.remove(records[3].id);
        assert_eq!(queue.beyond(0).len(), 2);
    }
}
