//! The vocabulary of `recant`: ids that cannot leak, events, erasures and their states, certificates,
//! and the numbers that define a model.
//!
//! ```
//! use recant_types::{ErasureTarget, UserId};
//!
//! let user = UserId::new("ada-0001")?;
//! let target = ErasureTarget::User(user.clone());
//! // Who is meant can be asked for, but not printed by accident.
//! assert_eq!(user.expose(), "ada-0001");
//! assert!(!format!("{target:?}").contains("ada"));
//! # Ok::<(), recant_types::InvalidId>(())
//! ```

#![deny(unreachable_pub)]

mod certificate;
mod configuration;
mod date_digits;
mod description;
mod erasure;
mod event;
mod feedback;
mod given;
mod hyper;
mod ids;
mod metric;
mod person;
mod properties;
mod shared_log;
mod span;
mod specification;
mod time;
mod trace_target;
mod weight;

pub use certificate::{Certificate, GapCertificate};
pub use configuration::ModelConfiguration;
pub use description::{DESCRIPTIONS_MAX, DescriptionPatch, InvalidDescription, ItemDescription};
pub use erasure::{
    Commitment, ErasureFilter, ErasureRecord, ErasureStatus, TargetKind, UnknownStatus,
};
pub use event::{
    ADDITION_INTERACTIONS_MAX, ERASURE_PAIRS_MAX, ErasureTarget, Event, Interaction, Names,
    TypedPair, UnixMillis, takes_the_place,
};
pub use feedback::{
    Combine, FEEDBACK_TYPE_BYTES_MAX, FEEDBACK_TYPES_MAX, FeedbackNumber, FeedbackRule,
    FeedbackRules, FeedbackType, FeedbackTypes, HeldEvent, InvalidFeedbackType, Learnt,
    UnknownFeedbackType,
};
pub use given::{Given, Id};
pub use hyper::{DIM_MAX, IalsHyperparameters, InvalidHyperparameter};
pub use ids::{
    ErasureId, ID_BYTES_MAX, IdFlaw, InvalidId, ItemId, UserId, check_id, id_flaw, id_of_float,
    is_null_word, looks_like_float, mended_id, new_id, trim_id, without_blanks,
};
pub use metric::{
    BLOCK_BUCKETS, ERASURE_BUCKETS, Metric, MetricKind, REQUEST_BUCKETS, SWAP_BUCKETS,
};
pub use person::{PersonPatch, PersonProperties, PersonSummary};
pub use properties::{InvalidProperties, PropertyValue};
pub use shared_log::{LogIncarnation, SharedEntry};
pub use span::{InvalidSpan, span_of};
pub use specification::{
    Factorisation, LAYERS_MAX, LightGcn, Loss, ModelSpecification, NeuMf, OutOfRange, WIDTH_MAX,
};
pub use time::{
    InvalidTime, InvalidTimeFormat, TIME_AHEAD_MILLISECONDS_MAX, TimeRule, timestamp_of_millis,
};
pub use trace_target::TRACE_TARGET;
pub use weight::{InvalidWeight, UnknownWeightTransform, WEIGHT_MAX, WEIGHT_MIN, WeightTransform};
