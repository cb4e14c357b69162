//! Neural models that can forget: scores that are differentiated, not solved for.
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
