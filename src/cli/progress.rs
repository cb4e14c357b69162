//! Bars on a terminal; nothing where stderr is none.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use recant_core::unlearn::Progress;

/// Steps of the bar of a training.
const TRAINING_STEPS: u64 = 1_000;

/// A bar of `length` steps, `template` saying how it looks.
pub(super) fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The bar that shows how training goes: it fills as the logarithm of the residual falls.
pub(super) struct TrainingBar {
    bar: ProgressBar,
    tolerance: f64,
}

impl TrainingBar {
    /// A bar for a training to the residual `tolerance`; `verb` says what is being done.
    pub(super) fn new(verb: &str, tolerance: f64) -> Self {
        let template = format!("{verb} [{{bar:30}}] {{msg}}, {{eta}} left");
        Self {
            bar: bar(TRAINING_STEPS, &template),
            tolerance,
        }
    }

    /// Shows how far training has come.
    pub(super) fn show(&self, progress: Progress<'_>) {
        match progress {
            Progress::Sweep(report) => {
                let share = (report.residual.ln() / self.tolerance.ln()).clamp(0.0, 1.0);
                self.bar
                    .set_position((share * TRAINING_STEPS as f64) as u64);
                self.bar.set_message(format!(
                    "sweep {}, objective {:.6e}, residual {:.1e}",
                    report.sweep, report.objective, report.residual
                ));
            }
            Progress::Evaluation(evaluation) => self.bar.set_message(format!(
                "sweep {}, certified root mean square {:.1e}",
                evaluation.sweeps, evaluation.root_mean_square
            )),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
