//! Implicit ALS as functions of arrays: the model, its optimisation, its certificate, local updates
//! after a deletion, and exact top-k. Knows no HTTP, no store and no runtime.

pub mod control;
pub mod model;
pub mod optim;
pub mod random;
pub mod simd;
pub mod topk;
pub mod unlearn;
