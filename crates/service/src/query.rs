//! Questions the service answers, and the answers.

use std::sync::Arc;

use crate::arrange::Arrangement;
use crate::because::Because;
use crate::explain::Explanation;
use crate::selection::Selection;
use crate::source::Source;
use recant_types::{Certificate, FeedbackType, ItemId, ModelConfiguration, UnixMillis, UserId};

/// Most recommendations one question may ask for.
pub const K_MAX: usize = 1_000;

/// Most items an exclusion list or a session history may name.
pub const QUERY_ITEMS_MAX: usize = 10_000;

/// Most users a batch may name.
pub const BATCH_USERS_MAX: usize = 10_000;

/// Most items of a history that may be named for each score.
pub const BECAUSE_MAX: usize = 1_000;

/// How many are when the caller does not say.
pub const BECAUSE_DEFAULT: usize = 5;

/// Most tags a question may name.
pub const QUERY_TAGS_MAX: usize = 64;

/// Most items that a page may leave out before it.
pub const OFFSET_MAX: usize = 10_000;

/// A question for items like another one; checked against the limits.
#[derive(Debug, Clone)]
pub struct SimilarQuery {
    /// Like which.
    pub item: ItemId,
    /// How many, 1 to [`K_MAX`].
    pub k: usize,
    /// As in [`RecommendQuery`].
    pub offset: usize,
    /// Leave out what this user has interacted with.
    pub user: Option<UserId>,
    /// Which items may be in the list.
    pub selection: Selection,
    /// As in [`Arrangement`].
    pub diversity: f64,
}

/// For whom recommendations are wanted.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A user, known or not.
    User(UserId),
    /// A session without a user: the items of its history.
    History(Vec<ItemId>),
}

/// A question for recommendations, already checked against the limits.
#[derive(Debug, Clone)]
pub struct RecommendQuery {
    /// For whom.
    pub subject: Subject,
    /// How many, 1 to [`K_MAX`].
    pub k: usize,
    /// Leave out what the user has interacted with (or the session history).
    pub exclude_seen: bool,
    /// How many of the best to leave out, up to [`OFFSET_MAX`]: where a page begins.
    pub offset: usize,
    /// Which items may be in the list.
    pub selection: Selection,
    /// How the list is arranged.
    pub arrangement: Arrangement,
    /// Say what is proven about the list too, and where its scores come from.
    pub explain: bool,
    /// How many items of the history to name for a score then, up to [`BECAUSE_MAX`].
    pub because: usize,
    /// Which version answers.
    pub as_of: AsOf,
}

impl RecommendQuery {
    /// The `k` best of all items that the subject does not have, by the live version.
    pub fn new(subject: Subject, k: usize) -> Self {
        Self {
            subject,
            k,
            exclude_seen: true,
            offset: 0,
            selection: Selection::default(),
            arrangement: Arrangement::default(),
            explain: false,
            because: BECAUSE_DEFAULT,
            as_of: AsOf::Live,
        }
    }
}

/// Which version of the model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AsOf {
    /// The live one.
    #[default]
    Live,
    /// The last one whose certificate held, for whom it knows: proofs hold for it while the live one
    /// moves on. What was erased since is out of it; for users of whom something was, and for whom
    /// came later, the live version answers.
    Certified,
}

/// A question for the lists of many users, all from one version; checked against the limits.
#[derive(Debug, Clone)]
pub struct BatchQuery {
    /// For whom, in the order of the answer.
    pub users: Vec<UserId>,
    /// As in [`RecommendQuery`], for each of them.
    pub k: usize,
    /// As in [`RecommendQuery`].
    pub exclude_seen: bool,
    /// As in [`RecommendQuery`].
    pub offset: usize,
    /// As in [`RecommendQuery`].
    pub selection: Selection,
    /// As in [`RecommendQuery`].
    pub arrangement: Arrangement,
}

/// One recommended item.
#[derive(Debug, Clone)]
pub struct ScoredItem {
    /// Which.
    pub item: ItemId,
    /// Inner product or output of a network, cosine similarity or popularity count, by source; with the
    /// boost.
    pub score: f32,
    /// What of it the question added.
    pub boost: Option<f64>,
    /// Whether it comes first because the question says so.
    pub is_pinned: bool,
    /// Whether nobody touched it, so that its factors come from what is said about it.
    pub is_content: bool,
    /// Its title, when one is known.
    pub title: Option<Arc<str>>,
    /// Where its score comes from, when that was asked for and can be said.
    pub because: Option<Because>,
}

