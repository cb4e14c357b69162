//! The forensic search: traces of a text in every file below a directory, in each form in which a
//! program might have written it.
//!
//! [`Needle`] says what is searched for, [`scan`] where. Nothing here knows what the files mean:
//! that is the point.

mod files;
mod forms;

pub(crate) use files::{Outcome, scan};
pub(crate) use forms::{Form, Needle};
