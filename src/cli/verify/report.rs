//! What became of the receipts, for people and for programs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::error::CliError;
use super::super::strength::Strength;
use super::log::LogCheck;
use recant_receipt::{
    ChainEntry, ChainFault, ChainReport, CommitmentClaim, Gap, Receipt, ReceiptError,
    SettlementClaims,
};
use recant_types::Commitment;

/// What a commitment is to be opened with.
pub(super) struct Opening(CommitmentClaim);

impl Opening {
    /// To be compared with this commitment, computed from the salt and the ids.
    pub(super) fn new(commitment: Commitment) -> Self {
        Self(CommitmentClaim::new(commitment))
    }
}

/// One receipt or settlement that was checked.
struct Checked {
    path: PathBuf,
    outcome: Result<ChainEntry, ReceiptError>,
    /// Whether its commitment is the one asked for.
    opened: bool,
}

/// Everything that was checked.
#[derive(Default)]
pub(super) struct Report {
    checked: Vec<Checked>,
    /// How those that hold hang together.
    pub chain: ChainReport,
    /// Whether one of them is about what was named; `None` when nothing was.
    pub opening: Option<bool>,
    /// Whether a missing receipt is a failure.
    pub complete: bool,
    /// What proofs from the transparency log show.
    pub log: Vec<LogCheck>,
}

impl Report {
    /// Adds a receipt or a settlement that was read from `path`.
    pub(super) fn add(
        &mut self,
        path: &Path,
        outcome: Result<ChainEntry, ReceiptError>,
        opening: Option<&Opening>,
    ) {
        let commitment = match &outcome {
            Ok(ChainEntry::Receipt(receipt)) => Some(&receipt.claims.commitment),
            _ => None,
        };
        let opened = opening
            .zip(commitment.and_then(Option::as_ref))
            .is_some_and(|(opening, claim)| opening.0 == *claim);
        self.checked.push(Checked {
            path: path.to_owned(),
            outcome,
            opened,
        });
    }

    /// Receipts and settlements whose signature holds.
    pub(super) fn entries(&self) -> impl Iterator<Item = &ChainEntry> {
        self.checked
            .iter()
            .filter_map(|checked| checked.outcome.as_ref().ok())
    }

    fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.entries().filter_map(|entry| match entry {
            ChainEntry::Receipt(receipt) => Some(&**receipt),
            ChainEntry::Settlement(_) => None,
        })
    }

    fn settlements(&self) -> Vec<&SettlementClaims> {
        let settlements = self.entries().filter_map(|entry| match entry {
            ChainEntry::Receipt(_) => None,
            ChainEntry::Settlement(settlement) => Some(&settlement.claims),
        });
        settlements.collect()
    }

    /// How many receipts are open: some node owes the erasure, and no settlement that is here says otherwise.
    fn open(&self) -> usize {
        let settlements = self.settlements();
        let open = self
            .receipts()
            .filter(|it| !it.claims.owed_by(&settlements).is_empty());
        open.count()
    }

    /// Whether the commitment of one of them is the one asked for.
    pub(super) fn is_opened(&self) -> bool {
        self.checked.iter().any(|checked| checked.opened)
    }

    /// Lines for people.
    pub(super) fn as_text(&self) -> String {
        let settlements = self.settlements();
        let lines = self.checked.iter().map(|it| it.line(&settlements));
        let mut lines: Vec<String> = lines.collect();
        lines.extend(self.chain.faults.iter().map(|fault| match fault {
            ChainFault::Fork { sequence } => {
                format!("chain: two different receipts have the number {sequence}")
            }
            ChainFault::Broken { sequence } => {
                format!("chain: receipt {sequence} does not follow the one before it")
            }
        }));
        lines.extend(self.chain.gaps.iter().map(|Gap { first, last }| {
            if first == last {
                format!("chain: receipt {first} is not here")
            } else {
                format!("chain: receipts {first} to {last} are not here")
            }
        }));
        if !self.checked.is_empty() {
            lines.push(format!("chain: {} links hold", self.chain.links));
        }
        lines.extend(self.log.iter().map(LogCheck::line));
        lines.extend(self.opening.map(|opened| {
            let what = if opened { "opens" } else { "does not open" };
            format!("commitment: the salt {what} it to what was named")
        }));
        lines.join("\n") + "\n"
    }

    /// The same for programs.
    pub(super) fn as_json(&self) -> String {
        let settlements = self.settlements();
        let receipts = self.checked.iter().map(|it| it.as_json(&settlements));
        let receipts: Vec<Value> = receipts.collect();
        let value = json!({
            "holds": self.verdict().is_ok(),
            "receipts": receipts,
            "chain": self.chain,
            "commitment_opened": self.opening,
            "log": self.log.iter().map(LogCheck::as_json).collect::<Vec<_>>(),
        });
        format!("{value}\n")
    }

    /// A failure unless everything that was asked for holds.
    pub(super) fn verdict(&self) -> Result<(), CliError> {
        let bad = self
            .checked
            .iter()
            .filter(|checked| checked.outcome.is_err());
        let failed = |what: &str| Err(CliError::Failed(what.to_owned()));
        match bad.count() {
            0 if !self.chain.holds() => failed("the chain of the receipts is broken"),
            0 if self.complete && !self.chain.is_complete() => {
                failed("receipts are missing: fetch them, or leave out --complete")
            }
            0 if self.complete && self.open() > 0 => Err(CliError::Failed(format!(
                "{} of the receipts are open: give the settlements of /receipts/settlements as well, and if they \
                 are open then, start the nodes that owe, or remove them with --disk-destroyed once their \
                 disks are",
                self.open()
            ))),
            0 if !self.log.iter().all(LogCheck::holds) => {
                failed("a proof from the transparency log does not hold")
            }
            0 if self.opening == Some(false) => failed(
                "no receipt is about what was named: check the salt, the ids and the kind of request",
            ),
            0 => match self
                .receipts()
                .filter(|one| !strength(one).is_good())
                .count()
            {
                0 => Ok(()),
                weak => Err(CliError::Unproven(format!(
                    "signatures hold, but the certificates of {weak} of {} receipts do not: wait for \
                     a later one, or ask the service for a higher dimension or regularisation",
                    self.receipts().count()
                ))),
            },
            bad => Err(CliError::Failed(format!(
                "{bad} of {} receipts do not hold",
                self.checked.len()
            ))),
        }
    }
}

