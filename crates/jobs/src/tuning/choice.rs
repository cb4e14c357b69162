//! Which of the fully trained settings to use.

use super::trial::{Stage, Trial};

/// Accuracies within this share of the best are a tie.
pub const TIE_SHARE: f64 = 0.01;

/// The setting to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Its place among the trials.
    pub trial: usize,
    /// The place of the most accurate one.
    pub most_accurate: usize,
}

/// The most accurate of the fully trained trials whose certificate closes, if its accuracy ties with
/// the best of all within [`TIE_SHARE`]; or else the best of all. Of equals the first. `None`
/// when no setting was fully trained.
pub(crate) fn choose(trials: &[Trial]) -> Option<Choice> {
    let most_accurate = best(trials, |_| true)?;
    let least = (1.0 - TIE_SHARE) * trials[most_accurate].accuracy.ndcg;
    let tied = |trial: &Trial| trial.is_certifiable() && trial.accuracy.ndcg >= least;
    Some(Choice {
        trial: best(trials, tied).unwrap_or(most_accurate),
        most_accurate,
    })
}

fn best(trials: &[Trial], allowed: impl Fn(&Trial) -> bool) -> Option<usize> {
    let trained = trials
        .iter()
        .enumerate()
        .filter(|(_, trial)| trial.stage == Stage::FullyTrained);
    trained
        .filter(|(_, trial)| allowed(trial))
        .reduce(|best, next| {
            if next.1.accuracy.ndcg > best.1.accuracy.ndcg {
                next
            } else {
                best
            }
        })
        .map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::trial::Certifiable;
    use recant_eval::Accuracy;
    use recant_types::IalsHyperparameters;

    fn trial(stage: Stage, ndcg: f64, closes: bool) -> Trial {
        Trial {
            hyperparameters: IalsHyperparameters::default(),
            stage,
            accuracy: Accuracy {
                users: 100,
                ndcg,
                recall: ndcg,
            },
            sweeps: 10,
            rank: Some(5),
            certifiable: Some(Certifiable {
                holds: closes,
                root_mean_square: 1e-5,
                lambda: None,
            }),
            seconds: 1.0,
        }
    }

    fn chosen(trials: &[(Stage, f64, bool)]) -> Option<(usize, usize)> {
        let trials: Vec<Trial> = trials.iter().map(|(s, n, c)| trial(*s, *n, *c)).collect();
        choose(&trials).map(|choice| (choice.trial, choice.most_accurate))
    }

    #[test]
    fn a_certifiable_setting_wins_a_tie_and_no_more_than_a_tie() {
        use Stage::{FullyTrained, Screened};
        let close = [
            (FullyTrained, 0.400, false),
            (FullyTrained, 0.3961, true),
            (FullyTrained, 0.3965, true),
        ];
        assert_eq!(chosen(&close), Some((2, 0)));
        assert_eq!(
            chosen(&[(FullyTrained, 0.400, false), (FullyTrained, 0.395, true)]),
            Some((0, 0))
        );
        assert_eq!(
            chosen(&[(FullyTrained, 0.3, true), (FullyTrained, 0.3, true)]),
            Some((0, 0))
        );
        assert_eq!(
            chosen(&[(Screened, 0.9, true), (FullyTrained, 0.1, false)]),
            Some((1, 1))
        );
        assert_eq!(chosen(&[(Screened, 0.9, true)]), None);
    }
}
