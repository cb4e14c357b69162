//! How codes and sums lie in memory, the same for every path.

/// Items of a page.
pub(crate) const SLOTS: usize = 64;

/// Columns of a step.
pub(crate) const STEP_COLUMNS: usize = 4;

/// Lines of a step: 64 items of four bytes each.
pub(crate) const GROUPS: usize = SLOTS * STEP_COLUMNS / LINE_BYTES;

/// Bytes of a line, those of a cache line and of the widest vector.
pub(super) const LINE_BYTES: usize = 64;

/// Items of a line.
pub(super) const GROUP_ITEMS: usize = SLOTS / GROUPS;

/// Codes as they lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Line(pub [u8; LINE_BYTES]);

impl Line {
    /// A line of zeros.
    pub const ZERO: Self = Self([0; LINE_BYTES]);
}

/// Where the byte for `column` (0 to 3) of a step and item `slot` lies: line and place in it.
#[inline(always)]
pub(crate) fn place(slot: usize, column: usize) -> (usize, usize) {
    (
        slot / GROUP_ITEMS,
        slot % GROUP_ITEMS * STEP_COLUMNS + column,
    )
}

/// One sum for each item of a page.
pub(crate) type Sums = [i32; SLOTS];
