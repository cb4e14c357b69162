//! The types of feedback that there are.

use serde::{Deserialize, Serialize};

use super::invalid::InvalidSetting;
use recant_types::{FEEDBACK_TYPES_MAX, FeedbackRules, WEIGHT_MAX, WEIGHT_MIN};

/// What people may tell about items, a section a type. Without one there is the type `interaction`
/// alone, of weight and target 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedbackSettings {
    /// By the name of the type.
    pub types: FeedbackRules,
}

impl FeedbackSettings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        if self.types.len() >= FEEDBACK_TYPES_MAX {
            let problem = format!("has more than {} types", FEEDBACK_TYPES_MAX - 1);
            return Err(InvalidSetting::new("feedback.types", problem));
        }
        for (name, rule) in &self.types {
            let key = |field: &str| format!("feedback.types.{name}.{field}");
            if !(WEIGHT_MIN..=WEIGHT_MAX).contains(&rule.weight) {
                let problem = format!(
                    "is {}: it must be from {WEIGHT_MIN} to {WEIGHT_MAX}",
                    rule.weight
                );
                return Err(InvalidSetting::new(key("weight"), problem));
            }
            if !(0.0..=1.0).contains(&rule.target) {
                let problem = format!(
                    "is {}: it must be from 0, for unwanted, to 1, for wanted",
                    rule.target
                );
                return Err(InvalidSetting::new(key("target"), problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_types::{FeedbackRule, FeedbackType};

    #[test]
    fn a_rule_out_of_range_is_named() {
        let with = |rule| FeedbackSettings {
            types: [(FeedbackType::new("view").expect("a name"), rule)].into(),
        };
        let rule = FeedbackRule::default();
        assert_eq!(with(rule).check(), Ok(()));
        let heavy = FeedbackRule {
            weight: f32::INFINITY,
            ..rule
        };
        let error = with(heavy).check().expect_err("too heavy");
        assert_eq!(error.key, "feedback.types.view.weight");
        let far = FeedbackRule {
            target: f32::NAN,
            ..rule
        };
        let error = with(far).check().expect_err("no preference");
        assert_eq!(error.key, "feedback.types.view.target");
    }
}
