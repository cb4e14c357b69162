//! The task that tells one endpoint: looks, sends, notes what was acknowledged, tries again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::endpoint::{Deliver, Delivery, StateMessage, Told, ToldProgress, WebhookAccount};
use super::outbox::{Done, write_down};
use super::queue::{After, Queue};
use crate::metric_names as names;
use crate::query::ServiceError;
use crate::service::Service;
use recant_types::{ErasureId, ErasureStatus, UnixMillis};

/// Messages to one endpoint that are under way at once, each of another erasure: one that is slow holds up no
/// more than a place.
const AT_ONCE: usize = 4;

/// Longest that an endpoint can ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long what is under way may take to be answered once the process is to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What becomes of messages, as the metrics say it.
const OUTCOMES: [&str; 5] = ["delivered", "failed", "given_up", "dropped", "gone"];

/// Tells one endpoint until it is told to stop.
pub(super) struct Courier {
    service: Service,
    told: Arc<Told>,
    queue: Queue,
    /// What is being sent.
    under_way: JoinSet<Attempt>,
    /// The endpoint wants to be left alone until then.
    paused_until: Option<Instant>,
    gone: bool,
    account: WebhookAccount,
    stop: watch::Receiver<bool>,
}

/// What became of one message.
struct Attempt {
    id: ErasureId,
    state: ErasureStatus,
    outcome: Outcome,
}

enum Outcome {
    /// It was acknowledged, and that is durable.
    Done,
    /// Nothing is known of the erasure, or not of this state any more.
    Nothing,
    /// It has to be sent again.
    Failed {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// The endpoint wants no more.
    Gone,
    /// The process stops.
    Stopped,
}

impl Courier {
    pub(super) fn new(service: Service, told: Arc<Told>, stop: watch::Receiver<bool>) -> Self {
        Self {
            service,
            queue: Queue::new(told.endpoint.states.clone()),
            told,
            under_way: JoinSet::new(),
            paused_until: None,
            gone: false,
            account: WebhookAccount::default(),
            stop,
        }
    }

    /// Tells until told to stop.
    pub(super) async fn run(mut self) {
        // Shown from the first scrape on, so that the first of each is seen to grow.
        OUTCOMES.iter().for_each(|outcome| self.count(outcome, 0));
        self.tell_progress();
        let mut look = self.next_look();
        loop {
            self.send_what_is_due();
            let wake = self.next_send().map_or(look, |send| send.min(look));
            let happened = tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => break,
                Some(attempt) = self.under_way.join_next() => Some(attempt.ok()),
                () = tokio::time::sleep_until(wake.into()) => None,
            };
            match happened {
                Some(attempt) => self.settle(attempt).await,
                None if look <= Instant::now() => {
                    self.look().await;
                    look = self.next_look();
                }
                None => {}
            }
        }
        let under_way = &mut self.under_way;
        let all = async { while under_way.join_next().await.is_some() {} };
        // What is not answered by then is sent again after the next start.
        let _ = tokio::time::timeout(STOP_GRACE, all).await;
        // What waits is told by whoever goes on; an alert about it is that node's.
        self.show_waiting(0, 0);
    }

    /// The next whole multiple of the endpoint's interval.
    fn next_look(&self) -> Instant {
        Instant::now() + until_multiple(UnixMillis::now(), self.told.endpoint.every)
    }

    /// When there is something to send and a place for it.
    fn next_send(&self) -> Option<Instant> {
        if self.gone || self.under_way.len() >= AT_ONCE {
            return None;
        }
        let due = self.queue.next_due()?;
        Some(self.paused_until.map_or(due, |paused| paused.max(due)))
    }

    fn send_what_is_due(&mut self) {
        while self.next_send().is_some_and(|at| at <= Instant::now()) {
            let Some((id, state)) = self.queue.take(Instant::now()) else {
                return;
            };
            let (service, told) = (self.service.clone(), Arc::clone(&self.told));
            let (is_last, stop) = (self.queue.is_last(state), self.stop.clone());
            self.under_way.spawn(async move {
                let outcome = attempt(&service, &told, id, state, is_last, stop).await;
                Attempt { id, state, outcome }
            });
        }
    }

    /// Reads what there is to tell, and how far the erasures have come.
    async fn look(&mut self) {
        if let Err(error) = self.read_outbox().await {
            tracing::warn!(endpoint = self.name(), %error, "the outbox cannot be read; trying again");
        }
        self.drop_excess().await;
        if self.gone {
            self.give_up_old().await;
        }
        self.tell_progress();
    }

    async fn read_outbox(&mut self) -> Result<(), ServiceError> {
        let endpoint = self.told.key;
        let waiting = self
            .service
            .read(move |store| store.outbox(endpoint))
            .await?;
        for (id, done) in waiting {
            self.queue.enter(id, done);
        }
        let records = self.service.erasures_of(self.queue.unfinished()).await?;
        let mut unknown = Vec::new();
        for (id, record) in records {
            match record {
                Some(record) => self.queue.reach(&record, Instant::now()),
                None => unknown.push(id),
            }
        }
        self.forget(&unknown).await;
        Ok(())
    }

