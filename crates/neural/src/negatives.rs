//! Negatives: items that a user did not interact with, drawn so that the draw can be repeated.

use crate::graph::Graph;

/// Draws before the first free item after the last draw is taken instead. With half of the range in
/// use and half of that seen, one draw in four is good, and (3/4)^64 is 1e-8.
const ATTEMPTS_MAX: u64 = 64;

/// Mixes two words into one that says nothing of either (the finaliser of SplitMix64, Steele, Lea &
/// Flood 2014).
pub(crate) fn mix(state: u64, word: u64) -> u64 {
    let mut z = (state ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The source of one pair's negatives: a function of seed, epoch, user and item, and of nothing
/// else. Erase the pair, and its negatives are gone with it; those of all other pairs stay.
#[derive(Debug, Clone, Copy)]
pub struct Source(u64);

impl Source {
    /// The source for a pair in an epoch.
    pub fn new(seed: u64, epoch: u64, user: u32, item: u32) -> Self {
        let pair = u64::from(user) << 32 | u64::from(item);
        Self(mix(mix(mix(0, seed), epoch), pair))
    }

    /// A number to sort pairs by: the order of an epoch. Without a pair the others keep their order.
    pub fn rank(self) -> u64 {
        mix(self.0, u64::MAX)
    }

    /// The `draw`-th negative for `user`: an item with interactions, none of them theirs. `None`
    /// when they have interacted with everything.
    ///
    /// Candidates come from a range of a power of two, so that a catalogue that grows changes few
    /// draws. An item that `user` loses can become one of their negatives.
    pub fn negative(self, graph: &Graph, user: u32, draw: u64) -> Option<u32> {
        self.negative_among(graph.item_rows(), draw, |item| {
            graph.is_in_use(item) && !graph.contains(user, item) && !graph.is_unwanted(user, item)
        })
    }

    /// The `draw`-th negative among the rows below `rows` that are free; `None` when none is.
    pub fn negative_among(
        self,
        rows: usize,
        draw: u64,
        is_free: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let rows = rows as u64;
        let span = rows.next_power_of_two();
        let mut last = 0;
        for attempt in 0..ATTEMPTS_MAX {
            last = mix(self.0, draw << 8 | attempt) & (span - 1);
            if last < rows && is_free(last as u32) {
                return Some(last as u32);
            }
        }
        (0..rows)
            .map(|step| ((last + step) % rows) as u32)
            .find(|item| is_free(*item))
    }
}
