//! Which slots of persons are free.

use std::collections::VecDeque;

use super::format::{SPECIAL_SLOTS, Slot};

/// The free slots of persons. Lives as long as the open ring.
#[derive(Debug)]
pub(super) struct Pool {
    /// With a fresh key that is on the disk.
    pub(super) spares: VecDeque<Slot>,
    /// With zeros.
    pub(super) empty: Vec<Slot>,
    /// The first slot beyond the file.
    pub(super) end: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            spares: VecDeque::new(),
            empty: Vec::new(),
            end: SPECIAL_SLOTS,
        }
    }
}

impl Pool {
    pub(super) fn add_spares(&mut self, slots: Vec<Slot>) {
        self.spares.extend(slots);
    }

    pub(super) fn add_empty(&mut self, slots: &[Slot]) {
        self.empty.extend_from_slice(slots);
    }
}
