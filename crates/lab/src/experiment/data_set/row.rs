//! One row of a data set.

/// One interaction as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) user: u32,
    pub(super) item: u32,
    pub(super) time: Option<i64>,
}
