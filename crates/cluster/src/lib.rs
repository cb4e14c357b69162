//! What several machines agree on before anybody is answered: one log, one leader, leases.
//!
//! Every node keeps its own store and its own keys. What nodes share is an ordered log of sealed
//! *entries*, kept by an engine elsewhere that takes an append only behind the tail that the sender
//! names. One node leads a *term*: it alone appends, and decides what each entry says. All nodes read
//! the log, apply the entries in order, and tell the leader how far they are. A node answers readers
//! only while it holds a *lease*, so the leader knows who may still answer from what was erased.
//!
//! ```
//! use recant_cluster::{BootTime, HeldLease};
//! use std::time::Duration;
//!
//! let mut lease = HeldLease::default();
//! let sent = BootTime(Duration::from_secs(100));
//! // The leader's answer: "15 s from when you asked". It counts from the asking, not from the answer.
//! lease.renew(sent, Duration::from_secs(15));
//! assert!(lease.holds(sent + Duration::from_secs(14)));
//! assert!(!lease.holds(sent + Duration::from_secs(15)));
//! ```
//!
//! [`Node`] is the whole protocol of one node as a function: what happened goes in, what is to be done
//! comes out. It reads no clock, opens no connection and touches no disk, so that a simulation tries it
//! with many thousand schedules of losses, delays and crashes (`src/simulation`). What holds is named
//! there: I1 to I12.

#![deny(unreachable_pub)]

mod boot_time;
mod entry;
mod lease;
mod mark;
mod messages;
mod node;
mod ratchet;
#[cfg(test)]
mod simulation;
mod timing;
mod version;

pub use boot_time::BootTime;
pub use entry::{
    Address, Body, BootId, Change, EntryError, EntryHash, Envelope, Group, Incarnation, NodeId,
    Place, PlacedGroup, Slice, open_entry, seal_entry,
};
pub use lease::{Grant, HeldLease};
pub use mark::{Debt, Mark, Member, Series, Standing, Verdict, Void};
pub use messages::{Beat, BeatAnswer, Digest, Offer};
pub use node::{
    Appended, CameBack, Finding, Input, MemberState, MemberStatus, Node, NodeOptions, Output,
    Refusal, RequestId, Seen, Settled, Stopped, ToSettle,
};
pub use ratchet::{ENTRIES_PER_EPOCH, FreshKey, FreshKeyName, Ratchet};
pub use timing::{InvalidTiming, Timing};
pub use version::Version;
