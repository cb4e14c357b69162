//! Comparing a model with the retrained one, after a deletion.

use std::collections::BTreeMap;

use super::data_set::DataSet;
use super::deletion::{Pair, cohort};
use super::run_record::{Checkpoint, Membership};
use super::unlearner::{MethodError, Trained};
use recant_core::model::InteractionMatrix;
use recant_eval::{
    Cohort, ControlKind, Controls, Scorer, area_under_curve, consistency, controls,
    held_out_accuracy, relative_distance, true_positive_rate,
};

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
    held_out: &'a [Vec<u32>],
    cohort: Cohort,
    temperature: f64,
    attacks: Vec<Attack>,
    /// Pairs erased so far.
    pairs: usize,
}

/// How models are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct ComparisonOptions {
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
        options: ComparisonOptions,
    ) -> Self {
        let attack = |kind| {
            let pairs = controls(kind, erased, &data.train, &data.held_out, options.seed);
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
            held_out: &data.held_out,
            cohort: cohort(&retained, erased, options.users_max, options.seed),
            temperature: options.temperature,
            attacks: kinds.map(attack).into(),
            pairs: erased.len(),
            reference,
            retained,
        }
    }

    /// Measures a model that took `seconds` for `deletions`. Refuses one whose scores are
    /// NaN or infinite.
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
                reason: "a score is infinite or NaN".to_owned(),
            });
        }
        let (cohort, temperature) = (&self.cohort, self.temperature);
        Ok(Checkpoint {
            deletions,
            pairs: self.pairs,
            seconds,
            consistency: consistency(model, reference, retained, cohort, temperature),
            accuracy: held_out_accuracy(model, retained, self.held_out, cohort),
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
    use crate::experiment::deletion::without;
    use recant_core::model::Entry;
    use recant_core::model::Factors;
    use recant_core::model::Ials;
    use recant_types::IalsHyperparameters;

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

    /// A table of scores as a model of rank 1.
    fn ials(users: &[f64], items: &[f64]) -> Trained {
        let hyper = IalsHyperparameters {
            dim: 1,
            ..IalsHyperparameters::default()
        };
        let factors = |values: &[f64]| {
            let mut factors = Factors::zeros(values.len(), 1);
            factors.as_mut_slice().copy_from_slice(values);
            factors
        };
        let model = Ials::from_factors(hyper, factors(users), factors(items));
        Trained::Ials(Box::new(model))
    }

    fn data() -> DataSet {
        let entry = |index| Entry::wanted(index, 1.0);
        let histories = (0..30u32).map(|user| (0..30).map(|k| entry((user + k) % 40)).collect());
        DataSet {
            name: "made".to_owned(),
            train: InteractionMatrix::from_histories(histories.collect(), 40),
            held_out: (0..30u32).map(|user| vec![(user + 35) % 40]).collect(),
            fingerprint: String::new(),
        }
    }

    fn comparison<'a>(data: &'a DataSet, reference: Trained) -> Comparison<'a> {
        let erased: Vec<Pair> = (0..30).map(|user| (user, user)).collect();
        let options = ComparisonOptions {
            users_max: 100,
            temperature: 1.0,
            seed: 1,
        };
        Comparison::new(
            data,
            &erased,
            without(&data.train, &erased),
            reference,
            options,
        )
    }

    #[test]
    fn scores_that_are_no_numbers_are_refused_and_others_measured() {
        let data = data();
        let (users, items) = (vec![1.0; 30], (0..40).map(f64::from).collect::<Vec<_>>());
        let comparison = comparison(&data, ials(&users, &items));
        let measured = comparison
            .measure(ials(&users, &items).scorer(), 1, 0.5)
            .expect("numbers");
        assert_eq!(measured.consistency.all.relative_frobenius, Some(0.0));
        assert_eq!(
            (measured.pairs, measured.consistency.deleted.users),
            (30, 30)
        );
        let mut spoilt = users.clone();
        spoilt[7] = f64::NAN;
        let told = comparison.measure(ials(&spoilt, &items).scorer(), 1, 0.5);
        assert!(
            matches!(told, Err(MethodError::Diverged { .. })),
            "{told:?}"
        );
    }

    /// A model that scores exactly the erased pairs high gives itself away; the retrained one, which
    /// scores by item, does not.
    #[test]
    fn a_model_that_remembers_is_caught() {
        struct Remembers;
        impl Scorer for Remembers {
            fn user_rows(&self) -> usize {
                30
            }
            fn item_rows(&self) -> usize {
                40
            }
            fn scores(&self, users: &[u32]) -> Mat<f64> {
                Mat::from_fn(40, users.len(), |item, at| {
                    f64::from(u8::from(users[at] == item as u32))
                })
            }
        }
        let data = data();
        let comparison = comparison(&data, ials(&[1.0; 30], &[1.0; 40]));
        let measured = comparison.measure(&Remembers, 1, 0.5).expect("numbers");
        for attack in measured.membership {
            assert_eq!(attack.area_under_curve, Some(1.0));
            assert_eq!(attack.area_of_reference, Some(0.5));
            // Thirty pairs are too few for a rate at 1 %.
            assert_eq!(attack.true_positive_rate, None);
        }
    }
}
