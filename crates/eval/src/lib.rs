//! How good a model is, and how like another: pure functions of arrays.
//!
//! ```
//! use recant_eval::ranking::{jaccard, ndcg};
//!
//! assert_eq!(jaccard(&[1, 2, 3], &[3, 2, 4]), 0.5);
//! // The one relevant item stands second: 1 / log₂(3).
//! let gain = ndcg(&[7, 4, 9], &[4], 3).expect("something is relevant");
//! assert!((gain - 1.0 / 3f64.log2()).abs() < 1e-12);
//! ```
//!
//! Each measure is defined where it stands and tested against a naive form of its definition.

pub mod accuracy;
pub mod cohort;
pub mod comparison;
pub mod consistency;
pub mod correlation;
pub mod divergence;
pub mod held_out;
pub mod holdout;
pub mod leave_one_out;
pub mod lists;
pub mod membership;
pub mod numerical_rank;
pub mod ranking;
pub mod scorer;
