//! The model: interactions in both orientations, factors, Gramians, the objective and its gradient.
//!
//! Pure functions of arrays. Nothing here knows about disks, networks or tasks.

pub mod factors;
pub mod gramian;
pub mod ials;
pub mod interactions;
pub mod side;

pub use side::{PerSide, RowSets, Side};
