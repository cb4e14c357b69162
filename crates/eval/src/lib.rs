//! How good a model is, and how like another: pure functions of arrays.
//!
//! ```
//! use recant_eval::{jaccard, ndcg};
//!
//! assert_eq!(jaccard(&[1, 2, 3], &[3, 2, 4]), 0.5);
//! // The one relevant item stands second: 1 / log₂(3).
//! let gain = ndcg(&[7, 4, 9], &[4], 3).expect("something is relevant");
//! assert!((gain - 1.0 / 3f64.log2()).abs() < 1e-12);
//! ```
//!
//! Each measure is defined where it stands and tested against a naive form of its definition.

#![deny(unreachable_pub)]

mod accuracy;
mod cohort;
mod comparison;
mod consistency;
mod correlation;
mod divergence;
mod held_out;
mod holdout;
mod leave_one_out;
mod lists;
mod membership;
mod numerical_rank;
mod ranking;
mod scorer;

pub use accuracy::{Accuracy, accuracy};
pub use cohort::{Cohort, Group, Member, PerGroup};
pub use comparison::{Comparison, compare};
pub use consistency::{Consistency, consistency, recovery, relative_distance};
pub use held_out::{HeldOutAccuracy, held_out_accuracy};
pub use holdout::{HISTORY_MIN, Holdout, hold_out};
pub use leave_one_out::{LeaveOneOut, leave_one_out};
pub use lists::best;
pub use membership::{ControlKind, Controls, area_under_curve, controls, true_positive_rate};
pub use numerical_rank::numerical_rank;
pub use ranking::{jaccard, ndcg, recall};
pub use scorer::Scorer;
