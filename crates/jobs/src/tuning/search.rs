//! From a coarse grid to a few fully trained settings.

use std::ops::ControlFlow;
use std::time::Instant;

use super::choice::{TIE_SHARE, choose};
use super::options::{LIST_LENGTH, TuningOptions, TuningProgress};
use super::trial::{Certifiable, Stage, Trial};
use recant_core::model::{Ials, InteractionMatrix};
use recant_core::optim::als;
use recant_core::optim::als::{TrainingError, TrainingOptions};
use recant_core::unlearn::{Progress, cold};
use recant_eval::{Holdout, accuracy, numerical_rank};
use recant_service::Remedy;
use recant_service::two_digits;
use recant_types::IalsHyperparameters;

/// The coarse grid: α₀ and, for ν = 1, λ. Published optima for implicit feedback lie within
/// (Rendle et al. 2021, "Revisiting the Performance of iALS", tables 2 to 4).
const ALPHA0_COARSE: [f64; 4] = [0.3, 0.1, 1.0, 0.03];
const LAMBDA_COARSE: [f64; 4] = [0.01, 0.03, 0.003, 0.1];

/// What α₀ and λ are then multiplied or divided by, around the best: half a step of the coarse
/// grid on a logarithmic scale, and half of that.
const STEPS: [f64; 2] = [1.8, 1.35];

/// Moves of the refinement for each step.
const MOVES_MAX: usize = 4;

/// Exponents tried besides 1 and, for each, what the matching λ is multiplied by.
const NU_OTHERS: [f64; 2] = [0.5, 0.0];
const NU_LAMBDA_FACTORS: [f64; 3] = [1.0, 1.8, 1.0 / 1.8];

/// How settings are screened: sweeps at most, and a residual that ends them earlier.
const SCREENING_SWEEPS: usize = 12;
const SCREENING_RESIDUAL: f64 = 1e-3;

/// Screened settings are trained to the end when they are within this share of the best of them; half
/// of it is what screening may misjudge.
const FINALIST_SHARE: f64 = 2.0 * TIE_SHARE;

/// The most accurate screened settings that are trained to the end.
const FINALISTS: usize = 4;

/// Settings towards the boundary of feasibility, where the certificate closes, that are trained to the
/// end besides.
const BOUNDARY_STEPS_MAX: usize = 4;

/// Share of the time budget that screening may use.
const SCREENING_SHARE: f64 = 0.5;

