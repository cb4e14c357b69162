//! The commands of the `recant` binary, one file each.
