//! The HTTP interface: one file a route; parse, call the service, answer.
//!
//! A connection has time limits of its own (`connection.rs`) and counts towards the share of its
//! address (`acceptor.rs`), behind TLS too (`tls_acceptor.rs`). A request meets, in this order: headers every answer carries, a request id with the log
//! line and the metrics, the net under panics, the check of `Host`, of the API key and
//! of how much whoever calls may send, the time limit, the reading of its body, the limit on requests at once, and then its handler (`router.rs`
//! puts them together). On a node among several what is the leader's leaves for it once its body was read (`node.rs`). Every answer of 400 and above is an RFC 9457 problem, whoever gave it, but
//! under `/api`, where clients of gorse want a line of text (`gorse`), and under `/v1`, where agents of the
//! Data Rights Protocol want JSON of their own (`drp`).

mod accept;
mod acceptor;
mod access;
mod answered_by;
mod arrangement;
mod body_buffer;
mod body_rows;
mod caller;
mod cluster;
mod connection;
mod console;
mod docs;
mod drp;
mod erase_interactions;
mod erasure_answer;
mod erasures;
mod explanation;
mod export;
mod face;
mod forwarding;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod gorse;
mod health;
mod interaction_rows;
mod interactions;
mod item;
mod item_rows;
mod items;
mod json_body;
mod key_set;
mod known_feedback;
mod layers;
mod lists;
mod membership;
pub(crate) mod metric_names;
mod metrics;
mod model;
mod node;
mod openapi;
mod page;
mod parameters;
mod path_id;
mod prefer;
mod probes;
mod problem;
mod property_values;
mod receipt;
mod receipt_log;
mod recommend;
mod restrictions;
mod router;
mod routes;
mod scalar;
mod selection;
mod server;
mod shares;
mod similar;
mod state;
mod tls_acceptor;
mod tls_identity;
mod tls_pair;
mod trace_context;
mod user;
mod users;
mod webhooks;

pub(crate) use drp::callback_body;
pub(crate) use erasures::ErasureAnswer;
pub use membership::{
    ForwardError, Leader, Membership, NodeRole, NodeStanding, NodeState, Standing, Why,
};
pub use router::{forwarded_router, router};
pub use server::{ServeError, Server};
pub use state::AppState;
pub use tls_identity::TlsIdentity;
pub use tls_pair::TlsError;
