//! The vocabulary of `recant`: ids that cannot leak, events, erasures and their states, certificates,
//! and the numbers that define a model.

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
    ADDITION_INTERACTIONS_MAX, ERASURE_PAIRS_MAX, ErasureTarget, Event, Interaction, UnixMillis,
};
pub use hyper::{DIM_MAX, IalsHyperparameters, InvalidHyperparameter};
pub use ids::{ErasureId, ID_BYTES_MAX, InvalidId, ItemId, UserId, check_id};
pub use metric::{
    BLOCK_BUCKETS, ERASURE_BUCKETS, Metric, MetricKind, REQUEST_BUCKETS, SWAP_BUCKETS,
};
pub use specification::{
    Factorisation, LAYERS_MAX, LightGcn, Loss, ModelSpecification, NeuMf, OutOfRange, WIDTH_MAX,
};