/// One search: what it works on and what it found so far.
pub(super) struct Search<'a> {
    holdout: &'a Holdout,
    options: &'a TuningOptions,
    observe: &'a mut dyn FnMut(TuningProgress),
    started: Instant,
    pub(super) trials: Vec<Trial>,
    pub(super) diverged: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        holdout: &'a Holdout,
        options: &'a TuningOptions,
        observe: &'a mut dyn FnMut(TuningProgress),
    ) -> Self {
        Self {
            holdout,
            options,
            observe,
            started: Instant::now(),
            trials: Vec::new(),
            diverged: 0,
        }
    }

    /// Trains every one of `settings` to the end.
    pub(super) fn exhaust(&mut self, settings: &[IalsHyperparameters]) {
        for setting in settings {
            if !self.may_train_fully() {
                return;
            }
            self.train_fully(*setting);
        }
    }

    /// Screens from coarse to fine, and trains the best to the end.
    pub(super) fn narrow_down(&mut self) {
        self.screen_coarse_grid();
        for step in STEPS {
            self.screen_around_best(step);
        }
        self.screen_other_exponents();
        for finalist in self.finalists() {
            if self.may_train_fully() {
                self.train_fully(finalist);
            }
        }
        self.approach_feasibility_boundary();
    }

    fn screen_coarse_grid(&mut self) {
        let mut places: Vec<(usize, usize)> = (0..ALPHA0_COARSE.len())
            .flat_map(|alpha0| (0..LAMBDA_COARSE.len()).map(move |lambda| (alpha0, lambda)))
            .collect();
        // The likeliest first, for a search that ends early.
        places.sort_by_key(|(alpha0, lambda)| alpha0 + lambda);
        for (alpha0, lambda) in places {
            self.screen(ALPHA0_COARSE[alpha0], LAMBDA_COARSE[lambda], 1.0);
        }
    }

    /// Moves to the best neighbour, and on from there while it is better.
    fn screen_around_best(&mut self, step: f64) {
        for _ in 0..MOVES_MAX {
            let Some(place) = self.best_trial() else {
                return;
            };
            let IalsHyperparameters {
                alpha0, lambda, nu, ..
            } = self.trials[place].hyperparameters;
            for (alpha0, lambda) in [
                (alpha0, lambda * step),
                (alpha0, lambda / step),
                (alpha0 * step, lambda),
                (alpha0 / step, lambda),
            ] {
                self.screen(alpha0, lambda, nu);
            }
            if self.best_trial() == Some(place) {
                return;
            }
        }
    }

    fn screen_other_exponents(&mut self) {
        let Some(place) = self.best_trial() else {
            return;
        };
        let best = self.trials[place].hyperparameters;
        for nu in NU_OTHERS {
            let matching = matching_lambda(&self.holdout.train, best, nu);
            for factor in NU_LAMBDA_FACTORS {
                self.screen(best.alpha0, matching * factor, nu);
            }
        }
    }

    /// The most accurate screened settings, and the one with the strongest regularisation that nearly ties
    /// with them: it is the likeliest to be certifiable.
    fn finalists(&self) -> Vec<IalsHyperparameters> {
        let mut screened: Vec<&Trial> = self.trials.iter().collect();
        screened.sort_by(|a, b| b.accuracy.ndcg.total_cmp(&a.accuracy.ndcg));
        let Some(best) = screened.first() else {
            return Vec::new();
        };
        let least = (1.0 - FINALIST_SHARE) * best.accuracy.ndcg;
        screened.retain(|trial| trial.accuracy.ndcg >= least);
        let strength =
            |trial: &Trial| matching_lambda(&self.holdout.train, trial.hyperparameters, 1.0);
        let strongest = screened
            .iter()
            .max_by(|a, b| strength(a).total_cmp(&strength(b)));
        let mut finalists: Vec<IalsHyperparameters> = screened
            .iter()
            .take(FINALISTS)
            .chain(strongest)
            .map(|trial| trial.hyperparameters)
            .collect();
        // The strongest may be among the most accurate.
        if finalists[..finalists.len() - 1].contains(&finalists[finalists.len() - 1]) {
            finalists.pop();
        }
        finalists
    }

    /// While no fully trained setting that ties with the best is certifiable: the one of those that tie
    /// that is nearest to it, with the λ that would about close its certificate.
    fn approach_feasibility_boundary(&mut self) {
        for _ in 0..BOUNDARY_STEPS_MAX {
            let Some(choice) = choose(&self.trials) else {
                return;
            };
            if self.trials[choice.trial].is_certifiable() || !self.may_train_fully() {
                return;
            }
            let least = (1.0 - TIE_SHARE) * self.trials[choice.most_accurate].accuracy.ndcg;
            let tied = self.trials.iter().filter(|t| t.accuracy.ndcg >= least);
            let nearest = tied
                .filter_map(|trial| {
                    let setting = trial.with_closing_lambda()?;
                    Some((setting.lambda / trial.hyperparameters.lambda, setting))
                })
                .filter(|(_, setting)| !self.is_fully_trained(setting))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((_, setting)) = nearest else {
                return;
            };
            self.train_fully(setting);
        }
    }

    fn is_fully_trained(&self, setting: &IalsHyperparameters) -> bool {
        let mut trained = self
            .trials
            .iter()
            .filter(|t| t.stage == Stage::FullyTrained);
        trained.any(|trial| trial.hyperparameters == *setting)
    }

    fn best_trial(&self) -> Option<usize> {
        let screened = self.trials.iter().enumerate();
        screened
            .reduce(|best, next| {
                if next.1.accuracy.ndcg > best.1.accuracy.ndcg {
                    next
                } else {
                    best
                }
            })
            .map(|(place, _)| place)
    }

    fn time_is_left(&self, share: f64) -> bool {
        let budget = self.options.budget.map(|budget| budget.mul_f64(share));
        budget.is_none_or(|budget| self.started.elapsed() < budget)
    }

    fn may_screen(&self) -> bool {
        let kept_back = (self.options.trials_max / 4).clamp(1, FINALISTS + 1 + BOUNDARY_STEPS_MAX);
        let screened_max = self.options.trials_max - kept_back.min(self.options.trials_max);
        // The first setting is screened in any case: without one there would be nothing to train.
        self.trials.is_empty()
            || (self.trials.len() < screened_max && self.time_is_left(SCREENING_SHARE))
    }

    fn may_train_fully(&self) -> bool {
        let is_any_trained = self
            .trials
            .iter()
            .any(|trial| trial.stage == Stage::FullyTrained);
        !is_any_trained || (self.trials.len() < self.options.trials_max && self.time_is_left(1.0))
    }

    /// Screens a setting, rounded to two digits; one that is out of range or known is passed over.
    fn screen(&mut self, alpha0: f64, lambda: f64, nu: f64) {
        let setting = IalsHyperparameters {
            dim: self.options.start.dim,
            alpha0: two_digits(alpha0, f64::round),
            lambda: two_digits(lambda, f64::round),
            nu,
        };
        let known = self
            .trials
            .iter()
            .any(|trial| trial.hyperparameters == setting);
        if known || setting.checked().is_err() || !self.may_screen() {
            return;
        }
        let training = TrainingOptions {
            tolerance: SCREENING_RESIDUAL,
            max_sweeps: SCREENING_SWEEPS,
            ..self.options.training.clone()
        };
        let started = Instant::now();
        let train = &self.holdout.train;
        let trained = als::train(
            train,
            setting,
            &training,
            &mut |_| ControlFlow::Continue(()),
        );
        match trained {
            Ok((model, report)) => {
                self.record(
                    setting,
                    Stage::Screened,
                    &model,
                    report.sweeps,
                    None,
                    started,
                );
            }
            Err(TrainingError::Diverged { .. }) => self.diverged += 1,
        }
    }

    /// Trains a setting to the end, unless it is out of range or that was done before.
    fn train_fully(&mut self, setting: IalsHyperparameters) {
        if self.is_fully_trained(&setting) || setting.checked().is_err() {
            return;
        }
        let started = Instant::now();
        let (train, training) = (&self.holdout.train, &self.options.training);
        let observe = &mut |_: Progress<'_>| ControlFlow::Continue(());
        match cold::train(train, setting, training, self.options.target, observe) {
            Ok(Some((model, convergence))) => {
                let closed = convergence.gap.root_mean_square <= self.options.target;
                let rank = numerical_rank(&model);
                let certifiable = Certifiable {
                    holds: closed && rank.is_some_and(|rank| rank < setting.dim),
                    root_mean_square: convergence.gap.root_mean_square,
                    lambda: Remedy::of(&convergence, &setting).map(|remedy| remedy.lambda),
                };
                let sweeps = convergence.report.sweeps;
                let stage = Stage::FullyTrained;
                self.record(
                    setting,
                    stage,
                    &model,
                    sweeps,
                    Some((rank, certifiable)),
                    started,
                );
            }
            // Nothing asks it to stop.
            Ok(None) => {}
            Err(TrainingError::Diverged { .. }) => self.diverged += 1,
        }
    }

    fn record(
        &mut self,
        hyperparameters: IalsHyperparameters,
        stage: Stage,
        model: &Ials,
        sweeps: usize,
        fully_trained: Option<(Option<usize>, Certifiable)>,
        started: Instant,
    ) {
        self.trials.push(Trial {
            hyperparameters,
            stage,
            accuracy: accuracy(model, self.holdout, LIST_LENGTH),
            sweeps,
            rank: fully_trained.and_then(|(rank, _)| rank),
            certifiable: fully_trained.map(|(_, certifiable)| certifiable),
            seconds: started.elapsed().as_secs_f64(),
        });
        let accuracies = self.trials.iter().map(|trial| trial.accuracy.ndcg);
        (self.observe)(TuningProgress {
            tried: self.trials.len(),
            trials_max: self.options.trials_max,
            best_ndcg: accuracies.fold(0.0, f64::max),
        });
    }
}

