//! What an import did, for a person or for a program.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use recant_import::{REJECTED_SHOWN_MAX, RejectedRow, RowCounts};

/// What the store counted at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// Pairs that were given again, or were held already: the later one stays.
    pub(super) duplicate: u64,
    /// Rows that an erasure names which was accepted after they happened.
    pub(super) held_back: u64,
    /// Users, items and pairs the store holds now.
    pub(super) users: u64,
    pub(super) items: u64,
    pub(super) interactions: u64,
}

/// The numbers a person wants after an import. `rows_read` is always the sum of `kept`,
/// `duplicate`, `held_back`, `filtered` and `rejected`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    rows_read: u64,
    kept: u64,
    duplicate: u64,
    held_back: u64,
    filtered: u64,
    rejected: u64,
    rejected_first: Vec<Rejected>,
    titles: u64,
    titles_rejected: u64,
    users: u64,
    items: u64,
    interactions: u64,
    seconds: f64,
    rows_per_second: f64,
}

/// One of the first rejected rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Rejected {
    file: String,
    line: u64,
    reason: String,
}

impl From<&RejectedRow> for Rejected {
    fn from(row: &RejectedRow) -> Self {
        Self {
            file: row.path.display().to_string(),
            line: row.line,
            reason: row.reason.to_string(),
        }
    }
}

impl Summary {
    /// Puts together what the reader and the store counted in `elapsed`.
    pub(super) fn new(counts: &RowCounts, stored: Stored, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self {
            rows_read: counts.read,
            kept: counts
                .taken
                .saturating_sub(stored.duplicate + stored.held_back),
            duplicate: stored.duplicate,
            held_back: stored.held_back,
            filtered: counts.filtered,
            rejected: counts.rejected,
            rejected_first: counts.rejected_first.iter().map(Rejected::from).collect(),
            titles: counts.titles_taken,
            titles_rejected: counts.titles_rejected,
            users: stored.users,
            items: stored.items,
            interactions: stored.interactions,
            seconds,
            rows_per_second: counts.read as f64 / seconds.max(f64::MIN_POSITIVE),
        }
    }

    /// One JSON object on one line.
    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    fn write_rejected(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected = self.rejected + self.titles_rejected;
        if rejected == 0 {
            return Ok(());
        }
        writeln!(f, "rejected rows:")?;
        for row in &self.rejected_first {
            writeln!(f, "  {}:{}: {}", row.file, row.line, row.reason)?;
        }
        match rejected.checked_sub(REJECTED_SHOWN_MAX as u64) {
            Some(more @ 1..) => writeln!(f, "  and {} more", grouped(more)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |label: &str, number: u64| format!("{label:<14}{:>15}\n", grouped(number));
        f.write_str(&count("rows read", self.rows_read))?;
        f.write_str(&count("  kept", self.kept))?;
        f.write_str(&count("  duplicate", self.duplicate))?;
        if self.held_back > 0 {
            f.write_str(&count("  held back", self.held_back))?;
        }
        f.write_str(&count("  filtered", self.filtered))?;
        f.write_str(&count("  rejected", self.rejected))?;
        if self.titles + self.titles_rejected > 0 {
            f.write_str(&count("titles kept", self.titles))?;
            f.write_str(&count("  rejected", self.titles_rejected))?;
        }
        f.write_str(&count("users", self.users))?;
        f.write_str(&count("items", self.items))?;
        f.write_str(&count("interactions", self.interactions))?;
        writeln!(
            f,
            "in {:.2} s, {} rows/s",
            self.seconds,
            grouped(self.rows_per_second as u64)
        )?;
        self.write_rejected(f)
    }
}

/// The number with a blank between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        let _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use recant_import::Rejection;

    fn summary(rejected: u64) -> Summary {
        let row = |line| RejectedRow {
            path: PathBuf::from("clicks.csv"),
            line,
            reason: Rejection::WeightUnreadable,
        };
        let counts = RowCounts {
            read: 1_234_600 + rejected,
            taken: 1_234_567,
            filtered: 33,
            rejected,
            rejected_first: (2..).take(rejected.min(10) as usize).map(row).collect(),
            ..RowCounts::default()
        };
        let stored = Stored {
            duplicate: 60,
            held_back: 7,
            users: 10,
            items: 20,
            interactions: 1_234_500,
        };
        Summary::new(&counts, stored, Duration::from_secs(2))
    }

    #[test]
    fn the_parts_add_up_to_the_rows_read() {
        let summary = summary(12);
        let parts = summary.kept + summary.duplicate + summary.filtered + summary.rejected;
        let parts = parts + summary.held_back;
        assert_eq!(parts, summary.rows_read);
    }

    #[test]
    fn a_person_sees_the_counts_and_the_first_rejected_rows() {
        let text = summary(12).to_string();
        assert!(text.contains("rows read           1 234 612\n"), "{text}");
        assert!(
            text.contains("  duplicate                60\n  held back                 7\n"),
            "{text}"
        );
        assert!(
            text.contains("  clicks.csv:11: weight is not a number\n"),
            "{text}"
        );
        assert!(text.ends_with("  and 2 more\n"), "{text}");
        assert!(!summary(0).to_string().contains("rejected rows"));
    }

    #[test]
    fn a_program_reads_the_same_numbers() {
        let json = summary(1).to_json().expect("plain numbers");
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["rows_read"], 1_234_601);
        assert_eq!(value["kept"], 1_234_500);
        assert_eq!(value["rejected_first"][0]["line"], 2);
        assert_eq!(
            value["rejected_first"][0]["reason"],
            "weight is not a number"
        );
        assert_eq!(value["rows_per_second"], 617_300.5);
    }
}
