//! Why a command failed, and with which exit code.

/// Exit code of a command that could not do what was asked.
pub const EXIT_FAILED: u8 = 1;

/// Exit code of a command line that makes no sense; clap uses the same.
pub const EXIT_USAGE: u8 = 2;

/// Why a command failed: one line that says what is wrong and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command could not be carried out.
    #[error("{0}")]
    Failed(String),
    /// The flags contradict each other, or a value cannot be used.
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    /// A failure with the message of `error`.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// A usage error with the message of `error`.
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// The exit code that tells the two apart.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => EXIT_FAILED,
            Self::Usage(_) => EXIT_USAGE,
        }
    }
}
