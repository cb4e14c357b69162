//! A subject as the model sees it.

use std::borrow::Cow;

use crate::source::Source;
use recant_core::model::Entry;

/// A subject as the model sees it.
pub(crate) struct Person<'a> {
    /// Where the factors come from.
    pub(crate) source: Source,
    /// Rows of what the subject has.
    pub(crate) seen: Vec<u32>,
    /// What the factors are made of.
    pub(crate) history: Cow<'a, [Entry]>,
    /// The factors; none of somebody of whom nothing is known.
    pub(crate) factors: Option<Cow<'a, [f32]>>,
}

impl<'a> Person<'a> {
    /// Somebody of whom the model knows nothing.
    pub(crate) fn stranger(seen: Vec<u32>) -> Self {
        Self {
            source: Source::Popular,
            seen,
            history: Cow::default(),
            factors: None,
        }
    }

    /// Somebody whose factors were solved for.
    pub(crate) fn folded_in(seen: Vec<u32>, history: Cow<'a, [Entry]>, factors: Vec<f32>) -> Self {
        Self {
            source: Source::FoldIn,
            seen,
            history,
            factors: Some(Cow::Owned(factors)),
        }
    }
}