/// Whether every node has carried out what a receipt is about.
fn state_among_nodes(receipt: &Receipt, settlements: &[&SettlementClaims]) -> String {
    let owing = receipt.claims.owed_by(settlements);
    if owing.is_empty() {
        return String::from("closed: every node has carried it out");
    }
    let names: Vec<String> = owing.iter().map(|node| printable(node)).collect();
    let owes = if names.len() == 1 { "owes" } else { "owe" };
    let since = receipt.claims.accepted_at.to_rfc3339();
    format!("open: {} {owes} it since {since}", names.join(", "))
}

fn strength(receipt: &Receipt) -> Strength {
    Strength::of(&receipt.claims.certificate)
}

/// A text of the signer's with everything escaped that a terminal would obey or not show.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' => printable.push(character),
            _ => printable.extend(character.escape_debug()),
        }
    }
    printable
}

impl Checked {
    fn line(&self, settlements: &[&SettlementClaims]) -> String {
        let path = self.path.display();
        match &self.outcome {
            Ok(ChainEntry::Receipt(receipt)) => {
                let claims = &receipt.claims;
                let mut lines = format!(
                    "{path}: the signature holds: receipt {} of {} for {} {}, certified {}\n\
                     {path}: {}: {}",
                    claims.sequence,
                    printable(&claims.iss),
                    claims.act(),
                    claims.jti,
                    claims.certified_at.to_rfc3339(),
                    strength(receipt).in_words(),
                    printable(&claims.certificate.to_string())
                );
                if claims.nodes.is_some() {
                    let state = state_among_nodes(receipt, settlements);
                    lines.push_str(&format!("\n{path}: {state}"));
                }
                lines
            }
            Ok(ChainEntry::Settlement(settlement)) => {
                let claims = &settlement.claims;
                format!(
                    "{path}: the signature holds: settlement {} of {}: {} owes nothing up to entry {}, {}",
                    claims.sequence,
                    printable(&claims.iss),
                    printable(&claims.node),
                    claims.upto,
                    claims.how.in_words(),
                )
            }
            Err(error) => format!("{path}: does not hold: it {error}"),
        }
    }

    fn as_json(&self, settlements: &[&SettlementClaims]) -> Value {
        match &self.outcome {
            Ok(ChainEntry::Settlement(settlement)) => json!({
                "file": self.path,
                "kind": "settlement",
                "holds": true,
                "signature_holds": true,
                "kid": settlement.key_id,
                "claims": settlement.claims,
            }),
            Ok(ChainEntry::Receipt(receipt)) => json!({
                "file": self.path,
                "kind": "receipt",
                "owed_by": receipt.claims.nodes.as_ref().map(|_| receipt.claims.owed_by(settlements)),
                "holds": strength(receipt).is_good(),
                "signature_holds": true,
                "certificate": strength(receipt).as_str(),
                "kid": receipt.key_id,
                "commitment_opened": self.opened,
                "claims": receipt.claims,
            }),
            Err(error) => json!({
                "file": self.path,
                "holds": false,
                "signature_holds": false,
                "reason": error.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_by_what_a_receipt_says_of_its_issuer() {
        let text = "Shop\u{1b}]0;title\u{7}\u{1b}[2J\r\nholds\u{202e} \"it's\"";
        let shown = printable(text);
        assert!(
            !shown.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{shown:?}"
        );
        assert!(
            shown.starts_with("Shop") && shown.ends_with("\"it's\""),
            "{shown:?}"
        );
    }
}
