//! The types of feedback that a caller may name.

use std::sync::Arc;

use crate::config::FeedbackSettings;
use recant_types::{
    FeedbackRule, FeedbackRules, FeedbackType, InvalidFeedbackType, WEIGHT_MAX, WEIGHT_MIN,
};

/// The types of feedback that the configuration names, and the default.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownFeedback(Arc<FeedbackRules>);

/// Why a name does not name a type of feedback. The name is not part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FeedbackError {
    /// It cannot be a name.
    #[error("type: {0}")]
    Invalid(#[from] InvalidFeedbackType),
    /// The configuration does not say what it means.
    #[error("type is none that the configuration names: add it under feedback.types, or check it")]
    Unknown,
}

impl KnownFeedback {
    /// Those that the settings name.
    pub(super) fn new(settings: &FeedbackSettings) -> Self {
        Self(Arc::new(settings.types.clone()))
    }

    /// The type with this name.
    pub(super) fn find(&self, name: &str) -> Result<FeedbackType, FeedbackError> {
        let named = FeedbackType::new(name)?;
        if self.0.contains_key(&named) || named == FeedbackType::default() {
            Ok(named)
        } else {
            Err(FeedbackError::Unknown)
        }
    }

    /// What an event of a known type says.
    pub(super) fn rule(&self, feedback: &FeedbackType) -> FeedbackRule {
        self.0.get(feedback).copied().unwrap_or_default()
    }

    /// Refuses a weight that is out of range once that of the type is multiplied with it.
    pub(super) fn check_weight(&self, feedback: &FeedbackType, weight: f32) -> Result<(), String> {
        let Some(rule) = self.0.get(feedback) else {
            return Ok(());
        };
        let confidence = f64::from(weight) * f64::from(rule.weight);
        if (f64::from(WEIGHT_MIN)..=f64::from(WEIGHT_MAX)).contains(&confidence) {
            return Ok(());
        }
        Err(format!(
            "weight is out of the range from {WEIGHT_MIN} to {WEIGHT_MAX} once that of its type is \
             multiplied with it"
        ))
    }
}
