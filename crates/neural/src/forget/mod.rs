//! Methods of unlearning: what becomes of a trained model when some of its data are taken away.
//!
//! All of them get the objective of the *retained* data and, but for a cold retrain, the parameters
//! as they were. What was erased is named by the rows it touched.

pub(crate) mod alteraser;
pub(crate) mod anchor;
pub(crate) mod influence;
pub(crate) mod polish;
pub(crate) mod retrain;
pub(crate) mod shards;

pub use alteraser::{
    AltEraserControl, AltEraserOptions, AltEraserReport, BlockSolver, Reach, alt_eraser,
};
pub use anchor::Anchor;
pub use influence::{InfluenceOptions, influence_step};
pub use polish::{PolishControl, PolishOptions, PolishReport, measure, polish};
pub use retrain::{retrain_cold, retrain_warm};
pub use shards::{Aggregation, Dealing, Shards};
