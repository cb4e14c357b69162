//! Comparing a model with the retrained one, after a deletion.

use std::collections::BTreeMap;

use super::cell::{Checkpoint, Membership};
use super::data_set::DataSet;
use super::deletion::{Pair, cohort};
use super::unlearner::{MethodError, Trained};
use crate::eval::cohort::Cohort;
use crate::eval::consistency::{consistency, relative_distance};
use crate::eval::held_out::held_out_accuracy;
use crate::eval::membership::{
    ControlKind, Controls, area_under_curve, controls, true_positive_rate,
};
use crate::eval::scorer::Scorer;
use crate::model::interactions::InteractionMatrix;

/// Fewest erased pairs for an area under the curve to say anything.
const MEMBERSHIP_PAIRS_MIN: usize = 20;

/// False positives at which the rate of true ones is given.
const FALSE_POSITIVES: f64 = 0.01;

/// Users whose scores are computed at once.
const USERS_AT_ONCE: usize = 64;

/// A retrained model, and everything else that a comparison with it needs.
pub(super) struct Comparison<'a> {
    pub(super) reference: Trained,
    pub(super) retained: InteractionMatrix,
    held: &'a [Vec<u32>],
    cohort: Cohort,
    temperature: f64,
    attacks: Vec<Attack>,
    /// Pairs erased so far.
    pairs: usize,
}

/// How models are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) users_max: usize,
    pub(super) temperature: f64,
    pub(super) seed: u64,
}

/// A membership attack, with what it finds in the retrained model.
struct Attack {
    kind: ControlKind,
    pairs: Controls,
    area_of_reference: Option<f64>,
    rate_of_reference: Option<f64>,
}

impl<'a> Comparison<'a> {
    /// Prepares comparisons with `reference`, trained on `retained`: `data` without `erased`.
    pub(super) fn new(
        data: &'a DataSet,
        erased: &[Pair],
        retained: InteractionMatrix,
        reference: Trained,
        manner: Manner,
    ) -> Self {
        let attack = |kind| {
            let pairs = controls(kind, erased, &data.train, &data.held, manner.seed);
            let (area_of_reference, rate_of_reference) = attacked(reference.scorer(), &pairs);
            Attack {
                kind,
                pairs,
                area_of_reference,
                rate_of_reference,
            }
        };
        let kinds = [ControlKind::HeldOut, ControlKind::NonInteractions];
        Self {
            held: &data.held,
            cohort: cohort(&retained, erased, manner.users_max, manner.seed),
            temperature: manner.temperature,
            attacks: kinds.map(attack).into(),
            pairs: erased.len(),
            reference,
            retained,
        }
    }

    /// Measures a model that took `seconds` for `deletions`. Refuses one whose scores are no
    /// numbers.
    pub(super) fn measure(
        &self,
        model: &dyn Scorer,
        deletions: usize,
        seconds: f64,
    ) -> Result<Checkpoint, MethodError> {
        let (reference, retained) = (self.reference.scorer(), &self.retained);
        let distance = relative_distance(model, reference, retained, &self.cohort);
        if distance.is_some_and(|distance| !distance.is_finite()) {
            return Err(MethodError::Diverged {
                what: "the model",
                reason: "a score is infinite or no number".to_owned(),
            });
        }
        let (cohort, temperature) = (&self.cohort, self.temperature);
        Ok(Checkpoint {
            deletions,
            pairs: self.pairs,
            seconds,
            consistency: consistency(model, reference, retained, cohort, temperature),
            accuracy: held_out_accuracy(model, retained, self.held, cohort),
            membership: self.attacks.iter().map(|attack| attack.on(model)).collect(),
        })
    }
}

impl Attack {
    fn on(&self, model: &dyn Scorer) -> Membership {
        let (area_under_curve, true_positive_rate) = attacked(model, &self.pairs);
        Membership {
            controls: self.kind,
            pairs: self.pairs.erased.len(),
            area_under_curve,
            true_positive_rate,
            area_of_reference: self.area_of_reference,
            rate_of_reference: self.rate_of_reference,
        }
    }
}

/// Area and rate of the attack on a model, as far as there are pairs enough.
fn attacked(model: &dyn Scorer, pairs: &Controls) -> (Option<f64>, Option<f64>) {
    if pairs.erased.len() < MEMBERSHIP_PAIRS_MIN {
        return (None, None);
    }
    let (erased, others) = (
        scores_of(model, &pairs.erased),
        scores_of(model, &pairs.controls),
    );
    (
        area_under_curve(&erased, &others),
        true_positive_rate(&erased, &others, FALSE_POSITIVES),
    )
}

/// The score of each pair, in order.
fn scores_of(model: &dyn Scorer, pairs: &[Pair]) -> Vec<f64> {
    let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, (user, _)) in pairs.iter().enumerate() {
        places.entry(*user).or_default().push(place);
    }
    let users: Vec<u32> = places.keys().copied().collect();
    let mut found = vec![0.0; pairs.len()];
    for users in users.chunks(USERS_AT_ONCE) {
        let scores = model.scores(users);
        for (column, user) in users.iter().enumerate() {
            for place in &places[user] {
                found[*place] = scores[(pairs[*place].1 as usize, column)];
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;

    /// The score of user u and item i is 1000 u + i.
    struct Numbered;

    impl Scorer for Numbered {
        fn user_rows(&self) -> usize {
            500
        }

        fn item_rows(&self) -> usize {
            7
        }

        fn scores(&self, users: &[u32]) -> Mat<f64> {
            Mat::from_fn(7, users.len(), |item, column| {
                f64::from(1000 * users[column]) + item as f64
            })
        }
    }

    #[test]
    fn every_pair_gets_its_own_score() {
        let pairs: Vec<Pair> = (0..900).map(|k| ((k * 37) % 500, k % 7)).collect();
        let expected: Vec<f64> = pairs.iter().map(|(u, i)| f64::from(1000 * u + i)).collect();
        assert_eq!(scores_of(&Numbered, &pairs), expected);
    }
}
