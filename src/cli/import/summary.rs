//! What an import did, for a person or for a program.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::remote::{Refused, Remote};
use recant_import::{Account, REJECTED_SHOWN_MAX, RejectedRow, RowCounts, SinkTotals};
use recant_store::ImportTotals;

/// The reason of rows that a server did not take.
const REFUSED: &str = "refused_by_server";

/// The numbers a person wants after an import. `rows_read` is always the sum of `kept`,
/// `duplicate`, `held_back`, `restricted`, `filtered`, `rejected` and `undelivered`, and `rejected` that of its
/// reasons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    rows_read: u64,
    kept: u64,
    duplicate: u64,
    held_back: u64,
    restricted: u64,
    filtered: u64,
    rejected: u64,
    rejected_by_reason: BTreeMap<&'static str, u64>,
    rejected_first: Vec<Rejected>,
    /// Rows that a server did not get.
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<u64>,
    titles: u64,
    titles_rejected: u64,
    titles_rejected_by_reason: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    titles_undelivered: Option<u64>,
    warnings: Vec<String>,
    /// What the store holds now.
    #[serde(flatten)]
    held: Option<Held>,
    seconds: f64,
    rows_per_second: f64,
}

/// What a store holds after an import.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Held {
    users: u64,
    items: u64,
    interactions: u64,
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

impl From<&Refused> for Rejected {
    fn from(row: &Refused) -> Self {
        Self {
            file: row.place.path.display().to_string(),
            line: row.place.line,
            reason: row.reason.clone(),
        }
    }
}

impl Summary {
    /// Puts together what became of the rows and what the store holds, after `elapsed`.
    pub(super) fn new(
        counts: &RowCounts,
        account: &Account,
        totals: &ImportTotals,
        elapsed: Duration,
    ) -> Self {
        Self {
            held: Some(Held {
                users: totals.users,
                items: totals.items,
                interactions: totals.interactions,
            }),
            ..Self::of_rows(counts, account, elapsed)
        }
    }

    /// Puts together what became of rows that a server was given.
    pub(super) fn of_delivery(
        counts: &RowCounts,
        account: &Account,
        titles: &SinkTotals,
        remote: &Remote,
        elapsed: Duration,
    ) -> Self {
        let mut summary = Self::of_rows(counts, account, elapsed);
        summary.undelivered = Some(account.undelivered());
        summary.titles_undelivered = Some(titles.undelivered);
        summary.titles = titles.kept;
        for (refused, total, by_reason) in [
            (
                account.refused(),
                &mut summary.rejected,
                &mut summary.rejected_by_reason,
            ),
            (
                titles.refused,
                &mut summary.titles_rejected,
                &mut summary.titles_rejected_by_reason,
            ),
        ] {
            if refused > 0 {
                *total += refused;
                by_reason.insert(REFUSED, refused);
            }
        }
        let shown = &mut summary.rejected_first;
        shown.extend(remote.refused_first.iter().map(Rejected::from));
        shown.truncate(REJECTED_SHOWN_MAX);
        if remote.sent_again > 0 {
            summary.warnings.push(format!(
                "{} rows were sent again when it was not known whether they had been taken: of a pair the \
                 newest event counts, but what adds up may count twice",
                grouped(remote.sent_again)
            ));
        }
        summary
    }

