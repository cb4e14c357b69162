//! Which rows may be in a list.

use std::cell::RefCell;
use std::sync::OnceLock;

use crate::topk::bitmap::Bitmap;

/// Bitmaps a thread keeps for its next queries.
const BITMAPS_KEPT: usize = 64;

/// Bits of a word of a bitmap.
const WORD: usize = u64::BITS as usize;

/// What a query leaves out and what it is confined to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Rows left out; sorted, each once.
    pub excluded: &'a [u32],
    /// The only rows that may be in the list; all may without it.
    pub allowed: Option<&'a RowSet>,
    /// Rows left out of every list, besides those excluded.
    pub hidden: Option<&'a Bitmap>,
}

impl Filter<'_> {
    /// Whether `row` may be in the list. O(log excluded).
    pub fn admits(&self, row: u32) -> bool {
        self.excluded.binary_search(&row).is_err()
            && self.allowed.is_none_or(|allowed| allowed.contains(row))
            && self.hidden.is_none_or(|hidden| !hidden.contains(row))
    }
}

/// A set of rows, to be walked through when it is small and asked about when it is large.
#[derive(Debug, Clone, Default)]
pub struct RowSet {
    rows: OnceLock<Vec<u32>>,
    bits: OnceLock<Vec<u64>>,
    len: usize,
}

impl RowSet {
    /// The set of these rows, in any order, repeated or not.
    pub fn new(mut rows: Vec<u32>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        Self {
            len: rows.len(),
            rows: OnceLock::from(rows),
            bits: OnceLock::new(),
        }
    }

    /// The set of the rows whose bits are set in `words`, 64 rows a word.
    pub fn from_words(words: Vec<u64>) -> Self {
        Self {
            len: words.iter().map(|word| word.count_ones() as usize).sum(),
            rows: OnceLock::new(),
            bits: OnceLock::from(words),
        }
    }

    /// How many rows are in the set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is in the set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows, ascending. O(rows) the first time.
    pub fn rows(&self) -> &[u32] {
        self.rows.get_or_init(|| {
            let mut rows = Vec::with_capacity(self.len);
            let words = self.bits.get().map_or(&[][..], Vec::as_slice);
            for (at, word) in words.iter().enumerate() {
                let mut left = *word;
                while left != 0 {
                    rows.push((at * WORD) as u32 + left.trailing_zeros());
                    left &= left - 1;
                }
            }
            rows
        })
    }

    /// Whether `row` is in the set. O(1) but for the first question, which makes a bitmap.
    pub fn contains(&self, row: u32) -> bool {
        let bits = self.bits.get_or_init(|| {
            let rows = self.rows.get().map_or(&[][..], Vec::as_slice);
            let mut bits = vec![0; words(rows)];
            set_all(&mut bits, rows);
            bits
        });
        holds(bits, row)
    }
}

impl FromIterator<u32> for RowSet {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        Self::new(rows.into_iter().collect())
    }
}

thread_local! {
    /// Bitmaps of zeros. Making one costs a word for 64 rows of the catalogue, clearing one only
    /// what was set in it.
    static BITMAPS: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// The rows a query leaves out, as a bitmap; returned to its thread when dropped.
#[derive(Debug)]
pub(super) struct Excluded<'a> {
    rows: &'a [u32],
    bits: Vec<u64>,
}

impl<'a> Excluded<'a> {
    /// Of sorted rows. O(rows).
    pub(super) fn new(rows: &'a [u32]) -> Self {
        debug_assert!(rows.is_sorted());
        let mut bits = BITMAPS.with_borrow_mut(Vec::pop).unwrap_or_default();
        if bits.len() < words(rows) {
            bits.resize(words(rows), 0);
        }
        set_all(&mut bits, rows);
        Self { rows, bits }
    }

    #[inline]
    pub(super) fn contains(&self, row: u32) -> bool {
        holds(&self.bits, row)
    }
}

impl Drop for Excluded<'_> {
    fn drop(&mut self) {
        let mut bits = std::mem::take(&mut self.bits);
        for row in self.rows {
            bits[*row as usize / WORD] = 0;
        }
        BITMAPS.with_borrow_mut(|kept| {
            if kept.len() < BITMAPS_KEPT {
                kept.push(bits);
            }
        });
    }
}

fn words(rows: &[u32]) -> usize {
    rows.last().map_or(0, |last| *last as usize / WORD + 1)
}

fn set_all(bits: &mut [u64], rows: &[u32]) {
    for row in rows {
        bits[*row as usize / WORD] |= 1 << (*row as usize % WORD);
    }
}

#[inline]
fn holds(bits: &[u64], row: u32) -> bool {
    bits.get(row as usize / WORD)
        .is_some_and(|word| word >> (row as usize % WORD) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bitmaps_hold_what_was_put_in_and_nothing_of_the_query_before(
            first in prop::collection::btree_set(0_u32..1_000, 0..50),
            second in prop::collection::btree_set(0_u32..2_000, 0..50),
        ) {
            for set in [&first, &second, &BTreeSet::new()] {
                let rows: Vec<u32> = set.iter().copied().collect();
                let excluded = Excluded::new(&rows);
                let allowed: RowSet = rows.iter().rev().chain(&rows).copied().collect();
                prop_assert_eq!(allowed.rows(), &rows);
                let mut bits = vec![0; words(&rows) + 1];
                set_all(&mut bits, &rows);
                let of_words = RowSet::from_words(bits);
                prop_assert_eq!((of_words.len(), of_words.rows()), (rows.len(), &rows[..]));
                prop_assert!((0..2_100).all(|row| of_words.contains(row) == set.contains(&row)));
                for row in 0..2_100 {
                    prop_assert_eq!(excluded.contains(row), set.contains(&row));
                    prop_assert_eq!(allowed.contains(row), set.contains(&row));
                }
            }
        }
    }
}
