//! Unlearning methods side by side: recipes, the runs they ask for, and the report.
//!
//! A [`recipe`] names data sets, models, methods, deletions and seeds. Each combination is a
//! [`cell`]: a model trained on everything, a deletion, a method that takes it back, and how the
//! result compares with a model retrained without the deleted data. The [`runner`] trains every
//! model once, keeps each finished cell in a file of its own, and leaves the cells that are there
//! already alone; [`report`] draws what was found. The measures are those of [`recant_eval`];
//! docs/experiments.md defines all of it.

pub mod accuracy;
pub mod cell;
pub mod data_set;
pub mod deletion;
mod measure;
mod memory;
pub mod recipe;
pub mod report;
pub mod results;
pub mod runner;
pub mod summary;
mod unlearner;
mod watch;
