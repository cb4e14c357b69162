//! Finished runs put together: one table for each data set, model and deletion, one line for each
//! arm, with the mean and the range over the seeds.

mod column;
mod comparison;
mod figure;
mod spread;
mod view;

pub use column::{COLUMNS, Column, Section};
pub use comparison::{Comparison, Line, Run, comparisons};
pub use figure::figure;
pub(super) use figure::spread;
pub use spread::Spread;
pub use view::View;
