//! `recant verify`: checks receipts, without the service that signed them.

mod log;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::error::CliError;
use super::output::print;
use super::settings::StoreArgs;
use super::text_file;
use log::LogCheck;
use recant_receipt::{JwkSet, Salt, check_chain, commit, verify_entry};
use recant_store::published_receipt_keys;
use recant_types::{ErasureTarget, FeedbackType, Given, InvalidId, ItemId, Names, UserId};
use report::{Opening, Report};

/// Flags of `recant verify`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  curl -s http://127.0.0.1:8080/.well-known/jwks.json > jwks.json
  curl -s http://127.0.0.1:8080/erasures/ID/receipt > receipt.jws
  recant verify receipt.jws --jwks jwks.json --salt SALT --user ada-0001

A file holds one receipt, or one a line. Given several receipts of one service, in any order, the
chain between them is checked and missing ones are named; --complete takes a missing one for a
failure. Of several nodes a receipt says which were away and owe the erasure: it is open until their
settlements (GET /receipts/settlements) are given as well, and --complete takes an open one for a
failure. SALT is the receipt_salt of the answer to the request. Without --jwks the keys are those
of the store in --data-dir. --inclusion shows\nthat one receipt is in the transparency log, without any other; --consistency that the log of a\ncheckpoint that you kept only grew since. The exit code is 0 only when\neverything that was asked for holds and every certificate reaches its target, 3 when only certificates\ndo not, else 1.")]
pub(crate) struct VerifyArgs {
    /// Files of receipts and settlements; - for standard input
    #[arg(required_unless_present = "consistency", value_name = "RECEIPT")]
    pub receipts: Vec<PathBuf>,
    /// The public keys, as /.well-known/jwks.json shows them
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// Where the store is, whose keys count without --jwks
    #[command(flatten)]
    pub store: StoreArgs,
    /// Opens the commitment of one of the receipts to what the next flags name
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub salt: Option<String>,
    /// The user that was named
    #[arg(
        long,
        value_name = "ID",
        requires = "salt",
        conflicts_with = "pairs",
        allow_hyphen_values = true
    )]
    pub user: Option<String>,
    /// The item that was named
    #[arg(
        long,
        value_name = "ID",
        requires = "salt",
        conflicts_with = "pairs",
        allow_hyphen_values = true
    )]
    pub item: Option<String>,
    /// The type of feedback that was named of the pair
    #[arg(long = "type", value_name = "TYPE", requires_all = ["user", "item"], value_parser = FeedbackType::new)]
    pub feedback: Option<FeedbackType>,
    /// Everything that was named: the JSON body of the request
    #[arg(long, value_name = "FILE", requires = "salt", alias = "request")]
    pub pairs: Option<PathBuf>,
    /// The users who were named were restricted, and not erased
    #[arg(long, requires = "salt")]
    pub restriction: bool,
    /// Shows that the one receipt is in the transparency log: what /erasures/{id}/inclusion answered
    #[arg(long, value_name = "FILE")]
    pub inclusion: Option<PathBuf>,
    /// A head of the log that you kept: what /receipts/checkpoint answered
    #[arg(long, value_name = "FILE", requires = "consistency")]
    pub checkpoint: Option<PathBuf>,
    /// Shows that the log only grew since --checkpoint: what /receipts/consistency?from=N answered
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    pub consistency: Option<PathBuf>,
    /// Take a receipt that is missing before the last one, or that is open, for a failure
    #[arg(long)]
    pub complete: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Checks everything that was asked for, says how it is, and fails unless all holds.
pub(super) fn run(args: &VerifyArgs) -> Result<(), CliError> {
    let (keys, opening) = (args.keys()?, args.opening()?);
    let mut report = Report::default();
    for path in &args.receipts {
        let text = text_file::text(path)?;
        let mut lines = text.split_ascii_whitespace().peekable();
        if lines.peek().is_none() {
            return Err(CliError::Usage(format!("{} is empty", path.display())));
        }
        for compact in lines {
            let outcome = verify_entry(compact, &keys);
            report.add(path, outcome, opening.as_ref());
        }
    }
    report.chain = check_chain(report.entries());
    report.opening = opening.map(|_| report.is_opened());
    report.complete = args.complete;
    report.log = args.log_checks(&keys)?;
    print(&if args.json {
        report.as_json()
    } else {
        report.as_text()
    })?;
    report.verdict()
}

impl VerifyArgs {
    fn keys(&self) -> Result<JwkSet, CliError> {
        let keys = match &self.jwks {
            Some(path) => serde_json::from_str(&text_file::text(path)?).map_err(|_| {
                CliError::Usage(format!("{} is no JSON Web Key Set", path.display()))
            })?,
            None => {
                let settings = self.store.settings(Vec::new())?;
                published_receipt_keys(&settings.store.data_dir).map_err(CliError::failed)?
            }
        };
        if keys.keys.is_empty() {
            return Err(CliError::usage(
                "there are no keys to check with: fetch /.well-known/jwks.json and name it with --jwks",
            ));
        }
        Ok(keys)
    }

