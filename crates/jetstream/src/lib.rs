//! The log that several machines share, kept by NATS JetStream.
//!
//! One stream with one subject on several servers, of which nothing is asked but this: an append lands
//! behind the tail that it names or nowhere ([`JetStreamLog::append`]), it is acknowledged when it is on
//! the disks of a quorum, and everybody reads one order ([`JetStreamLog::read`]). What an entry says, and
//! whether it counts, is decided elsewhere (`recant-cluster`); here it is bytes.
//!
//! JetStream keeps that promise with certain settings alone. Those of the stream are compared whenever it
//! is opened, and anything else is refused ([`Difference`]); those of the servers, who by default
//! acknowledge what no disk has, are read from their monitoring ports ([`check_servers`]).

#![deny(unreachable_pub)]

mod connection;
mod error;
mod identity;
mod log;
mod parts;
mod reader;
mod servers;
mod settings;
mod stream_config;
#[cfg(feature = "testing")]
pub mod testing;

pub use connection::{Access, AccessError, connect};
pub use error::{AppendError, LogError, ReadError, SetUpError};
pub use identity::Continues;
pub use log::{Ends, Fill, JetStreamLog};
pub use parts::ENTRY_BYTES_MAX;
pub use servers::{Unfit, UnfitServer, check_jsz, check_servers, check_varz};
pub use settings::{InvalidSettings, LogName, LogSettings};
pub use stream_config::Difference;