    /// Drops the oldest where there is more than may wait.
    async fn drop_excess(&mut self) {
        let beyond = self.queue.beyond(self.told.endpoint.waiting_max);
        if beyond.is_empty() {
            return;
        }
        let states: u64 = beyond.iter().map(|(_, states)| states).sum();
        let erasures = beyond.len();
        tracing::error!(
            endpoint = self.name(),
            erasures,
            states,
            "more waits than is kept: the oldest are dropped"
        );
        self.count("dropped", states);
        self.account.dropped += states;
        let ids: Vec<ErasureId> = beyond.into_iter().map(|(id, _)| id).collect();
        self.forget(&ids).await;
    }

    /// Of an endpoint that is sent nothing, what is too old is given up all the same.
    async fn give_up_old(&mut self) {
        loop {
            let old = self.queue.older_than(self.oldest_kept());
            if old.is_empty() || *self.stop.borrow() {
                return;
            }
            for (id, state) in old {
                self.give_up(id, state).await;
            }
        }
    }

    /// States that were reached before are given up when they cannot be delivered.
    fn oldest_kept(&self) -> UnixMillis {
        let kept = self.told.endpoint.give_up_after.as_millis() as i64;
        UnixMillis(UnixMillis::now().0.saturating_sub(kept))
    }

    async fn settle(&mut self, attempt: Option<Attempt>) {
        // Without one, the task panicked; the message is lost sight of until the next start.
        let Some(Attempt { id, state, outcome }) = attempt else {
            tracing::error!(
                endpoint = self.name(),
                "an attempt to send a webhook panicked"
            );
            return;
        };
        match outcome {
            Outcome::Done => {
                self.count("delivered", 1);
                self.account.delivered_at = Some(UnixMillis::now());
                let after = self.queue.done(id, state, Instant::now());
                let is_last = after == After::Finished;
                tracing::debug!(endpoint = self.name(), erasure = %id, %state, is_last, "told");
            }
            Outcome::Nothing => self.forget(&[id]).await,
            Outcome::Failed {
                reason,
                retry_after,
            } => self.try_again(id, state, &reason, retry_after).await,
            Outcome::Gone => {
                self.count("gone", 1);
                tracing::error!(
                    endpoint = self.name(),
                    "the endpoint wants no more webhooks (410): it is sent none until the next start"
                );
                self.gone = true;
                self.account.note_failure("it answered 410");
                self.queue.put_off(id, Instant::now());
                self.tell_progress();
            }
            Outcome::Stopped => {}
        }
    }

    async fn try_again(
        &mut self,
        id: ErasureId,
        state: ErasureStatus,
        reason: &str,
        retry_after: Option<Duration>,
    ) {
        self.count("failed", 1);
        self.account.note_failure(reason);
        let failures = self.queue.count_failure(id);
        let reached_at = self.queue.reached_at(id, state);
        if reached_at.is_none_or(|at| at < self.oldest_kept()) {
            tracing::error!(endpoint = self.name(), erasure = %id, %state, reason, failures, "a webhook is given up");
            return self.give_up(id, state).await;
        }
        let pause = pause(&self.told.endpoint.retries, failures, id);
        let asked = retry_after.map(|asked| asked.min(RETRY_AFTER_MAX));
        let pause = asked.map_or(pause, |asked| asked.max(pause));
        tracing::warn!(endpoint = self.name(), erasure = %id, %state, reason, failures, ?pause, "a webhook was not delivered; trying again");
        let now = Instant::now();
        if let Some(asked) = asked {
            let until = now + asked;
            self.paused_until = Some(self.paused_until.map_or(until, |it| it.max(until)));
        }
        self.queue.put_off(id, now + pause);
    }

    /// Goes on with the next state without this one.
    async fn give_up(&mut self, id: ErasureId, state: ErasureStatus) {
        let done = up_to(id, state, self.queue.is_last(state));
        if write_down(&self.service, self.told.key, done, self.stop.clone()).await {
            self.count("given_up", 1);
            self.account.given_up += 1;
            self.queue.done(id, state, Instant::now());
        }
    }

    /// Takes erasures out of the outbox.
    async fn forget(&mut self, ids: &[ErasureId]) {
        let done = ids.iter().map(|id| (*id, None)).collect();
        if write_down(&self.service, self.told.key, done, self.stop.clone()).await {
            ids.iter().for_each(|id| self.queue.remove(*id));
        }
    }

    fn tell_progress(&self) {
        let (waiting, oldest) = self.queue.backlog();
        self.told.set_progress(ToldProgress {
            waiting,
            oldest,
            gone: self.gone,
            account: self.account.clone(),
        });
        let age = oldest.map_or(0, |at| (UnixMillis::now().0 - at.0).max(0));
        self.show_waiting(waiting, age);
    }

