//! The command line of `recant`: one file a command. The program's parts are the crates under
//! `crates/`; ARCHITECTURE.md shows the way through them.
#![warn(unreachable_pub)]

mod cli;
mod scan;

pub use cli::main;
