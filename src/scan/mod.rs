//! The forensic look: traces of a text in every file below a directory, in each form in which a
//! program might have written it.
//!
//! [`Needle`] says what is searched for, [`scan`] where. Nothing here knows what the files mean:
//! that is the point.

mod files;
mod forms;

pub use files::{FileFault, Found, Outcome, ScanError, scan};
pub use forms::{Form, Needle, NeedleError};
