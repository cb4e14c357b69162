//! Sets of rows that versions share: changing one row costs a page, whatever the number of rows.

use std::sync::Arc;

/// Words of a page: 512 rows, 64 bytes.
const PAGE_WORDS: usize = 8;

/// Rows of a word.
const WORD: usize = u64::BITS as usize;

/// Rows of a page.
const PAGE_ROWS: usize = PAGE_WORDS * WORD;

type Page = [u64; PAGE_WORDS];

/// A set of rows in pages; those without a row are not there.
///
/// Cloning takes constant time, setting a row O(log pages), and what is the same in two versions is
/// held once.
#[derive(Debug, Clone, Default)]
pub struct Bitmap {
    pages: imbl::OrdMap<u32, Arc<Page>>,
    rows: usize,
}

impl Bitmap {
    /// How many rows are in the set.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row is in the set.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether `row` is in the set. O(log pages).
    #[inline]
    pub fn contains(&self, row: u32) -> bool {
        let (page, word, bit) = place(row);
        let page = self.pages.get(&page);
        page.is_some_and(|page| page[word] & bit != 0)
    }

    /// Puts `row` into the set or takes it out; whether that changed anything.
    pub fn set(&mut self, row: u32, is_in: bool) -> bool {
        if self.contains(row) == is_in {
            return false;
        }
        let (at, word, bit) = place(row);
        let mut page = self.pages.get(&at).map_or([0; PAGE_WORDS], |page| **page);
        page[word] ^= bit;
        if page == [0; PAGE_WORDS] {
            self.pages.remove(&at);
        } else {
            self.pages.insert(at, Arc::new(page));
        }
        if is_in {
            self.rows += 1;
        } else {
            self.rows -= 1;
        }
        true
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.pages.iter().flat_map(|(at, page)| {
            let first = *at as usize * PAGE_WORDS;
            (first..).zip(page.iter()).flat_map(|(at, word)| {
                let bits = (0..WORD).filter(move |bit| word >> bit & 1 == 1);
                bits.map(move |bit| (at * WORD + bit) as u32)
            })
        })
    }

    /// Adds the set to `words`, one bit a row; rows behind their end are left out.
    pub fn add_to(&self, words: &mut [u64]) {
        self.each_word(words, |into, word| *into |= word);
    }

    /// Takes the set out of `words`.
    pub fn take_from(&self, words: &mut [u64]) {
        self.each_word(words, |into, word| *into &= !word);
    }

    /// Leaves of `words` what is in the set.
    pub fn keep_in(&self, words: &mut [u64]) {
        let mut next = 0;
        for (at, page) in &self.pages {
            let first = (*at as usize * PAGE_WORDS).min(words.len());
            words[next..first].fill(0);
            let end = (first + PAGE_WORDS).min(words.len());
            for (into, word) in words[first..end].iter_mut().zip(page.iter()) {
                *into &= word;
            }
            next = end;
        }
        words[next..].fill(0);
    }

    fn each_word(&self, words: &mut [u64], mut each: impl FnMut(&mut u64, u64)) {
        for (at, page) in &self.pages {
            let first = (*at as usize * PAGE_WORDS).min(words.len());
            for (into, word) in words[first..].iter_mut().zip(page.iter()) {
                each(into, *word);
            }
        }
    }
}

impl FromIterator<u32> for Bitmap {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        let mut set = Self::default();
        for row in rows {
            set.set(row, true);
        }
        set
    }
}

/// Page, word and bit of a row.
#[inline]
fn place(row: u32) -> (u32, usize, u64) {
    let row = row as usize;
    let word = row % PAGE_ROWS / WORD;
    ((row / PAGE_ROWS) as u32, word, 1 << (row % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn words(rows: &BTreeSet<u32>, length: usize) -> Vec<u64> {
        let mut words = vec![0; length];
        for row in rows.iter().map(|row| *row as usize) {
            if row / WORD < length {
                words[row / WORD] |= 1 << (row % WORD);
            }
        }
        words
    }

    proptest! {
        /// Against a plain set, with a version from before that nothing reaches.
        #[test]
        fn a_bitmap_is_a_set_of_rows(
            steps in prop::collection::vec((0_u32..3_000, any::<bool>()), 0..120),
            later in prop::collection::vec((0_u32..3_000, any::<bool>()), 0..40),
            other in prop::collection::btree_set(0_u32..3_000, 0..60),
            length in 0_usize..60,
        ) {
            let (mut set, mut plain) = (Bitmap::default(), BTreeSet::new());
            let apply = |set: &mut Bitmap, plain: &mut BTreeSet<u32>, steps: &[(u32, bool)]| {
                for (row, is_in) in steps {
                    let changes = if *is_in { plain.insert(*row) } else { plain.remove(row) };
                    assert_eq!(set.set(*row, *is_in), changes);
                }
            };
            apply(&mut set, &mut plain, &steps);
            let (before, plain_before) = (set.clone(), plain.clone());
            apply(&mut set, &mut plain, &later);
            for (set, plain) in [(&before, &plain_before), (&set, &plain)] {
                prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), plain.clone());
                prop_assert_eq!((set.len(), set.is_empty()), (plain.len(), plain.is_empty()));
                prop_assert!((0..3_000).all(|row| set.contains(row) == plain.contains(&row)));
                let (mut union, mut rest, mut both) =
                    (words(&other, length), words(&other, length), words(&other, length));
                set.add_to(&mut union);
                set.take_from(&mut rest);
                set.keep_in(&mut both);
                prop_assert_eq!(union, words(&(&other | plain), length));
                prop_assert_eq!(rest, words(&(&other - plain), length));
                prop_assert_eq!(both, words(&(&other & plain), length));
            }
        }
    }
}
