//! The command line of `recant`: one file a command. The program's parts are the crates under
//! `crates/`; ARCHITECTURE.md shows the way through them.

pub mod cli;
pub mod scan;
