//! Which part of what nodes hold is compared next, and when.

use std::time::Duration;

use recant_cluster::Slice;
use tokio::time::Instant;

/// Between two parts.
const EACH: Duration = Duration::from_secs(2);

/// Pairs, descriptions and the like in a part, about: few, for nothing is committed while they are read.
const TERMS: u64 = 8_192;

/// There are no smaller parts.
const BITS_MAX: u8 = 16;

/// The round of a leader.
#[derive(Debug)]
pub(crate) struct Comparing {
    bits: u8,
    next: u32,
    asked: Option<Instant>,
}

impl Default for Comparing {
    fn default() -> Self {
        Self {
            // Small at first: how much is held is not known.
            bits: BITS_MAX / 2,
            next: 0,
            asked: None,
        }
    }
}

impl Comparing {
    /// The part to compare now, if it is time.
    pub(crate) fn due(&mut self) -> Option<Slice> {
        let is_due = self.asked.is_none_or(|asked| asked.elapsed() >= EACH);
        is_due.then(|| {
            self.asked = Some(Instant::now());
            self.next_part()
        })
    }

    fn next_part(&mut self) -> Slice {
        let slice = Slice {
            bits: self.bits,
            number: self.next,
        };
        self.next = (self.next + 1) % (1 << self.bits);
        slice
    }

    /// What is in a part of so many bits: later ones are as large as they should be, and none is left out.
    pub(crate) fn holds(&mut self, bits: u8, terms: u64) {
        let all = terms << bits;
        let fits = (0..BITS_MAX).find(|bits| all >> bits <= TERMS);
        let wanted = fits.unwrap_or(BITS_MAX);
        if wanted < self.bits {
            self.next >>= self.bits - wanted;
            self.bits = wanted;
        } else if terms > 2 * TERMS && bits == self.bits && bits < BITS_MAX {
            self.next <<= 1;
            self.bits += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a round, each as where it begins and ends among 2^16.
    fn round(comparing: &mut Comparing, holds: impl Fn(Slice) -> u64) -> Vec<(u32, u32)> {
        let mut parts = Vec::new();
        while parts.last().is_none_or(|(_, end)| *end < 1 << 16) {
            let slice = comparing.next_part();
            let size = 1 << (16 - slice.bits);
            parts.push((slice.number * size, (slice.number + 1) * size));
            comparing.holds(slice.bits, holds(slice));
        }
        assert_eq!(parts[0].0, 0);
        for pair in parts.windows(2) {
            assert!(pair[1].0 <= pair[0].1, "{pair:?} leaves something out");
        }
        parts
    }

    #[test]
    fn a_small_store_is_compared_as_a_whole() {
        let mut comparing = Comparing::default();
        let parts = round(&mut comparing, |slice| u64::from(slice.number == 0));
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert_eq!(round(&mut comparing, |_| 500).len(), 1);
    }

    #[test]
    fn parts_of_a_large_store_are_small_and_none_is_left_out() {
        for all in [1_000_000, 50_000_000, 1 << 40] {
            let mut comparing = Comparing::default();
            let holds = |slice: Slice| all >> slice.bits;
            round(&mut comparing, holds);
            round(&mut comparing, holds);
            let bits = comparing.bits;
            assert!(all >> bits <= 2 * TERMS || bits == BITS_MAX, "{bits}");
            assert!(all >> bits > TERMS / 4, "{bits}");
        }
    }
}
