//! Which rows a question leaves.

use recant_core::topk::RowSet;

/// What a question says about items, as rows.
pub(crate) struct Confinement {
    /// Rows that may not be in a list, sorted.
    pub(crate) excluded: Vec<u32>,
    /// The only rows that may be in a list; all may without them.
    pub(crate) allowed: Option<RowSet>,
}

impl Confinement {
    /// The excluded rows and those of `seen`, sorted, each once.
    pub(crate) fn excluded_with(&self, seen: &[u32]) -> Vec<u32> {
        union(&self.excluded, seen)
    }
}

/// Sorted rows in one or the other, each once.
pub(crate) fn union(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut rows = [a, b].concat();
    rows.sort_unstable();
    rows.dedup();
    rows
}
