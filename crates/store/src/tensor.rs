//! The matrices of a model, as their rows are stored.

/// The matrices of a model whose rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tensor {
    /// The item factors Q.
    ItemFactors = b'q',
    /// The layers of a neural model that belong to nobody, cut into rows of
    /// [`SHARED_ROW_VALUES`]; the last may be shorter.
    Shared = b's',
}

/// Values in a stored row of [`Tensor::Shared`].
pub const SHARED_ROW_VALUES: usize = 4_000;
