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
mod erasure;
mod event;
mod hyper;
mod ids;
mod metric;
mod specification;

pub use certificate::{Certificate, GapCertificate};
pub use configuration::ModelConfiguration;
pub use erasure::{Commitment, ErasureRecord, ErasureStatus, TargetKind, UnknownStatus};
pub use event::{
    ADDITION_INTERACTIONS_MAX, ERASURE_PAIRS_MAX, ErasureTarget, Event, Interaction, Names,
    UnixMillis,
};
pub use hyper::{DIM_MAX, IalsHyperparameters, InvalidHyperparameter};
pub use ids::{ErasureId, ID_BYTES_MAX, InvalidId, ItemId, UserId, check_id};
pub use metric::{
    BLOCK_BUCKETS, ERASURE_BUCKETS, Metric, MetricKind, REQUEST_BUCKETS, SWAP_BUCKETS,
};
pub use specification::{
    Factorisation, LAYERS_MAX, LightGcn, Loss, ModelSpecification, NeuMf, OutOfRange, WIDTH_MAX,
};
