//! What the doctor says.

use serde::Serialize;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// As it should be.
    Ok,
    /// Could not be looked at.
    Unseen,
    /// Works, and somebody should decide whether that is good enough.
    Warning,
    /// A promise is broken, or will be.
    Problem,
}

impl Severity {
    /// The word for it, as wide as the others.
    pub(crate) fn padded(self) -> &'static str {
        match self {
            Self::Ok => "ok     ",
            Self::Unseen => "unseen ",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at: a name that stays.
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What it is, and what that means for whoever runs the service.
    pub(crate) means: String,
    /// What to do about it; absent where there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(check: &'static str, means: impl Into<String>) -> Self {
        Self {
            check,
            severity: Severity::Ok,
            means: means.into(),
            mend: None,
        }
    }

    /// It could not be looked at; `mend` says how it could.
    pub(crate) fn unseen(
        check: &'static str,
        means: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::of(check, Severity::Unseen, means, mend)
    }

    /// It works, and could be better.
    pub(crate) fn warning(
        check: &'static str,
        means: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::of(check, Severity::Warning, means, mend)
    }

    /// It breaks a promise.
    pub(crate) fn problem(
        check: &'static str,
        means: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::of(check, Severity::Problem, means, mend)
    }

    fn of(
        check: &'static str,
        severity: Severity,
        means: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            check,
            severity,
            means: means.into(),
            mend: Some(mend.into()),
        }
    }
}

/// Bytes in the unit that fits.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.*} {unit}", usize::from(unit != "bytes"));
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `1 receipt`, `2 receipts`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_by_people() {
        for (count, expected) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (64 << 20, "64.0 MiB"),
            (3 << 40, "3.0 TiB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
        assert_eq!(counted(1, "receipt"), "1 receipt");
        assert_eq!(counted(0, "receipt"), "0 receipts");
    }
}
