//! The log as an engine keeps it: what arrives behind the tail that it names is there, in one order.

/// Entries by sequence, from 1.
#[derive(Debug)]
pub(super) struct Engine {
    entries: Vec<Vec<u8>>,
    /// Whether it takes appends behind any tail.
    is_lax: bool,
    /// Readers find nothing before this sequence any more.
    begins: u64,
}

impl Engine {
    pub(super) fn new(is_lax: bool) -> Self {
        Self {
            entries: Vec::new(),
            is_lax,
            begins: 1,
        }
    }

    /// Appends behind `tail`; whether it did.
    pub(super) fn append(&mut self, tail: u64, payload: Vec<u8>) -> bool {
        let is_behind = self.is_lax || tail == self.entries.len() as u64;
        if is_behind {
            self.entries.push(payload);
        }
        is_behind
    }

    pub(super) fn at(&self, sequence: u64) -> Option<&Vec<u8>> {
        self.entries.get((sequence as usize).checked_sub(1)?)
    }

    /// Lets go of what lies before `sequence`.
    pub(super) fn trim(&mut self, sequence: u64) {
        self.begins = self.begins.max(sequence);
    }

    /// The first sequence that is there.
    pub(super) fn begins(&self) -> u64 {
        self.begins
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }
}
