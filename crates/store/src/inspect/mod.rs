//! A store looked at from outside: what its files say, and what is in it, without opening it.
//!
//! Nothing in the store's directory is changed; a probe of the disk is a file beside it that goes again. Opening a store migrates it, removes what an
//! interrupted change left, and repairs its database; whoever asks what is wrong with one wants
//! none of that.

mod contents;
mod layout;
mod probe;
mod scratch;

pub use contents::{Contents, Inspected, UnfinishedErasures, inspect};
pub use layout::{Current, FileRights, Layout, layout};
pub use probe::sync_time;
