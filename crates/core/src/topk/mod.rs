//! The k items with the largest inner product, exactly, over pages of rows shared between versions.
//!
//! [`PagedRows`] hold the factors, an [`ItemIndex`] their order and their bytes, and answers a
//! [`Question`] from them; [`scan`] goes through every row and is what the index is measured by.

mod best;
mod bitmap;
mod diversity;
mod filter;
mod index;
mod kernel;
mod page;
mod probe;
mod rows;
pub mod scan;
mod score;
mod search;
mod ties;
mod transform;

pub use best::Best;
pub use bitmap::Bitmap;
pub use diversity::diversified;
pub use filter::{Filter, RowSet};
pub use index::ItemIndex;
pub use kernel::Kernel;
pub use rows::PagedRows;
pub use search::{Question, Work};
pub use ties::Ties;
