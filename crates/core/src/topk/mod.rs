//! The k items with the largest inner product, exactly, over pages of rows shared between versions.
//!
//! [`rows`] holds the factors, [`index`] their order and their bytes, [`search`] the answers from
//! them; [`scan`] looks at every row and is what the others are measured by.

pub mod best;
pub mod filter;
pub mod index;
pub mod kernel;
mod page;
mod probe;
pub mod rows;
pub mod scan;
pub mod score;
pub mod search;
mod transform;