    /// What the proofs from the transparency log show.
    fn log_checks(&self, keys: &JwkSet) -> Result<Vec<LogCheck>, CliError> {
        let mut checks = Vec::new();
        if let Some(path) = &self.inclusion {
            let compact = self.only_receipt()?;
            checks.push(log::inclusion(
                path,
                &text_file::text(path)?,
                &compact,
                keys,
            ));
        }
        if let (Some(earlier), Some(path)) = (&self.checkpoint, &self.consistency) {
            checks.push(log::consistency(
                path,
                &text_file::text(path)?,
                &text_file::text(earlier)?,
                keys,
            ));
        }
        Ok(checks)
    }

    /// The receipt that a proof of inclusion is about.
    fn only_receipt(&self) -> Result<String, CliError> {
        let [path] = self.receipts.as_slice() else {
            return Err(CliError::usage(
                "--inclusion is about one receipt: name its file alone",
            ));
        };
        if path == Path::new("-") {
            return Err(CliError::usage("--inclusion needs the receipt in a file"));
        }
        let text = text_file::text(path)?;
        let mut receipts = text.split_ascii_whitespace();
        match (receipts.next(), receipts.next()) {
            (Some(one), None) => Ok(one.to_owned()),
            _ => Err(CliError::usage(
                "--inclusion is about one receipt: name a file with one",
            )),
        }
    }

    /// What the commitment is to be opened with; `None` when nobody asked for it.
    fn opening(&self) -> Result<Option<Opening>, CliError> {
        let Some(salt) = &self.salt else {
            return Ok(None);
        };
        let salt = Salt::parse(salt).ok_or_else(|| {
            CliError::usage("--salt is not a salt: take receipt_salt of the answer to the request")
        })?;
        let target = self.target()?.ok_or_else(|| {
            CliError::usage("--salt needs what was named: --user, --item, both, or --pairs")
        })?;
        let target = if self.restriction {
            restriction_of(target)?
        } else {
            target
        };
        Ok(Some(Opening::new(commit(&salt, &target))))
    }

    fn target(&self) -> Result<Option<ErasureTarget>, CliError> {
        let id = |flag: &str, reason: InvalidId| CliError::Usage(format!("{flag}: {reason}"));
        let user = self.user.as_deref().map(UserId::trimmed).transpose();
        let user = user.map_err(|reason| id("--user", reason))?;
        let item = self.item.as_deref().map(ItemId::trimmed).transpose();
        let item = item.map_err(|reason| id("--item", reason))?;
        Ok(match (user, item, &self.pairs) {
            (Some(user), Some(item), _) => {
                let mut names = Names::default();
                names.add_pair(user, item, self.feedback.clone());
                Some(names.into())
            }
            (Some(user), None, _) => Some(ErasureTarget::User(user)),
            (None, Some(item), _) => Some(ErasureTarget::Item(item)),
            (None, None, Some(path)) => Some(read_request(path)?),
            (None, None, None) => None,
        })
    }
}

/// The restriction of the users that `target` names.
fn restriction_of(target: ErasureTarget) -> Result<ErasureTarget, CliError> {
    match target {
        ErasureTarget::User(user) => Ok(ErasureTarget::Restriction(vec![user])),
        ErasureTarget::Several(names) if names.count() == names.users.len() => {
            Ok(ErasureTarget::Restriction(names.users))
        }
        _ => Err(CliError::usage(
            "a restriction is of users: name them with --user or --pairs alone",
        )),
    }
}

fn read_request(path: &Path) -> Result<ErasureTarget, CliError> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        users: Vec<Given<UserId>>,
        #[serde(default)]
        items: Vec<Given<ItemId>>,
        #[serde(default)]
        interactions: Vec<Pair>,
    }
    #[derive(Deserialize)]
    struct Pair {
        user: Given<UserId>,
        item: Given<ItemId>,
        #[serde(default, rename = "type")]
        feedback: Option<FeedbackType>,
    }
    let body: Body = serde_json::from_str(&text_file::text(path)?).map_err(|error| {
        // What the library says may quote an id.
        CliError::Usage(format!(
            "{}, line {}: is not the body of a request like {{\"users\":[…],\"interactions\":[{{\"user\":…,\"item\":…}}]}}",
            path.display(),
            error.line()
        ))
    })?;
    let mut names = Names {
        users: body.users.into_iter().map(|user| user.0).collect(),
        items: body.items.into_iter().map(|item| item.0).collect(),
        ..Names::default()
    };
    for pair in body.interactions {
        names.add_pair(pair.user.0, pair.item.0, pair.feedback);
    }
    Ok(names.into())
}
