//! A matrix of which few values are not zero.

/// Rows of pairs of a column and a value, one behind the other.
#[derive(Debug, Clone)]
pub(super) struct SparseRows {
    /// Where each row begins, and where the last one ends.
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
    columns: usize,
}

impl SparseRows {
    /// No rows yet, of so many columns.
    pub(super) fn new(columns: usize) -> Self {
        Self {
            starts: vec![0],
            entries: Vec::new(),
            columns,
        }
    }

    /// Appends a row, whose columns must be there, each once.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = (u32, f64)>) {
        self.entries.extend(row);
        self.starts.push(self.entries.len());
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn row(&self, row: usize) -> &[(u32, f64)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }
}
