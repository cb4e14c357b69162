//! Implicit ALS as functions of arrays: the model, its optimisation, its certificate, local updates
//! after a deletion, and exact top-k. Knows no HTTP, no store and no runtime.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use recant_core::model::{Entry, InteractionMatrix};
//! use recant_core::optim::als::{TrainingOptions, train};
//! use recant_types::IalsHyperparameters;
//!
//! // Two people, three items; the second item is liked by both.
//! let liked = |index| Entry::wanted(index, 1.0);
//! let histories = vec![vec![liked(0), liked(1)], vec![liked(1), liked(2)]];
//! let matrix = InteractionMatrix::from_histories(histories, 3);
//!
//! let hyperparameters = IalsHyperparameters { dim: 2, alpha0: 0.3, lambda: 0.05, nu: 1.0 };
//! let options = TrainingOptions::default();
//! let (model, report) = train(&matrix, hyperparameters, &options, &mut |_| ControlFlow::Continue(()))?;
//!
//! let score = |user, item| -> f64 {
//!     let rows = model.users.row(user).iter().zip(model.items.row(item));
//!     rows.map(|(x, y)| x * y).sum()
//! };
//! assert!(report.converged);
//! assert!(score(0, 0) > score(0, 2), "what was liked scores higher than what was not");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unreachable_pub)]

pub mod content;
mod control;
pub mod model;
pub mod optim;
mod random;
pub mod simd;
pub mod topk;
pub mod unlearn;

pub use control::{Control, ShouldStop, continue_while, never};
pub use random::box_muller;
