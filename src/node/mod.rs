//! One node of a cluster, put together: the shared log, this node's store as its replica, the service on it,
//! and what other nodes call.
//!
//! ```text
//!  callers ──► http ──► service ── sequencer ──► replica ──► log ──► every node's replica ──► its store
//!                 │        ▲                        │
//!                 │        └── updates of the model │ beats, leases
//!                 ▼                                 ▼
//!            membership (gate, forwarding)      peer_routes ◄──── other nodes
//! ```
//!
//! With `cluster.role = "single"` nothing here runs.

mod came_back;
mod control;
mod error;
mod fitness;
mod init;
mod join;
mod link;
mod log;
mod membership;
mod no_use;
mod phase;
mod reseed;
mod sequencer;
mod start;
mod state;
mod status;
mod updates;

pub(crate) use control::{Lead, Remove, ask_leader};
pub(crate) use init::init;
pub(crate) use join::discard;
pub(crate) use log::identity;
pub(crate) use membership::NodeMembership;
pub(crate) use no_use::until_of_no_use;
pub(crate) use reseed::reseed;
pub(crate) use start::{RunningNode, StartingNode};
pub(crate) use status::{NodeLine, NodeStatus, ask_status};
