//! Neural models that can forget: scores that are differentiated, not solved for.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use recant_core::model::{Entry, InteractionMatrix};
//! use recant_neural::optimise::{AdamWOptions, adamw};
//! use recant_neural::{Graph, Scorer, initial};
//! use recant_types::NeuMf;
//!
//! let liked = |index| Entry::wanted(index, 1.0);
//! let histories = vec![vec![liked(0), liked(1)], vec![liked(1), liked(2)]];
//! let graph = Graph::new(&InteractionMatrix::from_histories(histories, 3));
//!
//! let model = NeuMf::with_factors(4);
//! let mut at = initial(&model, &graph, 1);
//! let options = AdamWOptions { epochs: 200, ..AdamWOptions::for_model(&model) };
//! adamw(&model, &graph, &mut at, &options, &mut |_, _| ControlFlow::Continue(()))?;
//!
//! let scores = Scorer::new(&model, &graph, &at).pairs(&[(0, 0), (0, 2)]);
//! assert!(scores[0] > scores[1], "what was liked scores higher than what was not");
//! # Ok::<(), recant_neural::optimise::Divergence>(())
//! ```
//!
//! A model is a [`NeuralModel`]; [`model_of`] finds the one that a specification names. [`Examples`]
//! are made out of the retained pairs, an [`Objective`] is what they sum up to, with its gradient and
//! Gauss–Newton matrix. [`optimise`] has the optimisers, [`forget`] the methods of unlearning,
//! [`Scorer`] the scores for whole catalogues.
//!
//! Pure functions of arrays. Nothing here knows about disks, networks or tasks.

#![deny(unreachable_pub)]

mod dense;
mod examples;
mod factorisation;
mod fold_in;
pub mod forget;
mod graph;
mod initial;
mod inner_product;
mod lightgcn;
pub mod loss;
mod negatives;
mod network;
mod neumf;
mod objective;
pub mod optimise;
mod parameters;
mod scoring;
mod specification;
mod vectors;

pub use examples::{Examples, Occurrence, Sampling};
pub use fold_in::fold_in;
pub use graph::{Adjacency, Graph};
pub use initial::{initial, reconcile_rows};
pub use negatives::Source;
pub use network::{BATCH_PAIRS, Batch, NeuralModel};
pub use objective::{Measurement, Objective, Point, ProximalTerm};
pub use parameters::{Block, Layout, Parameters};
pub use scoring::{Scorer, score_rows};
pub use specification::model_of;
pub use vectors::norm;
