//! Neural models that can forget: scores that are differentiated, not solved for.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use recant_core::model::interactions::{Entry, InteractionMatrix};
//! use recant_neural::graph::Graph;
//! use recant_neural::initial::initial;
//! use recant_neural::optimise::adamw::{AdamWOptions, adamw};
//! use recant_neural::scoring::Scorer;
//! use recant_types::NeuMf;
//!
//! let liked = |index| Entry { index, weight: 1.0 };
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