/// The answer to a [`RecommendQuery`]; every part of it comes from one model version.
#[derive(Debug, Clone)]
pub struct Recommendations {
    /// The version that answered.
    pub model_version: u64,
    /// How the list was made.
    pub source: Source,
    /// Best first, ties in the order of the bytes of ids, unless the question arranged them otherwise.
    pub items: Vec<ScoredItem>,
    /// What is proven about the list, when it was asked for.
    pub explanation: Option<Explanation>,
}

/// Items similar to one item.
#[derive(Debug, Clone)]
pub struct SimilarItems {
    /// The version that answered.
    pub model_version: u64,
    /// Best first by cosine similarity, ties in the order of the bytes of ids, unless the question asked for diversity.
    pub items: Vec<ScoredItem>,
}

/// One interaction of an export.
#[derive(Debug, Clone)]
pub struct ExportedInteraction {
    /// With what.
    pub item: ItemId,
    /// Its title, when one is known.
    pub title: Option<Arc<str>>,
    /// What was done.
    pub feedback: FeedbackType,
    /// The weight that it came with.
    pub weight: f32,
    /// When, in the unit of the source.
    pub timestamp: Option<i64>,
}

/// What became of interactions that were to be added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Those that are durable now.
    pub accepted: usize,
    /// Those that happened before an erasure that names them.
    pub held_back: usize,
}

/// What `GET /model` shows.
#[derive(Debug, Clone)]
pub struct ModelSummary {
    /// The live version; it grows with every swap.
    pub version: u64,
    /// The term of the leader that made it, where several nodes serve together; else 0.
    pub term: u64,
    /// Latent dimensions; of a neural model, parameters of one item.
    pub dim: usize,
    /// Kind and hyper-parameters.
    pub model: ModelConfiguration,
    /// Seed of the initial factors.
    pub seed: u64,
    /// Users with at least one interaction.
    pub users: usize,
    /// Items with at least one interaction.
    pub items: usize,
    /// Pairs held.
    pub interactions: usize,
    /// The objective L at the last measurement.
    pub objective: Option<f64>,
    /// The relative gradient residual at the last measurement.
    pub residual: Option<f64>,
    /// The version that objective and residual were measured at.
    pub measured_version: Option<u64>,
    /// The certificate of that version, whether it holds or not.
    pub certificate: Option<Certificate>,
    /// Where the last certificate that held was given.
    pub certified: Option<CertifiedSummary>,
}

/// Where the last certificate that held was given, and what happened since.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CertifiedSummary {
    /// The version it is of; every later one descends from it.
    pub version: u64,
    /// The position of the log whose data it is of.
    pub position: u64,
    /// When it was given.
    pub at: UnixMillis,
    /// How long ago that is.
    pub age_seconds: f64,
    /// Entries of the log since that position.
    pub events_since: u64,
}

/// A caller's idempotency key, 1 to 255 bytes; only a digest of it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

/// Why the service could not do what was asked.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum ServiceError {
    /// The disk is full; nothing was acknowledged and nothing was lost.
    #[error("there is no room on the disk: free some space, and repeat the request")]
    NoSpace,
    /// The disk does not finish a sync.
    #[error("the disk does not answer: ask /readyz, and repeat the request once it is ready")]
    Stalled,
    /// More waits than the service is ready to hold.
    #[error("too much is waiting: repeat the request later")]
    Overloaded,
    /// Erasures have waited for their certificate longer than additions may make them wait.
    #[error("erasures wait too long for their certificate: repeat the addition later")]
    CertificatesBehind,
    /// The key was used for another request.
    #[error("this idempotency key was used for a different request: take a new key")]
    IdempotencyKeyReused,
    /// A filter takes too long for so many items.
    #[error(
        "the filter takes too long for a catalogue of this size: write one that takes fewer steps"
    )]
    FilterTooCostly,
    /// Of several nodes none leads at present; nothing became of the request.
    #[error("no node leads at present: repeat the request")]
    NoLeader,
    /// Another node leads since the request was taken on; what became of it is open.
    #[error("what became of it is open; repeat with the same Idempotency-Key")]
    LeadershipLost,
    /// The log that several nodes share has no room; nothing became of the request.
    #[error(
        "there is no room in the log that the nodes share: make some, or mend the node that holds it back, \
         and repeat the request"
    )]
    LogFull,
    /// It takes more than an entry of the log that several nodes share may; nothing became of it.
    #[error("the request takes {bytes} bytes, more than nodes share at once: send it in several")]
    TooLong {
        /// What it takes.
        bytes: usize,
    },
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// A bug: something that cannot happen did.
    #[error("an internal error; see the log")]
    Internal,
    /// The store failed; the log has the details.
    #[error("the store failed; see the log")]
    Store,
}
