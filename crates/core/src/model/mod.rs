//! The model: interactions in both orientations, factors, Gramians, the objective and its gradient.
//!
//! Pure functions of arrays. Nothing here knows about disks, networks or tasks.

pub(crate) mod factors;
pub(crate) mod gramian;
pub(crate) mod ials;
pub(crate) mod interactions;
pub(crate) mod side;

pub use factors::Factors;
pub use gramian::Gramian;
pub use ials::{HalfGradient, Ials, Measurement, SideView};
pub use interactions::{Entry, InteractionMatrix};
pub use side::{PerSide, RowSets, Side};
