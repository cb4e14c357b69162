//! Where spans go that are for traces alone.

/// The target of spans that whoever collects traces sees, and the log does not: they follow one thing on
/// its way over minutes, or are many, and a line of the log is clear without them. Where nobody collects
/// traces they cost nothing.
pub const TRACE_TARGET: &str = "recant_trace";
