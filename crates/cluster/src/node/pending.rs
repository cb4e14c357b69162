//! One append on its way: it is sent again until the log says what became of it.

use std::time::Duration;

use super::exchange::{Appended, RequestId};
use crate::boot_time::BootTime;
use crate::entry::EntryHash;
use crate::timing::Timing;

/// How long after a refusal, which another entry explains that is about to be read, to try again.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);

/// An entry that was sent to the log and not read back.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) payload: Vec<u8>,
    pub(super) hash: EntryHash,
    /// When it was sent first: a lease that follows from it counts from then, whichever attempt arrived.
    pub(super) sent: BootTime,
    /// The requests that it carries, and whether each erases.
    pub(super) requests: Vec<(RequestId, bool)>,
    /// Whether these are all that it says.
    pub(super) is_group: bool,
    attempt: u64,
    again: BootTime,
    /// Whether the engine has answered the last attempt.
    is_answered: bool,
    /// Whether an attempt is in the log, or may yet come to be.
    is_open: bool,
    /// Whether nobody said of an attempt what became of it.
    pub(super) is_in_doubt: bool,
}

impl Pending {
    pub(super) fn new(payload: Vec<u8>, attempt: u64, now: BootTime, timing: &Timing) -> Self {
        Self {
            hash: EntryHash::of(&payload),
            payload,
            sent: now,
            requests: Vec::new(),
            is_group: false,
            attempt,
            again: now + timing.append,
            is_answered: false,
            is_open: false,
            is_in_doubt: false,
        }
    }

    /// What the engine says of an attempt. Only reading the log says whether the entry is there.
    pub(super) fn appended(&mut self, now: BootTime, attempt: u64, outcome: Appended) {
        if attempt != self.attempt {
            return;
        }
        self.is_answered = true;
        match outcome {
            Appended::Refused => self.again = self.again.min(now + AFTER_REFUSAL),
            // Sent again with patience: it helps nobody to ask a full log often.
            Appended::Full => {}
            Appended::Done => self.is_open = true,
            Appended::Unknown => (self.is_open, self.is_in_doubt) = (true, true),
        }
    }

    /// Whether no attempt is in the log or ever will be: each was answered, and not taken.
    pub(super) fn is_nowhere(&self) -> bool {
        self.is_answered && !self.is_open
    }

    /// Whether it is to be sent once more.
    pub(super) fn is_due(&self, now: BootTime) -> bool {
        self.again <= now
    }

    pub(super) fn sent_again(&mut self, attempt: u64, now: BootTime, timing: &Timing) {
        self.is_open |= !self.is_answered;
        self.is_in_doubt |= !self.is_answered;
        self.is_answered = false;
        self.attempt = attempt;
        self.again = now + timing.append;
    }
}