    fn of_rows(counts: &RowCounts, account: &Account, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self {
            rows_read: account.read(),
            kept: account.kept(),
            duplicate: account.duplicate(),
            held_back: account.held_back(),
            restricted: account.restricted(),
            filtered: account.filtered(),
            rejected: account.rejected().total(),
            rejected_by_reason: account.rejected().by_reason().collect(),
            rejected_first: counts.rejected_first.iter().map(Rejected::from).collect(),
            titles: counts.titles_taken,
            titles_rejected: counts.titles_rejected.total(),
            titles_rejected_by_reason: counts.titles_rejected.by_reason().collect(),
            warnings: warnings(counts),
            undelivered: None,
            titles_undelivered: None,
            held: None,
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
        let count = |label: &str, number: u64| format!("{label:<22}{:>15}\n", grouped(number));
        f.write_str(&count("rows read", self.rows_read))?;
        f.write_str(&count("  kept", self.kept))?;
        f.write_str(&count("  duplicate", self.duplicate))?;
        if self.restricted > 0 {
            f.write_str(&count("  restricted", self.restricted))?;
        }
        if self.held_back > 0 {
            f.write_str(&count("  held back", self.held_back))?;
        }
        f.write_str(&count("  filtered", self.filtered))?;
        f.write_str(&count("  rejected", self.rejected))?;
        for (reason, rows) in &self.rejected_by_reason {
            f.write_str(&count(&format!("    {}", reason.replace('_', " ")), *rows))?;
        }
        if let Some(undelivered @ 1..) = self.undelivered {
            f.write_str(&count("  not delivered", undelivered))?;
        }
        let titles_undelivered = self.titles_undelivered.unwrap_or_default();
        if self.titles + self.titles_rejected + titles_undelivered > 0 {
            f.write_str(&count("titles kept", self.titles))?;
            f.write_str(&count("  rejected", self.titles_rejected))?;
            for (reason, rows) in &self.titles_rejected_by_reason {
                f.write_str(&count(&format!("    {}", reason.replace('_', " ")), *rows))?;
            }
            if titles_undelivered > 0 {
                f.write_str(&count("  not delivered", titles_undelivered))?;
            }
        }
        if let Some(held) = self.held {
            f.write_str(&count("users", held.users))?;
            f.write_str(&count("items", held.items))?;
            f.write_str(&count("interactions", held.interactions))?;
        }
        writeln!(
            f,
            "in {:.2} s, {} rows/s",
            self.seconds,
            grouped(self.rows_per_second as u64)
        )?;
        self.write_rejected(f)?;
        self.warnings
            .iter()
            .try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

/// What was taken and looks wrong all the same.
fn warnings(counts: &RowCounts) -> Vec<String> {
    let columns = ["user", "item"].iter().zip(counts.float_like);
    columns
        .filter(|(_, rows)| *rows > 0)
        .map(|(column, rows)| {
            format!(
                "{} of {} rows have {column} ids like 123.0 or 7.6E+16, as a spreadsheet or a column \
                 with gaps makes them: the first will not meet 123, the second stands for many ids; \
                 export the column as text",
                grouped(rows),
                grouped(counts.read)
            )
        })
        .collect()
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
    use recant_import::{ImportOptions, Part, RowSink, SinkError, SinkTotals, TakenRow};

    use super::*;

    /// Takes everything.
    struct Nowhere;

    impl RowSink for Nowhere {
        fn push(&mut self, _: TakenRow<'_>, _: f32) -> Result<(), SinkError> {
            Ok(())
        }

        fn withdraw(&mut self, _: TakenRow<'_>) -> Result<(), SinkError> {
            Ok(())
        }

        fn describe(
            &mut self,
            _: &str,
            _: &recant_types::DescriptionPatch,
        ) -> Result<(), SinkError> {
            Ok(())
        }
    }

    /// The summary of 1 234 good rows and some bad ones.
    fn summary(rejected: u64) -> Summary {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("clicks.csv");
        let mut text = String::from("user_id,item_id,weight\n");
        (0..rejected).for_each(|_| text += "u,i,much\n");
        (0..1_234).for_each(|row| text += &format!("{row}.0,i,1\n"));
        std::fs::write(&path, text).expect("written");
        let part = Part { path, folder: None };
        let options = ImportOptions::default();
        let counts = recant_import::run(&[part], &[], &options, &mut Nowhere, &mut |_| {});
        let counts = counts.expect("readable");
        let totals = ImportTotals {
            added: 1_167,
            duplicates: 60,
            held_back: 7,
            ..ImportTotals::default()
        };
        let account = super::super::close(&counts, &totals).expect("it adds up");
        assert!(
            counts.close(SinkTotals::default()).is_err(),
            "rows vanished"
        );
        Summary::new(&counts, &account, &totals, Duration::from_secs(2))
    }

    #[test]
    fn the_parts_add_up_to_the_rows_read() {
        let summary = summary(12);
        let parts = summary.kept + summary.duplicate + summary.filtered + summary.rejected;
        assert_eq!(parts + summary.held_back, summary.rows_read);
        let reasons: u64 = summary.rejected_by_reason.values().sum();
        assert_eq!(reasons, summary.rejected);
    }

    #[test]
    fn a_person_sees_the_counts_and_the_first_rejected_rows() {
        let text = summary(12).to_string();
        let line = |label: &str, number: &str| format!("{label:<22}{number:>15}\n");
        for (label, number) in [
            ("rows read", "1 246"),
            ("  duplicate", "60"),
            ("  held back", "7"),
            ("    weight unreadable", "12"),
        ] {
            assert!(text.contains(&line(label, number)), "{text}");
        }
        assert!(
            text.contains("clicks.csv:11: weight is not a number\n"),
            "{text}"
        );
        assert!(text.contains("  and 2 more\n"), "{text}");
        assert!(text.contains("warning: 1 234 of 1 246 rows have user ids like 123.0"));
        assert!(!summary(0).to_string().contains("rejected rows"));
    }

    #[test]
    fn a_program_reads_the_same_numbers() {
        let json = summary(1).to_json().expect("plain numbers");
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["rows_read"], 1_235);
        assert_eq!(value["kept"], 1_167);
        assert_eq!(value["rejected_by_reason"]["weight_unreadable"], 1);
        assert_eq!(value["rejected_first"][0]["line"], 2);
        assert_eq!(
            value["rejected_first"][0]["reason"],
            "weight is not a number"
        );
        assert_eq!(value["rows_per_second"], 617.5);
        assert_eq!(value["warnings"].as_array().map(Vec::len), Some(1));
    }
}
