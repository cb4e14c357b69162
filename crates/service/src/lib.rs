//! Joins store, model and readers: what happens to a request from the moment it is understood.
//!
//! [`Service`] is the handle that routes and commands hold. Behind it one worker owns the mutable
//! [`Trainer`], and every reader works on an immutable [`Snapshot`].

#![deny(unreachable_pub)]

mod activity;
mod arrange;
mod audience;
mod background;
mod backlog;
mod because;
mod catalogue;
mod catch_up;
mod checkpoint;
mod confinement;
mod content;
mod curator;
mod describe;
mod digits;
mod dirty;
mod entry_watch;
mod erasure_spans;
mod erasures;
mod explain;
mod expression;
mod following;
mod foreground;
pub mod fuzzing;
mod held_ids;
mod history;
mod learner;
mod learning;
mod lists;
mod load;
pub mod metric_names;
mod model_update;
mod network;
mod neural_learner;
mod neural_training;
mod patience;
mod people;
mod person;
mod publish;
mod published_time;
mod query;
mod ranking;
mod rankings;
mod receipt_log;
mod receipt_signer;
mod receipts;
mod recommend;
mod refit;
mod remedy;
mod replication;
mod resolve;
mod restrictions;
mod rows;
mod selection;
mod sequencer;
mod service;
mod snapshot;
mod source;
mod start;
mod trainer;
mod training;
mod update_feed;
mod updates;
mod versions;
mod webhooks;
mod worker;

pub use activity::{Activity, Hour, ItemHours};
pub use arrange::{Arrangement, BOOST_MAX, BOOSTS_MAX, PINS_MAX};
pub use because::{Because, HistoryShare};
pub use catalogue::Catalogue;
pub use content::{ContentRows, Matching};
pub use curator::DescribeError;
pub use digits::two_digits;
pub use dirty::{Changes, DirtyRows};
pub use erasures::AcceptedErasure;
pub use explain::{Explanation, Pool, Reason};
pub use expression::{Expression, ExpressionFault, InvalidExpression};
pub use learner::{IalsLearner, Learner};
pub use lists::{HALF_LIFE_DEFAULT, List, ListKind, ListQuery, ListedItem, SPAN_MAX, SPAN_MIN};
pub use load::{Loaded, load};
pub use model_update::{ModelUpdate, ModelUpdateError};
pub use network::Network;
pub use neural_learner::NeuralLearner;
pub use neural_training::{NeuralProgress, NeuralTraining, train_neural};
pub use people::PatchError;
pub use publish::{Progress, Publisher};
pub use query::{
    Added, AsOf, BATCH_USERS_MAX, BECAUSE_DEFAULT, BECAUSE_MAX, BatchQuery, CertifiedSummary,
    ExportedInteraction, IdempotencyKey, K_MAX, ModelSummary, OFFSET_MAX, QUERY_ITEMS_MAX,
    QUERY_TAGS_MAX, RecommendQuery, Recommendations, ScoredItem, ServiceError, SimilarItems,
    SimilarQuery, Subject,
};
pub use ranking::{Popularity, Ranking};
pub use recant_store::Sealer;
pub use recant_types::{PersonPatch, PersonProperties, PersonSummary};
pub use receipt_log::LogAnswer;
pub use receipts::ReceiptAnswer;
pub use refit::ContentOptions;
pub use remedy::Remedy;
pub use replication::{NodeBack, ReplicaRole, Replication};
pub use resolve::Resolver;
pub use rows::{RowDirectory, RowTable};
pub use selection::Selection;
pub use sequencer::{Sequencer, SequencerError, Sequencing};
pub use service::Service;
pub use snapshot::{Quality, ServedModel, Snapshot, VersionError};
pub use source::Source;
pub use start::{ServiceOptions, StartError, WorkerGuard};
pub use trainer::{Applied, Trainer};
pub use training::{TRAINING_SHARE, TrainError, Trained, train};
pub use update_feed::UpdateFeed;
pub use webhooks::{
    Deliver, Delivery, StateMessage, WEBHOOK_STATES, WebhookAccount, WebhookEndpoint,
    WebhookFailure, WebhookGuard, WebhookSummary,
};
pub use worker::WorkerOptions;
