//! The whole state of a store that follows a log which stores share, from one node to another.
//!
//! What is sent is exactly what the store held behind one entry of the log, the one whose mark and key are
//! sent with it, although commits go on meanwhile: every record is sent, then those that changed since they
//! were sent, again and again until few are left, and the rest of them as they are while the writer is
//! paused for a moment (a compaction catches up in the same way). Whoever has taken it all applies the
//! entries after that one, and nothing counts twice: no event of a type that adds up is in the state
//! and comes with an entry as well.
//!
//! The records are those of the database, opened. Under which key a record of a person lay is said by a name
//! that is made up for the transfer: whoever takes it gives every name a slot of its own ring, so no key
//! of one node is a key of another, and pseudonyms are replaced likewise. A slot's number would not do:
//! it may have another person's key before the transfer is over. A person of whom something was erased
//! meanwhile has another key by then, so nothing that was sent before it can be read under a key that is
//! in use at the end, and the others are destroyed before the state counts.

mod export;
mod frames;
mod fuzzing;
mod import;
mod personal;

pub use export::Exported;
pub(crate) use export::export;
pub use fuzzing::{transfer, transfer_seeds};
pub use import::{Imported, import_state};
