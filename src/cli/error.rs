//! Why a command failed, and the exit code that says so.

/// Exit code of a command that could not do what was asked.
pub(super) const EXIT_FAILED: u8 = 1;

/// Exit code of a verification in which everything is authentic and a certificate does not reach its
/// target.
pub(super) const EXIT_UNPROVEN: u8 = 3;

/// Exit code of a command line that makes no sense; clap uses the same.
pub(super) const EXIT_USAGE: u8 = 2;

/// Why a command failed: one line that says what is wrong and how to mend it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command could not be carried out.
    #[error("{0}")]
    Failed(String),
    /// Everything is authentic, but what a receipt states is less than was promised.
    #[error("{0}")]
    Unproven(String),
    /// The flags contradict each other, or a value cannot be used.
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    /// A failure with the message of `error`.
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// A usage error with the message of `error`.
    pub(crate) fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => EXIT_FAILED,
            Self::Unproven(_) => EXIT_UNPROVEN,
            Self::Usage(_) => EXIT_USAGE,
        }
    }
}