/// The λ that, with the exponent `nu`, regularises as much in sum over all blocks as `setting`
/// does: `Σ λ' z^ν' = Σ λ z^ν` over `z = |S| + α₀·active` of every active user and item.
fn matching_lambda(matrix: &InteractionMatrix, setting: IalsHyperparameters, nu: f64) -> f64 {
    let sum = |setting: IalsHyperparameters| -> f64 {
        let users = (0..matrix.user_rows() as u32).map(|user| matrix.user(user).len());
        let items = (0..matrix.item_rows() as u32).map(|item| matrix.item(item).len());
        let active = |count: &usize| *count > 0;
        let users = users.filter(active);
        let items = items.filter(active);
        users
            .map(|count| setting.regularisation(count, matrix.active_items()))
            .sum::<f64>()
            + items
                .map(|count| setting.regularisation(count, matrix.active_users()))
                .sum::<f64>()
    };
    let unit = IalsHyperparameters {
        lambda: 1.0,
        nu,
        ..setting
    };
    sum(setting) / sum(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_core::model::Entry;

    #[test]
    fn a_matching_lambda_regularises_as_much_in_sum() {
        let entry = |index| Entry::wanted(index, 1.0);
        let histories = vec![vec![entry(0)], vec![], vec![entry(0), entry(1), entry(3)]];
        let matrix = InteractionMatrix::from_histories(histories, 4);
        let setting = IalsHyperparameters {
            dim: 4,
            alpha0: 0.5,
            lambda: 0.02,
            nu: 1.0,
        };
        // Users 1 and 3 interactions, 3 active items; items 2, 1, 1 interactions, 2 active users.
        let sum: f64 = [2.5, 4.5, 3.0, 2.0, 2.0].iter().sum();
        let flat = matching_lambda(&matrix, setting, 0.0);
        assert!((flat - 0.02 * sum / 5.0).abs() < 1e-15, "{flat}");
        assert!((matching_lambda(&matrix, setting, 1.0) - 0.02).abs() < 1e-15);
    }
}
