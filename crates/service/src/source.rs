//! How a list of recommendations was made.

/// Where a list of recommendations came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The stored factors of a known user.
    Model,
    /// Factors solved for at request time from a history.
    FoldIn,
    /// Interaction counts, for an unknown user or an empty history.
    Popular,
}

impl Source {
    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::FoldIn => "fold_in",
            Self::Popular => "popular",
        }
    }
}
