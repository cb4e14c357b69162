//! Rows of f32 in pages that versions share.

use std::sync::Arc;

/// Rows a page holds: at d = 64 a page has 16 KiB, little to copy for one changed row and long
/// enough to scan at full speed.
pub(super) const PAGE_ROWS: usize = 64;

/// A matrix of rows × d in f32 whose versions share what they have in common.
///
/// Cloning takes constant time. Writing a row copies its page if another version still holds that
/// page, and a path of O(log pages) above it; a version therefore costs what changed, not what
/// exists. The publisher writes, snapshots are cloned from it, and a page is freed with the last
/// version that holds it.
#[derive(Debug, Clone)]
pub struct PagedRows {
    /// Every page has full length; what lies behind the last row is zero.
    pages: imbl::Vector<Arc<[f32]>>,
    rows: usize,
    dim: usize,
}

impl PagedRows {
    /// The matrix whose row r is what `fill(r, row)` writes into d zeros.
    ///
    /// # Panics
    /// When `dim` is 0.
    pub fn from_rows(rows: usize, dim: usize, mut fill: impl FnMut(usize, &mut [f32])) -> Self {
        assert!(dim > 0, "rows need at least one dimension");
        let page = |page: usize| {
            let mut values = vec![0.0; PAGE_ROWS * dim];
            let first = page * PAGE_ROWS;
            let held = PAGE_ROWS.min(rows - first);
            for (row, values) in values.chunks_exact_mut(dim).take(held).enumerate() {
                fill(first + row, values);
            }
            Arc::from(values)
        };
        Self {
            pages: (0..rows.div_ceil(PAGE_ROWS)).map(page).collect(),
            rows,
            dim,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Latent dimensions d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// One row, d values. O(log rows).
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: u32) -> &[f32] {
        let (page, range) = self.place(row);
        &self.pages[page][range]
    }

    /// Replaces one row. Copies its page only when another version shares it.
    ///
    /// # Panics
    /// When there is no such row, or `values` does not have d values.
    pub fn set_row(&mut self, row: u32, values: &[f32]) {
        let (page, range) = self.place(row);
        Arc::make_mut(&mut self.pages[page])[range].copy_from_slice(values);
    }

    /// Appends zero rows until there are at least `rows`. O(new pages).
    pub fn grow(&mut self, rows: usize) {
        while self.pages.len() < rows.div_ceil(PAGE_ROWS) {
            self.pages
                .push_back(Arc::from(vec![0.0; PAGE_ROWS * self.dim]));
        }
        self.rows = self.rows.max(rows);
    }

    /// Whether every value is finite, as a version must be before it is published. O(rows · d).
    pub fn is_finite(&self) -> bool {
        self.pages
            .iter()
            .all(|page| page.iter().all(|value| value.is_finite()))
    }

    /// The pages in order: each with the number of its first row, and only the rows that exist.
    pub fn pages(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.pages.iter().enumerate().map(|(page, values)| {
            let first = page * PAGE_ROWS;
            let held = PAGE_ROWS.min(self.rows - first);
            (first as u32, &values[..held * self.dim])
        })
    }

    fn place(&self, row: u32) -> (usize, std::ops::Range<usize>) {
        let row = row as usize;
        assert!(row < self.rows, "the row must exist");
        let start = row % PAGE_ROWS * self.dim;
        (row / PAGE_ROWS, start..start + self.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(rows: usize, dim: usize) -> PagedRows {
        PagedRows::from_rows(rows, dim, |row, values| {
            for (column, value) in values.iter_mut().enumerate() {
                *value = (row * dim + column) as f32;
            }
        })
    }

    #[test]
    fn rows_read_back_as_they_were_filled() {
        for rows in [0, 1, 63, 64, 65, 200] {
            let matrix = numbered(rows, 3);
            assert_eq!((matrix.rows(), matrix.dim()), (rows, 3));
            for row in 0..rows {
                let start = (row * 3) as f32;
                assert_eq!(matrix.row(row as u32), [start, start + 1.0, start + 2.0]);
            }
            let held: usize = matrix.pages().map(|(_, values)| values.len() / 3).sum();
            assert_eq!(held, rows);
        }
    }

    #[test]
    fn a_version_keeps_its_rows_and_shares_the_pages_that_did_not_change() {
        let mut live = numbered(300, 2);
        let version = live.clone();
        live.set_row(130, &[-1.0, -2.0]);
        live.set_row(131, &[-3.0, -4.0]);
        assert_eq!(version.row(130), [260.0, 261.0]);
        assert_eq!(live.row(130), [-1.0, -2.0]);
        assert_eq!(live.row(132), version.row(132));
        let shared = version
            .pages
            .iter()
            .zip(&live.pages)
            .filter(|(a, b)| Arc::ptr_eq(a, b));
        assert_eq!(shared.count(), version.pages.len() - 1);
    }

    #[test]
    fn growing_appends_zero_rows_and_never_shrinks() {
        let mut matrix = numbered(5, 2);
        let version = matrix.clone();
        matrix.grow(130);
        matrix.grow(3);
        assert_eq!((matrix.rows(), version.rows()), (130, 5));
        assert_eq!(matrix.row(4), [8.0, 9.0]);
        assert!((5..130).all(|row| matrix.row(row) == [0.0, 0.0]));
        matrix.set_row(129, &[1.0, 2.0]);
        assert_eq!(matrix.row(129), [1.0, 2.0]);
    }

    #[test]
    fn a_value_that_is_not_finite_is_noticed() {
        let mut matrix = numbered(70, 2);
        assert!(matrix.is_finite());
        for value in [f32::NAN, f32::INFINITY] {
            matrix.set_row(69, &[0.0, value]);
            assert!(!matrix.is_finite());
        }
    }
}
