//! Adding many interactions at once: all of them, or none.

mod descriptions;
mod error;
mod gathered;
mod histories;
mod kept;
mod merge;
mod restricted;
mod rows;
mod session;
mod writer;

pub use error::ImportSessionError;
pub use session::ImportSession;
pub use writer::{ImportTotals, ImportWriter};
