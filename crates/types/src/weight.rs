//! One rule for how much an interaction counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Least and greatest weight of an interaction.
///
/// Play counts, ratings and minutes of a lifetime fit; what lies outside is a slip of units, or
/// wants a transform. The bound is there for the arithmetic: gradient, objective and certificate add
/// up terms in proportion to the weights in f64, which has sixteen digits. Between 10⁶ and 10⁻⁶ lie
/// twelve, so that beside the heaviest pair the lightest still counts with four; further apart, one
/// pair's rounding error would be as large as another's whole share.
pub const WEIGHT_MIN: f32 = 1e-6;

/// See [`WEIGHT_MIN`].
pub const WEIGHT_MAX: f32 = 1e6;

/// Why a number is no weight. The number is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWeight {
    /// It is NaN.
    #[error("weight is not a number")]
    NotANumber,
    /// It is below zero.
    #[error("weight is negative: a weight says how much was seen, not how little it was liked")]
    Negative,
    /// It is zero, or so little that it counts as zero.
    #[error(
        "weight is zero or below {WEIGHT_MIN}: leave such rows out, or keep them with --weights \
         binary"
    )]
    TooSmall,
    /// It is above the bound.
    #[error(
        "weight is above {WEIGHT_MAX}: bring it down with --weights log1p, sqrt, binary or clip=X"
    )]
    TooLarge,
}

/// What becomes of a number before it is a weight.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum WeightTransform {
    /// It stays as it is.
    #[default]
    Identity,
    /// ln(1 + w).
    Log1p,
    /// √w.
    Sqrt,
    /// 1, whatever it was; rows of weight 0 say that something was seen.
    Binary,
    /// The smaller of w and this.
    Clip(f32),
}

/// The text is not the name of a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be log1p, sqrt, binary or clip=X, with X from {WEIGHT_MIN} to {WEIGHT_MAX}")]
pub struct UnknownWeightTransform;

impl WeightTransform {
    /// The weight that a number becomes.
    pub fn apply(self, number: f64) -> Result<f32, InvalidWeight> {
        if number.is_nan() {
            return Err(InvalidWeight::NotANumber);
        }
        if number < 0.0 {
            return Err(InvalidWeight::Negative);
        }
        let weight = match self {
            Self::Identity => number,
            Self::Log1p => number.ln_1p(),
            Self::Sqrt => number.sqrt(),
            Self::Binary => 1.0,
            Self::Clip(most) => number.min(f64::from(most)),
        };
        // Judged after rounding: what is stored must be within the range, too.
        let weight = weight as f32;
        if weight > WEIGHT_MAX || !number.is_finite() {
            Err(InvalidWeight::TooLarge)
        } else if weight < WEIGHT_MIN {
            Err(InvalidWeight::TooSmall)
        } else {
            Ok(weight)
        }
    }
}

impl fmt::Display for WeightTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("none"),
            Self::Log1p => f.write_str("log1p"),
            Self::Sqrt => f.write_str("sqrt"),
            Self::Binary => f.write_str("binary"),
            Self::Clip(most) => write!(f, "clip={most}"),
        }
    }
}

impl FromStr for WeightTransform {
    type Err = UnknownWeightTransform;

    fn from_str(text: &str) -> Result<Self, UnknownWeightTransform> {
        match text {
            "none" => Ok(Self::Identity),
            "log1p" => Ok(Self::Log1p),
            "sqrt" => Ok(Self::Sqrt),
            "binary" => Ok(Self::Binary),
            _ => {
                let most = text
                    .strip_prefix("clip=")
                    .and_then(|most| most.parse().ok());
                most.filter(|most| (WEIGHT_MIN..=WEIGHT_MAX).contains(most))
                    .map(Self::Clip)
                    .ok_or(UnknownWeightTransform)
            }
        }
    }
}

impl Serialize for WeightTransform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WeightTransform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_what_their_names_say() {
        let apply = |name: &str, number| name.parse::<WeightTransform>().expect(name).apply(number);
        assert_eq!(apply("none", 7.5), Ok(7.5));
        assert_eq!(apply("log1p", 1.0), Ok(std::f32::consts::LN_2));
        assert_eq!(apply("sqrt", 9.0), Ok(3.0));
        assert_eq!(apply("binary", 0.0), Ok(1.0));
        assert_eq!(apply("clip=5", 3e9), Ok(5.0));
        assert_eq!(apply("clip=5", 2.0), Ok(2.0));
    }

    #[test]
    fn what_comes_out_is_within_the_range_or_refused_with_the_way_out() {
        use InvalidWeight::{Negative, NotANumber, TooLarge, TooSmall};
        let none = WeightTransform::Identity;
        assert_eq!(none.apply(1e6), Ok(WEIGHT_MAX));
        assert_eq!(none.apply(1e-6), Ok(WEIGHT_MIN));
        assert_eq!(none.apply(1.1e6), Err(TooLarge));
        assert_eq!(none.apply(f64::INFINITY), Err(TooLarge));
        assert_eq!(WeightTransform::Binary.apply(f64::INFINITY), Err(TooLarge));
        assert_eq!(none.apply(0.0), Err(TooSmall));
        assert_eq!(none.apply(1e-300), Err(TooSmall));
        assert_eq!(none.apply(-1.0), Err(Negative));
        assert_eq!(WeightTransform::Binary.apply(-1.0), Err(Negative));
        assert_eq!(none.apply(f64::NAN), Err(NotANumber));
        assert!(WeightTransform::Log1p.apply(1e300).is_ok());
        assert!(TooLarge.to_string().contains("--weights log1p"));
    }

    #[test]
    fn names_read_back_and_others_are_refused() {
        for name in ["none", "log1p", "sqrt", "binary", "clip=2.5"] {
            let transform: WeightTransform = name.parse().expect(name);
            assert_eq!(transform.to_string(), name);
        }
        for name in ["log", "clip", "clip=0", "clip=x", "clip=NaN", "clip=1e9"] {
            assert_eq!(name.parse::<WeightTransform>(), Err(UnknownWeightTransform));
        }
    }
}
