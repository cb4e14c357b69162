//! The repository against itself: manifests against ARCHITECTURE.md, documents against the files
//! and commands that they name.

mod architecture;
mod circles;
mod commands;
mod documents;
mod fuzz_lock;
mod paths;
