//! The numbers that define the objective, checked once.

use serde::{Deserialize, Serialize};

/// Largest number of latent dimensions accepted.
pub const DIM_MAX: usize = 1024;

/// Least α₀ and λ accepted. Distances are certified through divisions by α₀ and by roots of λ: far
/// below this they leave the range in which sums in f64 say something.
const ALPHA0_MIN: f64 = 1e-8;
const LAMBDA_MIN: f64 = 1e-8;

/// Hyper-parameters of implicit alternating least squares, as in
/// Hu, Koren & Volinsky (2008) with the frequency-scaled regularisation of
/// Rendle, Krichene, Zhang & Koren, "Revisiting the Performance of iALS" (2021).
///
/// The objective over interactions S with weights c is
/// `L(P,Q) = Σ_S c (p·q − 1)² + α₀ Σ_all (p·q)² + Σ_u λ_u ‖p_u‖² + Σ_i λ_i ‖q_i‖²` with
/// `λ_u = λ (|S_u| + α₀ · items)^ν` and `λ_i = λ (|S_i| + α₀ · users)^ν`, where the counts are of
/// users and items that have at least one interaction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IalsHyperparameters {
    /// Number of latent dimensions d.
    pub dim: usize,
    /// Weight α₀ of every pair, observed or not; positive.
    pub alpha0: f64,
    /// Regularisation strength λ; positive.
    pub lambda: f64,
    /// Exponent ν of the frequency scaling; 0 gives plain λ for every block.
    pub nu: f64,
}

/// Which hyper-parameter is out of range, and what the range is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} must be {range}, got {value}")]
pub struct InvalidHyperparameter {
    /// Name of the hyper-parameter.
    pub name: &'static str,
    /// The accepted range, in words.
    pub range: &'static str,
    /// What was given.
    pub value: f64,
}

impl IalsHyperparameters {
    /// Returns `self` when every value is in range.
    pub fn checked(self) -> Result<Self, InvalidHyperparameter> {
        let invalid = |name, range, value| Err(InvalidHyperparameter { name, range, value });
        if self.dim == 0 || self.dim > DIM_MAX {
            return invalid("dim", "between 1 and 1024", self.dim as f64);
        }
        if !(ALPHA0_MIN..=1e3).contains(&self.alpha0) {
            return invalid("alpha0", "between 1e-8 and 1000", self.alpha0);
        }
        if !(LAMBDA_MIN..=1e6).contains(&self.lambda) {
            return invalid("lambda", "between 1e-8 and 1000000", self.lambda);
        }
        if !(0.0..=2.0).contains(&self.nu) {
            return invalid("nu", "between 0 and 2", self.nu);
        }
        Ok(self)
    }

    /// λ_u of a user with `interactions` interactions when `items` items are active; λ_i likewise
    /// with the roles exchanged.
    pub fn regularisation(&self, interactions: usize, opposite_active: usize) -> f64 {
        self.lambda * (interactions as f64 + self.alpha0 * opposite_active as f64).powf(self.nu)
    }
}

impl Default for IalsHyperparameters {
    fn default() -> Self {
        Self {
            dim: 64,
            alpha0: 0.3,
            lambda: 0.02,
            nu: 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regularisation_follows_the_counts() {
        let hyper = IalsHyperparameters {
            dim: 8,
            alpha0: 0.5,
            lambda: 0.1,
            nu: 1.0,
        };
        assert!((hyper.regularisation(20, 100) - 7.0).abs() < 1e-12);
        let flat = IalsHyperparameters { nu: 0.0, ..hyper };
        assert!((flat.regularisation(20, 100) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let default = IalsHyperparameters::default();
        for (bad, name) in [
            (IalsHyperparameters { dim: 0, ..default }, "dim"),
            (
                IalsHyperparameters {
                    alpha0: 0.0,
                    ..default
                },
                "alpha0",
            ),
            (
                IalsHyperparameters {
                    lambda: f64::NAN,
                    ..default
                },
                "lambda",
            ),
            (
                IalsHyperparameters {
                    nu: -0.1,
                    ..default
                },
                "nu",
            ),
        ] {
            assert_eq!(bad.checked().expect_err("out of range").name, name);
        }
        assert!(default.checked().is_ok());
    }
}
