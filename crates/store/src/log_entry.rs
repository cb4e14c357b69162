//! An entry of a log that many stores share, as one of them applies it; or several that are applied as one.
//!
//! Who shares it, and how entries get there, the store does not know: it keeps a *mark*, bytes that say up
//! to where it has applied the log, and the key of what comes next. The mark is written in the commit that
//! does what the entry says. The key lies in the key ring, and is written over the one before in the sync
//! that destroys the keys of whom the entry erases. That sync is after the database's: so the key may be
//! behind the mark after a crash, never ahead of it, and no key is destroyed before the mark says why.

use crate::decided::Decided;
use crate::log_key::LogKey;
use recant_types::SharedEntry;

/// What is done with an entry, or with several one after the other, all of it or nothing. `Debug` shows no ids.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// What was decided, in order; nothing for entries that say something else.
    pub decided: Vec<Decided>,
    /// Where the store stands then: at most 32 724 bytes, and others after every entry.
    pub mark: Vec<u8>,
    /// The key of the entry after that.
    pub key: LogKey,
    /// The entry that each of what was decided is in, in the same order, which records of erasures keep for their
    /// receipts; nothing where nobody asks.
    pub places: Vec<SharedEntry>,
}
