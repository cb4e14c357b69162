//! The settings of the model, of its training, and of learning and forgetting while serving.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidSetting, check_range};
use recant_types::{IalsHyperparameters, LightGcn, ModelSpecification, NeuMf};

/// Which model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Implicit alternating least squares.
    Ials,
    /// Neural matrix factorisation.
    #[serde(rename = "neumf")]
    NeuMf,
    /// Light graph convolution.
    #[serde(rename = "lightgcn")]
    LightGcn,
}

/// The model and its hyper-parameters; see [`IalsHyperparameters`] for the formula they belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// Which model.
    pub kind: ModelKind,
    /// Number of latent dimensions.
    pub dim: usize,
    /// Weight of every pair, observed or not.
    pub alpha0: f64,
    /// Regularisation strength.
    pub lambda: f64,
    /// Exponent of the frequency scaling of the regularisation.
    pub nu: f64,
    /// Seed of the initial factors.
    pub seed: u64,
    /// Hyper-parameters when the kind is `neumf`.
    pub neumf: NeuMf,
    /// Hyper-parameters when the kind is `lightgcn`.
    pub lightgcn: LightGcn,
}

impl Default for ModelSettings {
    fn default() -> Self {
        let hyper = IalsHyperparameters::default();
        Self {
            kind: ModelKind::Ials,
            dim: hyper.dim,
            alpha0: hyper.alpha0,
            lambda: hyper.lambda,
            nu: hyper.nu,
            seed: 1,
            neumf: NeuMf::default(),
            lightgcn: LightGcn::default(),
        }
    }
}

impl ModelSettings {
    /// Kind and hyper-parameters of a neural model; `None` when the kind is `ials`.
    pub fn neural(&self) -> Option<ModelSpecification> {
        match self.kind {
            ModelKind::Ials => None,
            ModelKind::NeuMf => Some(ModelSpecification::NeuMf(self.neumf.clone())),
            ModelKind::LightGcn => Some(ModelSpecification::LightGcn(self.lightgcn)),
        }
    }

    /// The hyper-parameters among the settings, in range when [`check`](super::Settings::check) passed.
    pub fn hyperparameters(&self) -> IalsHyperparameters {
        IalsHyperparameters {
            dim: self.dim,
            alpha0: self.alpha0,
            lambda: self.lambda,
            nu: self.nu,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let models = [
            ModelSpecification::NeuMf(self.neumf.clone()),
            ModelSpecification::LightGcn(self.lightgcn),
        ];
        for model in models {
            let kind = model.kind();
            model.checked().map_err(|error| {
                let key = format!("model.{kind}.{}", error.name);
                let problem = format!("is {}: it must be {}", error.value, error.range);
                InvalidSetting::new(key, problem)
            })?;
        }
        match self.hyperparameters().checked() {
            Ok(_) => Ok(()),
            Err(error) => Err(InvalidSetting::new(
                format!("model.{}", error.name),
                format!("is {}: it must be {}", error.value, error.range),
            )),
        }
    }
}

/// Refuses a tolerance outside the open interval from 0 to 1.
fn check_tolerance(key: &str, tolerance: f64) -> Result<(), InvalidSetting> {
    if tolerance > 0.0 && tolerance < 1.0 {
        return Ok(());
    }
    let problem = format!("is {tolerance}: take a number above 0 and below 1, like 1e-4");
    Err(InvalidSetting::new(key, problem))
}

/// Training from scratch, and the refinement after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// Training ends when the relative gradient residual is at most this, and so does the
    /// refinement that follows a change in the background.
    pub tolerance: f64,
    /// Training ends after so many sweeps in any case.
    pub max_sweeps: u64,
    /// Epochs of AdamW of a neural model, before it is refined.
    pub epochs: u64,
    /// Most rounds of refinement after them, and after each change. With none the model stays what AdamW
    /// made it, and is anchored to the trained parameters while it forgets.
    pub rounds: u64,
    /// Examples in a mini-batch; 0 takes what suits the kind of model.
    pub batch: u64,
    /// Step size of AdamW; 0 takes what suits the kind of model.
    pub learning_rate: f64,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            tolerance: 4e-6,
            max_sweeps: 500,
            epochs: 20,
            rounds: 5,
            batch: 0,
            learning_rate: 0.0,
        }
    }
}

