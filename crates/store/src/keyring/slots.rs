//! Spare slots: keys that are on the disk already, so that nobody waits for one to be written.

use std::os::unix::fs::FileExt;

use super::format::{SLOT_BYTES, SLOTS_AT, SPECIAL_SLOTS, Slot, is_empty};
use super::pool::Pool;
use super::ring::KeyRing;
use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::seal::SecretKey;

/// Spare slots kept ready: as many as a full group of erasures takes.
const SPARES: usize = 1_024;

/// Slots by which the file grows.
const GROWTH: u32 = 1_024;

/// Slots read at a time when the whole ring is visited, and written at a time when many get fresh keys.
const BLOCK_SLOTS: usize = 1_024;

impl KeyRing {
    /// A spare slot; its key is on the disk.
    pub(crate) fn take(&self) -> Result<Slot, StoreError> {
        let mut pool = self.pool();
        if pool.spares.is_empty() {
            self.ready_in(&mut pool, SPARES)?;
        }
        let spare = pool.spares.pop_front();
        spare.ok_or_else(|| StoreError::damaged("the key ring has no room"))
    }

    /// Readies `count` spare slots with one sync, for whoever will take many.
    pub(crate) fn ready(&self, count: usize) -> Result<(), StoreError> {
        self.ready_in(&mut self.pool(), count)
    }

    fn ready_in(&self, pool: &mut Pool, count: usize) -> Result<(), StoreError> {
        let ready = self.refill(pool, count)?;
        failpoint("ring_before_extra_sync");
        self.syncs.data(&self.file, &self.path)?;
        failpoint("ring_after_extra_sync");
        pool.add_spares(ready);
        Ok(())
    }

    /// Writes the fresh keys of a commit.
    pub(super) fn refill_spares(&self, pool: &mut Pool) -> Result<Vec<Slot>, StoreError> {
        self.refill(pool, SPARES)
    }

    /// Writes fresh keys until there are `count` spares; they count once they are synced.
    fn refill(&self, pool: &mut Pool, count: usize) -> Result<Vec<Slot>, StoreError> {
        let missing = count.saturating_sub(pool.spares.len());
        let mut ready = Vec::with_capacity(missing);
        // A few missing ones are not worth a larger file.
        while ready.len() < missing && (!pool.empty.is_empty() || pool.spares.len() < count / 2) {
            if pool.empty.is_empty() {
                let end = pool.end.checked_add(GROWTH);
                let end = end.ok_or_else(|| StoreError::damaged("the key ring is full"))?;
                pool.empty.extend((pool.end..end).rev().map(Slot));
                pool.end = end;
                let length = Slot(end).offset();
                let grown = self.file.set_len(length);
                grown.map_err(|error| self.io(&error))?;
            }
            while ready.len() < missing
                && let Some(slot) = pool.empty.pop()
            {
                ready.push(slot);
            }
        }
        self.write_fresh(&ready)?;
        Ok(ready)
    }

    /// Writes a fresh key into each of `slots`, those that are neighbours at once.
    fn write_fresh(&self, slots: &[Slot]) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        let runs = slots.chunk_by(|a, b| a.0 + 1 == b.0);
        for block in runs.flat_map(|run| run.chunks(BLOCK_SLOTS)) {
            bytes.clear();
            for slot in block {
                bytes.extend(self.encode_slot(*slot, &SecretKey::random()));
            }
            self.write_bytes(block[0], &bytes)?;
        }
        Ok(())
    }

    /// Reclaims the slots of persons: a slot that is not in use is destroyed, or gets a fresh key
    /// as a spare; one that is in use must hold a key. `in_use` ascends. Durable on return.
    ///
    /// What an interrupted commit left is put right here: a slot that should have been destroyed,
    /// or one that was readied and never given out.
    pub(crate) fn reclaim_unused(&self, in_use: &[Slot]) -> Result<(), StoreError> {
        let mut pool = Pool::default();
        let mut in_use = in_use.iter().copied().peekable();
        let mut left_over = Vec::new();
        self.visit_slots(|slot, empty| {
            pool.end = slot.0 + 1;
            if in_use.next_if_eq(&slot).is_some() {
                if empty {
                    return Err(StoreError::damaged("the key of a person is missing"));
                }
            } else if empty {
                pool.empty.push(slot);
            } else {
                left_over.push(slot);
            }
            Ok(())
        })?;
        if in_use.next().is_some() {
            return Err(StoreError::damaged("the key ring was cut"));
        }
        for slot in &left_over {
            self.write_bytes(*slot, &[0; SLOT_BYTES])?;
        }
        pool.empty.extend(left_over);
        pool.empty.sort_unstable_by(|a, b| b.cmp(a));
        let ready = self.refill(&mut pool, SPARES)?;
        self.syncs.data(&self.file, &self.path)?;
        pool.add_spares(ready);
        *self.pool() = pool;
        Ok(())
    }

    /// Keeps every key of a person there is, until an opening reads which are in use and reclaims the
    /// others. Without either, a slot in use would be given out again.
    pub(crate) fn keep_every_key(&self) -> Result<(), StoreError> {
        self.reclaim_unused(&self.slots_with_keys()?)
    }

    /// Every slot of a person that holds a key, ascending.
    fn slots_with_keys(&self) -> Result<Vec<Slot>, StoreError> {
        let mut slots = Vec::new();
        self.visit_slots(|slot, empty| {
            if !empty {
                slots.push(slot);
            }
            Ok(())
        })?;
        Ok(slots)
    }

    /// Calls `visit` with every slot of a person in the file, and whether it is empty.
    pub(super) fn visit_slots(
        &self,
        mut visit: impl FnMut(Slot, bool) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let length = self.file.metadata().map_err(|error| self.io(&error))?.len();
        let end = (length.saturating_sub(SLOTS_AT) / SLOT_BYTES as u64) as u32;
        let mut bytes = vec![0; BLOCK_SLOTS * SLOT_BYTES];
        let mut first = SPECIAL_SLOTS;
        while first < end {
            let count = (end - first).min(BLOCK_SLOTS as u32);
            let block = &mut bytes[..count as usize * SLOT_BYTES];
            let read = self.file.read_exact_at(block, Slot(first).offset());
            read.map_err(|error| self.io(&error))?;
            for (slot, bytes) in (first..).zip(block.as_chunks::<SLOT_BYTES>().0) {
                visit(Slot(slot), is_empty(bytes))?;
            }
            first += count;
        }
        Ok(())
    }

    /// The bytes of a slot as they are on the disk; for whoever wants to see that it is empty.
    pub(crate) fn slot_is_empty(&self, slot: Slot) -> Result<bool, StoreError> {
        let mut bytes = [0; SLOT_BYTES];
        let read = self.file.read_exact_at(&mut bytes, slot.offset());
        read.map_err(|error| self.io(&error))?;
        Ok(is_empty(&bytes))
    }
}
