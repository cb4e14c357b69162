//! Methods of unlearning side by side.
//!
//! One binary for all of them: linking is what a test costs most.

mod eval_unlearn;
mod first_release;
mod joint_objective;

#[path = "../server/support.rs"]
mod support;
