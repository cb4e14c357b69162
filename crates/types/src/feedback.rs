//! Types of feedback: what people did, and how much each kind of it says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize};

use crate::weight::{WEIGHT_MAX, WEIGHT_MIN};

/// Most types of feedback that one store may hold.
pub const FEEDBACK_TYPES_MAX: usize = 128;

/// Longest name of a type, in bytes.
pub const FEEDBACK_TYPE_BYTES_MAX: usize = 64;

/// The name of the type that is meant where none is given.
const INTERACTION: &str = "interaction";

/// The name of a type of feedback: `view`, `purchase`, `dislike`. No personal data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FeedbackType(Arc<str>);

/// The text is no name of a type of feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a type of feedback has 1 to {FEEDBACK_TYPE_BYTES_MAX} letters, digits, '_', '-' or '.'"
)]
pub struct InvalidFeedbackType;

impl FeedbackType {
    /// The type with this name: 1 to [`FEEDBACK_TYPE_BYTES_MAX`] ASCII letters, digits, `_`, `-`
    /// and `.`.
    pub fn new(name: &str) -> Result<Self, InvalidFeedbackType> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let length = 1..=FEEDBACK_TYPE_BYTES_MAX;
        if length.contains(&name.len()) && name.bytes().all(is_good) {
            Ok(Self(Arc::from(name)))
        } else {
            Err(InvalidFeedbackType)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for FeedbackType {
    /// `interaction`, which is meant where no type is given.
    fn default() -> Self {
        static NAME: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(INTERACTION));
        Self(Arc::clone(&NAME))
    }
}

impl fmt::Display for FeedbackType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FeedbackType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

/// The number of a type of feedback within one store, below [`FEEDBACK_TYPES_MAX`]. The default is
/// that of `interaction` in every store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FeedbackNumber(pub u8);

/// What becomes of several events of one type with one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The newest counts.
    #[default]
    Latest,
    /// Their weights add up.
    Sum,
    /// The greatest weight counts.
    Max,
}

/// How much an event of one type says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedbackRule {
    /// The confidence of an event of weight 1; that of another is in proportion.
    pub weight: f32,
    /// The preference that it says: 1 for wanted, 0 for unwanted.
    pub target: f32,
    /// Whether the item leaves the lists of whoever did it.
    pub seen: bool,
    /// What becomes of several such events with one pair.
    pub combine: Combine,
}

impl Default for FeedbackRule {
    fn default() -> Self {
        Self {
            weight: 1.0,
            target: 1.0,
            seen: true,
            combine: Combine::Latest,
        }
    }
}

/// The rules that are configured, by the names of their types.
pub type FeedbackRules = BTreeMap<FeedbackType, FeedbackRule>;

/// One event of a pair, as it is held: its weight, and when it happened in the unit of its source.
pub type HeldEvent = (f32, Option<i64>);

/// The store holds feedback of a type that no rule is configured for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the data hold feedback of the type {0}, which the configuration does not know: add a section \
     [feedback.types.{0}]"
)]
pub struct UnknownFeedbackType(pub FeedbackType);

/// Every type of feedback of one store, by number, with its rule.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackTypes(Vec<(FeedbackType, FeedbackRule)>);

impl Default for FeedbackTypes {
    /// `interaction` alone, of weight and target 1.
    fn default() -> Self {
        Self(vec![Default::default()])
    }
}

/// A pair as it is learnt: confidence and preference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learnt {
    /// Confidence c.
    pub weight: f32,
    /// The preference t that the score is drawn to.
    pub target: f32,
}

impl FeedbackTypes {
    /// The types of a store, `names` in the order of their numbers, with their `rules`. Without one
    /// `interaction` has the default rule; every other type must have one.
    pub fn new(names: &[FeedbackType], rules: &FeedbackRules) -> Result<Self, UnknownFeedbackType> {
        let rule = |name: &FeedbackType| match rules.get(name) {
            Some(rule) => Ok(*rule),
            None if *name == FeedbackType::default() => Ok(FeedbackRule::default()),
            None => Err(UnknownFeedbackType(name.clone())),
        };
        let types = names.iter().map(|name| Ok((name.clone(), rule(name)?)));
        types.collect::<Result<_, _>>().map(Self)
    }

