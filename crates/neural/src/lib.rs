//! Neural models that can forget: scores that are differentiated, not solved for.
//!
//! [`network`] says what a model is; [`neumf`], [`lightgcn`] and [`factorisation`] are models, and
//! [`specification`] is the list of them. [`examples`] makes examples out of the retained pairs,
//! [`objective`] is what they sum up to, with its gradient and curvature. [`optimise`] has the
//! optimisers, [`forget`] the methods of unlearning, [`scoring`] the scores for whole catalogues.
//!
//! Pure functions of arrays. Nothing here knows about disks, networks or tasks.

pub mod examples;
pub mod factorisation;
pub mod fold_in;
pub mod forget;
pub mod graph;
pub mod initial;
pub mod inner_product;
pub mod lightgcn;
pub mod loss;
pub mod negatives;
pub mod network;
pub mod neumf;
pub mod objective;
pub mod optimise;
pub mod parameters;
pub mod scoring;
pub mod specification;
