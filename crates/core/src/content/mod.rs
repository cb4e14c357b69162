//! Factors for items that nobody has touched, from what is said about them.
//!
//! A linear map W from features of descriptions to the factors of iALS is fitted to the items that people
//! interacted with: it minimises
//!
//! ```text
//! Σ_i ‖q_i − Wᵀ f_i‖² + ρ ‖W‖²
//! ```
//!
//! over the described items i with interactions, the weights of the intercept not among ‖W‖². A row of an
//! item that nobody has touched is Wᵀ f of its features (as in Gantner et al. 2010, by a linear map).

mod features;
mod fit;
mod ridge;
mod sparse;

pub use features::FeatureSpace;
pub use fit::{ContentModel, ITEMS_MIN};
