//! A value that cannot be used.

/// A value that its type allows and its meaning does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {problem}")]
pub struct InvalidSetting {
    /// The key, dotted.
    pub key: String,
    /// What is wrong with it and what would be right; never a secret.
    pub problem: String,
}

impl InvalidSetting {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

/// Refuses `value` unless it lies within `range`.
pub(super) fn check_range(
    key: &str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(), InvalidSetting> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    let problem = format!("is {value}: take a number from {least} to {most}");
    Err(InvalidSetting::new(key, problem))
}
