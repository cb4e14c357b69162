//! Limits on what is read, each with its reason.

/// Longest line, and longest record, in bytes. Ids have at most 256 bytes, so anything longer is
/// not a row but a damaged or foreign file; without a bound such a line would be held in memory
/// whole.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Most lines that one quoted record may span. It keeps a stray quote from swallowing the rest of
/// the file, and bounds the work of reading those lines again.
pub const RECORD_LINES_MAX: usize = 1_000;