impl TrainingSettings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        check_tolerance("training.tolerance", self.tolerance)?;
        check_range("training.max_sweeps", self.max_sweeps, 1..=1_000_000)?;
        check_range("training.epochs", self.epochs, 0..=1_000_000)?;
        check_range("training.rounds", self.rounds, 0..=1_000_000)?;
        check_range("training.batch", self.batch, 0..=10_000_000)?;
        if self.learning_rate >= 0.0 && self.learning_rate < 1.0 {
            return Ok(());
        }
        let problem = format!("is {}: take a number below 1", self.learning_rate);
        Err(InvalidSetting::new("training.learning_rate", problem))
    }
}

/// The certificate of the model's distance to the one that never saw what was erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateSettings {
    /// Bound on the root mean square, over all pairs of a user and an item, of the difference
    /// between the live model's scores and those of the unique minimiser.
    pub target: f64,
    /// Additions are answered 503 while an erasure has waited so many seconds for a certificate to be
    /// tried that covers it; 0 takes them whatever waits.
    pub wait_seconds_max: u64,
}

impl Default for CertificateSettings {
    fn default() -> Self {
        Self {
            target: 1e-4,
            wait_seconds_max: 0,
        }
    }
}

impl CertificateSettings {
    /// [`Self::wait_seconds_max`] as a duration.
    pub fn wait_max(&self) -> Option<Duration> {
        (self.wait_seconds_max > 0).then(|| Duration::from_secs(self.wait_seconds_max))
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        check_tolerance("certificate.target", self.target)?;
        let range = 0..=31_536_000;
        check_range("certificate.wait_seconds_max", self.wait_seconds_max, range)
    }
}

/// Learning and forgetting while serving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearningSettings {
    /// Time that the local update after a change may take before the new version is published.
    pub budget_milliseconds: u64,
    /// The local update ends earlier when the affected blocks are solved to this.
    pub tolerance: f64,
    /// Threads for the numeric work; 0 takes one a core.
    pub threads: usize,
    /// Memory for Cholesky factors of the blocks' matrices, cached from one update to the next.
    /// Blocks without one form theirs whenever they are solved.
    pub cholesky_cache_bytes_max: u64,
    /// Most requests that may wait to be learnt or forgotten; more are answered 503.
    pub queue_max: u64,
}

impl Default for LearningSettings {
    fn default() -> Self {
        Self {
            budget_milliseconds: 2,
            tolerance: 1e-5,
            threads: 0,
            cholesky_cache_bytes_max: 1 << 30,
            queue_max: 100_000,
        }
    }
}

impl LearningSettings {
    /// [`Self::budget_milliseconds`] as a duration.
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_milliseconds)
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let budget_range = 1..=3_600_000;
        check_range(
            "learning.budget_milliseconds",
            self.budget_milliseconds,
            budget_range,
        )?;
        check_tolerance("learning.tolerance", self.tolerance)?;
        check_range("learning.threads", self.threads as u64, 0..=1024)?;
        check_range(
            "learning.cholesky_cache_bytes_max",
            self.cholesky_cache_bytes_max,
            0..=1 << 40,
        )?;
        check_range("learning.queue_max", self.queue_max, 1..=10_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_hyperparameter_is_named_with_its_section() {
        let settings = ModelSettings {
            lambda: -1.0,
            ..ModelSettings::default()
        };
        assert_eq!(settings.check().expect_err("negative").key, "model.lambda");
    }

    #[test]
    fn a_tolerance_must_be_reachable() {
        for tolerance in [0.0, 1.0, -1e-3, f64::NAN, f64::INFINITY] {
            let settings = TrainingSettings {
                tolerance,
                ..TrainingSettings::default()
            };
            let error = settings.check().expect_err("out of range");
            assert_eq!(error.key, "training.tolerance");
        }
    }
}
