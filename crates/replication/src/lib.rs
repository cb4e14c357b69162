//! One node of a cluster at work: the protocol of `recant-cluster` between the shared log of
//! `recant-jetstream`, the node's own store and the other nodes.
//!
//! ```text
//!            callers ── submit ──►┐              ┌── entries, in order ── the log
//!   other nodes ◄── beats ──►     │ Replica: one │
//!                                 │ task, one    ├── appends ──────────► the log
//!            readers ◄─ LeaseGate ┤ Node         │
//!                                 └──────────────┴── decide, commit ───► the node's store (EntryStore)
//! ```
//!
//! Everything that happens goes into one [`recant_cluster::Node`] in one task, which never waits: appends,
//! commits and beats are tasks of their own, and what comes of them is the next thing that happens. So
//! the protocol that runs here is, statement for statement, the one that the simulation tries.

#![deny(unreachable_pub)]

mod beats;
mod boot_clock;
mod comparing;
mod driver;
mod entry_store;
mod event;
mod gauges;
mod lease_gate;
mod live_cell;
mod log_room;
pub mod metric_names;
mod reader;
mod replica;
mod requests;
mod status;
mod store_entries;
mod submit_error;
mod transport;

pub use beats::beat_routes;
pub use boot_clock::boot_time;
pub use entry_store::{EntryStore, Held, LogStanding, PlacedDecided};
pub use lease_gate::LeaseGate;
pub use replica::Replica;
pub use status::{Role, Status};
pub use store_entries::{StoreEntries, StoreEntriesError, incarnation_of};
pub use submit_error::{RemoveError, SubmitError};
pub use transport::{
    Duplex, PeerError, PeerIdentity, PeerIdentityError, PeerIdentityFiles, PeerListener, Peers,
    peer_uri,
};
