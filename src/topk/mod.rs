//! The k items with the largest inner product, exactly, over pages of rows shared between versions.

pub mod rows;
pub mod scan;
