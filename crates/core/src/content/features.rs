//! What is said about an item, as numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use recant_types::{ItemDescription, PropertyValue};

/// Longest text of a property that is a feature, in bytes: longer ones are prose, of which two items
/// rarely have the same.
const TEXT_BYTES_MAX: usize = 64;

/// A text of a property is a feature when so many items share it.
const TEXT_ITEMS_MIN: usize = 2;

/// How many standard deviations from the mean a number may count: one slip of a pen must not carry an
/// item to the top of every list.
const DEVIATIONS_MAX: f64 = 4.0;

/// The column that is 1 for every item.
pub(super) const INTERCEPT: u32 = 0;

/// Something that an item has or has not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Tag(Arc<str>),
    Truth(Arc<str>, bool),
    Text(Arc<str>, Arc<str>),
}

/// A property that is a number.
#[derive(Clone)]
struct Scale {
    column: u32,
    mean: f64,
    deviation: f64,
}

/// The features that a set of descriptions has: an intercept, an indicator for each tag, for each truth and
/// for each short text that several items share, and each number, standardised. `Debug` shows nothing
/// of what is said.
#[derive(Clone)]
pub struct FeatureSpace {
    marks: BTreeMap<Mark, u32>,
    scales: BTreeMap<Arc<str>, Scale>,
}

impl FeatureSpace {
    /// The features of these descriptions. Cost: each of their parts, sorted.
    pub fn of<'a>(described: impl Iterator<Item = &'a ItemDescription> + Clone) -> Self {
        let mut counts = BTreeMap::<Mark, usize>::new();
        let mut moments = BTreeMap::<Arc<str>, Moments>::new();
        for said in described {
            marks(said).for_each(|mark| *counts.entry(mark).or_default() += 1);
            for (name, value) in numbers(said) {
                moments.entry(Arc::clone(name)).or_default().add(value);
            }
        }
        let is_shared = |mark: &Mark, count: usize| match mark {
            Mark::Text(..) => count >= TEXT_ITEMS_MIN,
            Mark::Tag(_) | Mark::Truth(..) => true,
        };
        let shared = counts.into_iter().filter(|(mark, n)| is_shared(mark, *n));
        let marks: BTreeMap<Mark, u32> = shared.map(|(mark, _)| mark).zip(1..).collect();
        let varied = moments
            .into_iter()
            .filter_map(|(name, moments)| Some((name, moments.mean, moments.deviation()?)));
        let numbered = varied.zip(1 + marks.len() as u32..);
        let scales = numbered.map(|((name, mean, deviation), column)| {
            let scale = Scale {
                column,
                mean,
                deviation,
            };
            (name, scale)
        });
        Self {
            scales: scales.collect(),
            marks,
        }
    }

    /// Number of features, the intercept among them.
    pub fn len(&self) -> usize {
        1 + self.marks.len() + self.scales.len()
    }

    /// Whether there is no feature but the intercept.
    pub fn is_empty(&self) -> bool {
        self.len() == 1
    }

    /// The features of a description by column, the intercept first; what is not said is 0. Columns
    /// ascend.
    pub(super) fn features(&self, said: &ItemDescription) -> Vec<(u32, f64)> {
        let marked = marks(said).filter_map(|mark| Some((*self.marks.get(&mark)?, 1.0)));
        let measured = numbers(said).filter_map(|(name, value)| {
            let scale = self.scales.get(name)?;
            let deviations = (value - scale.mean) / scale.deviation;
            Some((
                scale.column,
                deviations.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX),
            ))
        });
        let mut features = vec![(INTERCEPT, 1.0)];
        features.extend(marked.chain(measured));
        features.sort_unstable_by_key(|(column, _)| *column);
        features
    }
}

impl fmt::Debug for FeatureSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureSpace")
            .field("features", &self.len())
            .finish_non_exhaustive()
    }
}

fn marks(said: &ItemDescription) -> impl Iterator<Item = Mark> + '_ {
    let tags = said.tags.iter().map(|tag| Mark::Tag(Arc::clone(tag)));
    let properties = said
        .properties
        .iter()
        .filter_map(|(name, value)| match value {
            PropertyValue::Truth(truth) => Some(Mark::Truth(Arc::clone(name), *truth)),
            PropertyValue::Text(text) if text.len() <= TEXT_BYTES_MAX => {
                Some(Mark::Text(Arc::clone(name), Arc::clone(text)))
            }
            PropertyValue::Text(_) | PropertyValue::Number(_) => None,
        });
    tags.chain(properties)
}

fn numbers(said: &ItemDescription) -> impl Iterator<Item = (&Arc<str>, f64)> {
    said.properties
        .iter()
        .filter_map(|(name, value)| match value {
            PropertyValue::Number(number) => Some((name, *number)),
            PropertyValue::Truth(_) | PropertyValue::Text(_) => None,
        })
}

/// Mean and spread of numbers as they come (Welford 1962).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    /// `None` when all are equal, or too large for their squares.
    fn deviation(&self) -> Option<f64> {
        let deviation = (self.squares / self.count).sqrt();
        let is_usable = deviation.is_normal() && self.mean.is_finite();
        is_usable.then_some(deviation)
    }
}

#[cfg(test)]
mod tests {
    use recant_types::ItemId;

    use super::*;

    fn said(id: &str, tags: &[&str], properties: &[(&str, PropertyValue)]) -> ItemDescription {
        let mut said = ItemDescription::of(ItemId::new(id).expect("an id"));
        said.set_tags(tags.iter().map(|tag| Arc::from(*tag)));
        let properties = properties.iter().cloned();
        said.properties = properties
            .map(|(name, value)| (Arc::from(name), value))
            .collect();
        said
    }

    fn text(text: &str) -> PropertyValue {
        PropertyValue::Text(Arc::from(text))
    }

    #[test]
    fn what_is_said_becomes_indicators_and_standardised_numbers() {
        use PropertyValue::{Number, Truth};
        let all = [
            said("a", &["x"], &[("n", Number(1.0)), ("lang", text("de"))]),
            said(
                "b",
                &["x", "y"],
                &[("n", Number(3.0)), ("ill", Truth(true))],
            ),
            said("c", &[], &[("lang", text("de")), ("blurb", text("alone"))]),
        ];
        let space = FeatureSpace::of(all.iter());
        // Intercept, x, y, ill=true, lang=de, n; a text that one item has is none.
        assert_eq!(space.len(), 6);
        assert_eq!(
            space.features(&all[0]),
            [(0, 1.0), (1, 1.0), (4, 1.0), (5, -1.0)]
        );
        assert_eq!(
            space.features(&all[1]),
            [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (5, 1.0)]
        );
        assert_eq!(space.features(&all[2]), [(0, 1.0), (4, 1.0)]);
    }

    #[test]
    fn numbers_count_only_where_they_differ_and_only_so_far() {
        use PropertyValue::Number;
        let all = [
            said("a", &[], &[("same", Number(7.0)), ("huge", Number(1e300))]),
            said("b", &[], &[("same", Number(7.0)), ("huge", Number(-1e300))]),
            said("c", &[], &[("n", Number(0.0))]),
            said("d", &[], &[("n", Number(2.0))]),
        ];
        let space = FeatureSpace::of(all.iter());
        assert_eq!(space.len(), 2);
        let stray = said("e", &[], &[("n", Number(1e200))]);
        assert_eq!(space.features(&stray), [(0, 1.0), (1, DEVIATIONS_MAX)]);
        assert!(!format!("{space:?}").contains("huge"));
    }
}
