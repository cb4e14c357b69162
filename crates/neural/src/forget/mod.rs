//! Methods of unlearning: what becomes of a trained model when some of its data are taken away.
//!
//! All of them get the objective of the *retained* data and, but for a cold retrain, the parameters
//! as they were. What was erased is named by the rows it touched.

pub(crate) mod alteraser;
pub(crate) mod anchor;
pub(crate) mod influence;
pub(crate) mod refine;
pub(crate) mod retrain;
pub(crate) mod shards;

pub use alteraser::{
    AltEraserControl, AltEraserOptions, AltEraserReport, BlockSolver, Reach, alt_eraser,
};
pub use anchor::Anchor;
pub use influence::{InfluenceOptions, influence_step};
pub use refine::{RefinementControl, RefinementOptions, RefinementReport, measure, refine};
pub use retrain::{retrain_cold, retrain_warm};
pub use shards::{Aggregation, Dealing, Shards};