    fn show_waiting(&self, states: u64, oldest_ms: i64) {
        let name = || self.name().to_owned();
        metrics::gauge!(names::WEBHOOKS_WAITING, "endpoint" => name()).set(states as f64);
        metrics::gauge!(names::WEBHOOK_OLDEST_SECONDS, "endpoint" => name())
            .set(oldest_ms as f64 / 1_000.0);
    }

    fn count(&self, outcome: &'static str, how_many: u64) {
        let name = self.name().to_owned();
        metrics::counter!(names::WEBHOOK_DELIVERIES_TOTAL, "endpoint" => name, "outcome" => outcome)
            .increment(how_many);
    }

    fn name(&self) -> &str {
        &self.told.endpoint.name
    }
}

/// Sends one message, and makes it durable that it was acknowledged.
async fn attempt(
    service: &Service,
    told: &Told,
    id: ErasureId,
    state: ErasureStatus,
    is_last: bool,
    stop: watch::Receiver<bool>,
) -> Outcome {
    let failed = |reason: &str| Outcome::Failed {
        reason: reason.to_owned(),
        retry_after: None,
    };
    let message = match service.erasure(id).await {
        Ok(record) => record.and_then(|record| StateMessage::new(&record, state)),
        Err(_) => return failed("the erasure's record cannot be read"),
    };
    let Some(message) = message else {
        return Outcome::Nothing;
    };
    match on_a_thread(&told.endpoint.deliver, message).await {
        Some(Delivery::Acknowledged) => {
            let done = up_to(id, state, is_last);
            if write_down(service, told.key, done, stop).await {
                Outcome::Done
            } else {
                Outcome::Stopped
            }
        }
        Some(Delivery::Failed {
            reason,
            retry_after,
        }) => Outcome::Failed {
            reason,
            retry_after,
        },
        Some(Delivery::Gone) => Outcome::Gone,
        None => failed("the thread that sent it failed"),
    }
}

/// Sends a message on a thread of its own, which nobody waits for when the process ends.
async fn on_a_thread(deliver: &Arc<dyn Deliver>, message: StateMessage) -> Option<Delivery> {
    let (answer, delivery) = oneshot::channel();
    let deliver = Arc::clone(deliver);
    let work = move || drop(answer.send(deliver.deliver(&message)));
    let thread = std::thread::Builder::new().name(String::from("recant-webhook"));
    thread.spawn(work).ok()?;
    delivery.await.ok()
}

/// That an endpoint needs to be told `state` of an erasure no more.
fn up_to(id: ErasureId, state: ErasureStatus, is_last: bool) -> Done {
    vec![(id, (!is_last).then_some(state))]
}

/// How long after `now` the next whole multiple of `every` is: never nothing.
fn until_multiple(now: UnixMillis, every: Duration) -> Duration {
    let every = (every.as_millis() as i64).max(1);
    Duration::from_millis((every - now.0.rem_euclid(every)) as u64)
}

/// The pause after the attempt that failed as the `failures`th, up to a tenth longer: what failed together
/// does not come back together.
fn pause(retries: &[Duration], failures: usize, id: ErasureId) -> Duration {
    let place = failures
        .saturating_sub(1)
        .min(retries.len().saturating_sub(1));
    let base = retries
        .get(place)
        .copied()
        .unwrap_or(Duration::from_secs(60));
    let mut hasher = DefaultHasher::new();
    (id.as_bytes(), failures).hash(&mut hasher);
    let share = (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64;
    base.mul_f64(1.0 + share / 10.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_follow_the_list_and_its_last_stays() {
        let retries = [5, 300, 1_800].map(Duration::from_secs);
        let id = ErasureId::generate();
        for (failures, base) in [(1, 5), (2, 300), (3, 1_800), (4, 1_800), (99, 1_800)] {
            let pause = pause(&retries, failures, id).as_secs_f64();
            let base = f64::from(base);
            assert!((base..=base * 1.1).contains(&pause), "{failures}: {pause}");
        }
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let retries = [Duration::from_secs(100)];
        let pauses = (0..100).map(|_| pause(&retries, 1, ErasureId::generate()).as_millis());
        let different: std::collections::BTreeSet<_> = pauses.collect();
        assert!(different.len() > 50, "{different:?}");
    }

    proptest! {
        #[test]
        fn looks_are_at_whole_multiples(now in 0i64..4_000_000_000_000, seconds in 1u64..4_000) {
            let every = Duration::from_secs(seconds);
            let pause = until_multiple(UnixMillis(now), every);
            prop_assert!(pause > Duration::ZERO && pause <= every);
            prop_assert_eq!((now + pause.as_millis() as i64) % every.as_millis() as i64, 0);
        }
    }
}
