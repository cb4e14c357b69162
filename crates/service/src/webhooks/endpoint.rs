//! An endpoint: what it is told, how it is asked again, and the seam behind which a request goes out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::states;
use recant_store::OutboxEndpoint;
use recant_types::{ErasureRecord, ErasureStatus, UnixMillis};

/// The states that an endpoint can be told, in the order of life. `failed` is none of them: what cannot be
/// carried out yet is tried again until it is.
pub const WEBHOOK_STATES: [ErasureStatus; 4] = states::ORDER;

/// Where erasures are told, and how.
pub struct WebhookEndpoint {
    /// What it goes by; unlike the others.
    pub name: String,
    /// The text form of the key that its messages are checked with.
    pub public_key: String,
    /// The states that it is told, of [`WEBHOOK_STATES`]; at least one.
    pub states: Vec<ErasureStatus>,
    /// Whether it is told only of the erasures whose request names it.
    pub on_request: bool,
    /// States are looked for at whole multiples of this.
    pub every: Duration,
    /// The pauses between one attempt and the next; the last one counts from then on.
    pub retries: Vec<Duration>,
    /// A state is given up when an attempt fails so long after it was reached.
    pub give_up_after: Duration,
    /// Most erasures of which it has still to be told something; of more the oldest are dropped.
    pub waiting_max: usize,
    /// Sends a message.
    pub deliver: Arc<dyn Deliver>,
}

/// Sends messages to one endpoint.
pub trait Deliver: Send + Sync {
    /// Sends `message` once and waits for what becomes of it, for seconds at most. Blocks; several at once.
    fn deliver(&self, message: &StateMessage) -> Delivery;
}

/// That an erasure reached a state.
#[derive(Debug, Clone)]
pub struct StateMessage {
    /// The state.
    pub state: ErasureStatus,
    /// The erasure's record as it was in that state: the same however late and often it is sent.
    pub record: ErasureRecord,
}

impl StateMessage {
    /// That the erasure of `record` reached `state`, if it did.
    pub(super) fn new(record: &ErasureRecord, state: ErasureStatus) -> Option<Self> {
        let record = states::as_of(record, state)?;
        Some(Self { state, record })
    }

    /// What receivers know the message by, however often it is sent.
    pub fn id(&self) -> String {
        format!("{}_{}", self.record.id, self.state)
    }

    /// When the state was reached, as it may be shown.
    pub fn reached_at(&self) -> UnixMillis {
        let reached_at = states::time_of(&self.record, self.state);
        reached_at.unwrap_or(self.record.accepted_at)
    }
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The endpoint has it.
    Acknowledged,
    /// It has not, for a reason that names neither its address nor anybody.
    Failed {
        /// In a few words, for the log.
        reason: String,
        /// How long the endpoint asks to be left alone, all messages included.
        retry_after: Option<Duration>,
    },
    /// The endpoint wants no messages any more.
    Gone,
}

/// How far an endpoint has been told.
#[derive(Debug, Clone)]
pub struct WebhookSummary {
    /// What it goes by.
    pub name: String,
    /// The text form of the key that its messages are checked with.
    pub public_key: String,
    /// The states that it is told.
    pub states: Vec<ErasureStatus>,
    /// States that were reached and that it has not acknowledged.
    pub waiting: u64,
    /// When the oldest of those was reached.
    pub oldest: Option<UnixMillis>,
    /// Whether it said that it wants no messages; it is sent none until the next start.
    pub gone: bool,
    /// What became of its messages.
    pub account: WebhookAccount,
}

/// What became of messages to an endpoint, since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookAccount {
    /// When it last acknowledged one.
    pub delivered_at: Option<UnixMillis>,
    /// The last attempt that failed.
    pub last_failure: Option<WebhookFailure>,
    /// States that were given up, for they could not be delivered for too long.
    pub given_up: u64,
    /// States that were dropped, for more waited than may.
    pub dropped: u64,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookFailure {
    /// When.
    pub at: UnixMillis,
    /// Why, in a few words that name neither the address nor anybody.
    pub reason: String,
}

impl WebhookAccount {
    /// Notes that an attempt failed just now.
    pub(super) fn note_failure(&mut self, reason: &str) {
        self.last_failure = Some(WebhookFailure {
            at: UnixMillis::now(),
            reason: reason.to_owned(),
        });
    }
}

/// An endpoint that is told of erasures, shared by its courier and whoever asks.
pub(crate) struct Told {
    pub(super) endpoint: WebhookEndpoint,
    /// What it goes by in the outbox.
    pub(super) key: OutboxEndpoint,
    progress: Mutex<ToldProgress>,
}

/// What its courier tells of an endpoint.
#[derive(Debug, Clone, Default)]
pub(super) struct ToldProgress {
    pub(super) waiting: u64,
    pub(super) oldest: Option<UnixMillis>,
    pub(super) gone: bool,
    pub(super) account: WebhookAccount,
}

impl Told {
    /// An endpoint of which nothing is known yet.
    pub(super) fn new(mut endpoint: WebhookEndpoint) -> Self {
        endpoint.states.sort_unstable();
        Self {
            key: OutboxEndpoint::of(&endpoint.name),
            endpoint,
            progress: Mutex::default(),
        }
    }

    /// Whether it is told of an erasure whose request names the endpoint `named`.
    pub(super) fn is_told(&self, named: Option<&str>) -> bool {
        !self.endpoint.on_request || named == Some(&self.endpoint.name)
    }

    pub(super) fn set_progress(&self, progress: ToldProgress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    pub(super) fn summary(&self) -> WebhookSummary {
        let progress = self.progress.lock();
        let progress = progress.unwrap_or_else(PoisonError::into_inner).clone();
        WebhookSummary {
            name: self.endpoint.name.clone(),
            public_key: self.endpoint.public_key.clone(),
            states: self.endpoint.states.clone(),
            waiting: progress.waiting,
            oldest: progress.oldest,
            gone: progress.gone,
            account: progress.account,
        }
    }
}
