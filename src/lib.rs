//! The command line of `recant`: one file a command. The program's parts are the crates under
//! `crates/`; ARCHITECTURE.md shows the way through them.
#![deny(unreachable_pub)]

mod cli;
mod doctor;
mod node;
mod scan;

#[doc(hidden)]
pub use cli::command;
pub use cli::main;
