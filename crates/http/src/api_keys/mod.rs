//! API keys: those of the configuration, and those that are made and revoked while a server runs.
//!
//! The latter stand in a file of the data directory, known by their digests alone. Commands change it
//! ([`KeyFile`]), beside a server too, for it is no part of the store and has a lock of its own. A
//! server reads it again and again and takes over what changed ([`ApiKeys`]); a request never waits for
//! that.

mod allowance;
mod file;
mod live;
mod record;
mod secret;
mod table;

pub(crate) use allowance::Charge;
pub use file::{KeyFile, KeyFileError, NewKey};
pub use live::ApiKeys;
pub use record::{KeyRecord, KeyStatus};
pub use secret::Secret;
pub(crate) use table::{Key, KeyTable};
