//! Neural models and methods of unlearning against definitions written out in f64.
//!
//! One binary for all of them: linking is what a test costs most.

mod derivatives;
mod forgetting;
mod support;
