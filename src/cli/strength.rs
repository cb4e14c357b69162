//! How much the certificate of a receipt is worth.

use recant_types::Certificate;

/// What the certificate of a receipt amounts to. The signature says that the service stated it, not
/// that it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// A bound is proven, and it is within the target.
    Proven,
    /// A bound is proven, and it is not within the target.
    TargetMissed,
    /// Nothing is proven; what was measured is within the tolerance.
    Measured,
    /// Nothing is proven, and what was measured is not within the tolerance.
    ToleranceMissed,
}

impl Strength {
    /// Judged by the numbers, not by what the certificate says of itself.
    pub(super) fn of(certificate: &Certificate) -> Self {
        match certificate {
            Certificate::DualityGap(gap) if gap.holds && gap.root_mean_square <= gap.target => {
                Self::Proven
            }
            Certificate::DualityGap(_) => Self::TargetMissed,
            Certificate::Residual {
                residual,
                tolerance,
                ..
            } if residual <= tolerance => Self::Measured,
            Certificate::Residual { .. } => Self::ToleranceMissed,
        }
    }

    /// The name in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::TargetMissed => "target_missed",
            Self::Measured => "measured",
            Self::ToleranceMissed => "tolerance_missed",
        }
    }

    /// Whether what was promised is reached.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Proven | Self::Measured)
    }

    /// What to tell a person.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Proven => "the certificate holds",
            Self::TargetMissed => "the certificate DOES NOT HOLD: its bound misses its target",
            Self::Measured => {
                "the certificate is no proof, and what was measured is within tolerance"
            }
            Self::ToleranceMissed => {
                "the certificate DOES NOT HOLD: what was measured misses its tolerance, and it is no \
                 proof"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use recant_types::GapCertificate;

    use super::*;

    fn bound(holds: bool, root_mean_square: f64) -> Certificate {
        Certificate::DualityGap(GapCertificate {
            holds,
            target: 1e-4,
            root_mean_square,
            frobenius: 1.0,
            gap: 1.0,
            dual_scale: 1.0,
            residual: 1e-6,
            failure_probability: 1e-9,
            approximate: None,
        })
    }

    #[test]
    fn a_certificate_is_judged_by_its_numbers() {
        for (certificate, strength) in [
            (bound(true, 1e-5), Strength::Proven),
            (bound(false, 1e-3), Strength::TargetMissed),
            (bound(true, 1e-3), Strength::TargetMissed),
            (bound(true, f64::NAN), Strength::TargetMissed),
            (Certificate::residual(1e-6, 1e-5), Strength::Measured),
            (Certificate::residual(1e-4, 1e-5), Strength::ToleranceMissed),
            (
                Certificate::residual(f64::NAN, 1e-5),
                Strength::ToleranceMissed,
            ),
        ] {
            assert_eq!(Strength::of(&certificate), strength, "{certificate}");
        }
    }
}
