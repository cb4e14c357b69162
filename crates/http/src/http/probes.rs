//! The calls that ask whether the server is well. They are taken from no allowance: whoever asks must
//! hear it most of all when there is much to do.

/// Their templates, those of gorse's clients included.
pub(super) const PROBES: [&str; 4] = [
    "/healthz",
    "/readyz",
    "/api/health/live",
    "/api/health/ready",
];
