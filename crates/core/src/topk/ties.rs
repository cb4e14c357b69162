//! Who comes first of rows with equal scores.

use std::cmp::Ordering;
use std::fmt;

/// An order of rows that decides between equal scores, and nothing else.
///
/// Row numbers say who came first to one machine. Where several have to give the same list, what decides has
/// to be known to all of them.
#[derive(Clone, Copy, Default)]
pub struct Ties<'a>(Option<&'a (dyn Fn(u32, u32) -> Ordering + Sync)>);

impl<'a> Ties<'a> {
    /// The lower row comes first.
    pub const BY_ROW: Self = Self(None);

    /// The row that `order`, a total preorder, has first; of those that are equal in it the lower row. It is
    /// asked about rows of equal scores alone.
    pub fn by(order: &'a (dyn Fn(u32, u32) -> Ordering + Sync)) -> Self {
        Self(Some(order))
    }

    /// Whether a row never comes before a lower one of the same score.
    pub(super) fn are_by_row(self) -> bool {
        self.0.is_none()
    }

    pub(super) fn order(self, a: u32, b: u32) -> Ordering {
        let said = self.0.map_or(Ordering::Equal, |order| order(a, b));
        said.then(a.cmp(&b))
    }
}

impl fmt::Debug for Ties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_by_row() {
            "by row"
        } else {
            "by an order"
        })
    }
}