    /// The number of a type; `None` when it is unknown here.
    pub fn number(&self, name: &FeedbackType) -> Option<FeedbackNumber> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        u8::try_from(place).ok().map(FeedbackNumber)
    }

    /// The name of a type; that of the default for a number that does not exist.
    pub fn name(&self, number: FeedbackNumber) -> FeedbackType {
        let known = self.0.get(usize::from(number.0));
        known.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// The rule of a type; the default for a number that does not exist.
    pub fn rule(&self, number: FeedbackNumber) -> FeedbackRule {
        let known = self.0.get(usize::from(number.0));
        known.map(|(_, rule)| *rule).unwrap_or_default()
    }

    /// The names, in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &FeedbackType> {
        self.0.iter().map(|(name, _)| name)
    }

    /// What is held of a pair and a type after one more event; `takes_the_place` says whether it is
    /// the newer. The time is that of the latest, and the weight at most [`WEIGHT_MAX`].
    pub fn combine(
        &self,
        number: FeedbackNumber,
        held: HeldEvent,
        new: HeldEvent,
        takes_the_place: bool,
    ) -> HeldEvent {
        let newest = if takes_the_place { new } else { held };
        match self.rule(number).combine {
            Combine::Latest => newest,
            Combine::Sum => ((held.0 + new.0).min(WEIGHT_MAX), newest.1),
            Combine::Max => (held.0.max(new.0), newest.1),
        }
    }

    /// What is learnt of a pair with these events, at most one of each type; `None` without any.
    ///
    /// Since `Σ c_k (x − t_k)² = c (x − t)² + const` with `c = Σ c_k` and `t = Σ c_k t_k / c`, one
    /// weighted target stands for all of them exactly. `c_k` is the weight of the event times that of
    /// its type; the sum is kept within [`WEIGHT_MIN`] and [`WEIGHT_MAX`].
    pub fn learnt(
        &self,
        events: impl IntoIterator<Item = (FeedbackNumber, f32)>,
    ) -> Option<Learnt> {
        let (mut weight, mut wanted) = (0.0, 0.0);
        for (number, own) in events {
            let rule = self.rule(number);
            let confidence = f64::from(own) * f64::from(rule.weight);
            weight += confidence;
            wanted += confidence * f64::from(rule.target);
        }
        (weight > 0.0).then(|| Learnt {
            weight: (weight as f32).clamp(WEIGHT_MIN, WEIGHT_MAX),
            target: (wanted / weight).clamp(0.0, 1.0) as f32,
        })
    }

    /// Whether one of these types takes an item out of the lists of whoever did it.
    pub fn are_seen(&self, events: impl IntoIterator<Item = FeedbackNumber>) -> bool {
        events.into_iter().any(|number| self.rule(number).seen)
    }

    /// Whether every type does, so that nobody need ask for a single pair.
    pub fn all_are_seen(&self) -> bool {
        self.0.iter().all(|(_, rule)| rule.seen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn types(rules: &[FeedbackRule]) -> FeedbackTypes {
        let named = (0..).zip(rules).map(|(number, rule)| {
            let name = FeedbackType::new(&format!("type-{number}")).expect("a name");
            (name, *rule)
        });
        FeedbackTypes(named.collect())
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["view", "READ", "a.b-c_9"] {
            assert_eq!(FeedbackType::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "a b", "é", "a/b", &"a".repeat(65)] {
            assert_eq!(FeedbackType::new(bad), Err(InvalidFeedbackType), "{bad}");
        }
        assert_eq!(FeedbackType::default().as_str(), "interaction");
    }

    #[test]
    fn every_type_but_the_default_needs_a_rule() {
        let dislike = FeedbackType::new("dislike").expect("a name");
        let names = [FeedbackType::default(), dislike.clone()];
        let missing = FeedbackTypes::new(&names, &FeedbackRules::new());
        assert_eq!(missing, Err(UnknownFeedbackType(dislike.clone())));
        let rule = FeedbackRule {
            target: 0.0,
            ..FeedbackRule::default()
        };
        let known = FeedbackTypes::new(&names, &FeedbackRules::from([(dislike.clone(), rule)]));
        let known = known.expect("all are known");
        assert_eq!(known.number(&dislike), Some(FeedbackNumber(1)));
        assert_eq!(known.rule(FeedbackNumber(1)), rule);
        assert_eq!(known.name(FeedbackNumber(1)), dislike);
    }

    #[test]
    fn events_of_one_type_combine_as_it_is_configured() {
        let of = |combine| FeedbackRule {
            combine,
            ..FeedbackRule::default()
        };
        let types = types(&[of(Combine::Latest), of(Combine::Sum), of(Combine::Max)]);
        let (held, new) = ((3.0, Some(10)), (2.0, Some(20)));
        let both =
            |number, held, new, newer| types.combine(FeedbackNumber(number), held, new, newer);
        assert_eq!(both(0, held, new, true), new);
        assert_eq!(both(0, new, held, false), new);
        assert_eq!(both(1, held, new, true), (5.0, Some(20)));
        assert_eq!(both(1, new, held, false), (5.0, Some(20)));
        assert_eq!(both(2, held, new, true), (3.0, Some(20)));
        assert_eq!(both(1, (WEIGHT_MAX, None), new, true).0, WEIGHT_MAX);
    }

    proptest! {
        /// Of two scores the squared errors differ by the same for the events and for what is learnt
        /// of them: the constant between them does not depend on the score.
        #[test]
        fn one_weighted_target_stands_for_all_events(
            events in prop::collection::vec((0.01f32..10.0, 0.01f32..10.0, 0.0f32..1.0), 1..6),
            x in -2.0f64..3.0,
            y in -2.0f64..3.0,
        ) {
            let rules: Vec<FeedbackRule> = events
                .iter()
                .map(|(_, weight, target)| FeedbackRule {
                    weight: *weight,
                    target: *target,
                    ..FeedbackRule::default()
                })
                .collect();
            let numbered = (0..).map(FeedbackNumber).zip(events.iter().map(|event| event.0));
            let learnt = types(&rules).learnt(numbered).expect("events");
            let of_events = |x: f64| -> f64 {
                let error = |(own, weight, target): &(f32, f32, f32)| {
                    f64::from(*own) * f64::from(*weight) * (x - f64::from(*target)).powi(2)
                };
                events.iter().map(error).sum()
            };
            let of_learnt =
                |x: f64| f64::from(learnt.weight) * (x - f64::from(learnt.target)).powi(2);
            let (expected, found) = (of_events(x) - of_events(y), of_learnt(x) - of_learnt(y));
            prop_assert!((expected - found).abs() <= 1e-4 * (1.0 + of_events(x) + of_events(y)));
        }
    }

    #[test]
    fn a_pair_of_which_nothing_is_left_is_not_learnt() {
        assert_eq!(FeedbackTypes::default().learnt([]), None);
        let one = FeedbackTypes::default().learnt([(FeedbackNumber(0), 2.5)]);
        let expected = Learnt {
            weight: 2.5,
            target: 1.0,
        };
        assert_eq!(one, Some(expected));
    }
}
