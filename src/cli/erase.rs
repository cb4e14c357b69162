//! `recant erase`: erases through a running server, waits, and verifies the receipts.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::api_client::{Refusal, api_key};
use super::erase_client::{Accepted, Client};
use super::error::CliError;
use super::output::{print, print_json};
use super::strength::Strength;
use super::text_file;
use super::trust::TrustArgs;
use recant_receipt::{CommitmentClaim, JwkSet, Salt, commit, verify};
use recant_types::{
    Certificate, ErasureId, ErasureTarget, FeedbackType, InvalidId, ItemId, Names, UserId,
};

/// Pause before a receipt is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// Flags of `recant erase`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant erase --url http://127.0.0.1:8080 --user ada-0001 --pair bob-0002 dune
  recant erase --users-file leavers.txt --receipts receipts.jws --json

Up to 10 000 names are one erasure, more are several. Waits until each is certified, fetches its
receipt, and checks the signature, that it is about what was named, and the certificate. The salt of
each is printed as soon as it is accepted, with --json to standard error too, and kept nowhere else:
with it the receipt shows whom it is about. A server that does not answer or is busy is asked again
until --wait is over; one erasure that comes to no receipt does not keep the others from theirs. The
API key is taken from RECANT_API_KEY or --key-file. Ids on the command line can be seen by others on
the machine while the command runs; ids in a file cannot. The exit code is 0 only when every receipt
holds, 3 when only certificates do not reach their target.")]
pub(crate) struct EraseArgs {
    /// Where the server is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// Erase everything of this user; may be given more than once
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub user: Vec<String>,
    /// Erase every interaction with this item; may be given more than once
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub item: Vec<String>,
    /// Erase what this user did with this item; may be given more than once
    #[arg(long, value_names = ["USER", "ITEM"], num_args = 2, allow_hyphen_values = true)]
    pub pair: Vec<String>,
    /// Of the pairs that --pair names erase what is of this type of feedback alone
    #[arg(long = "type", value_name = "TYPE", requires = "pair", value_parser = FeedbackType::new)]
    pub feedback: Option<FeedbackType>,
    /// File with one user a line, in UTF-8 or UTF-16; - for standard input
    #[arg(long, value_name = "FILE")]
    pub users_file: Option<PathBuf>,
    /// File with one item a line, in UTF-8 or UTF-16; - for standard input
    #[arg(long, value_name = "FILE")]
    pub items_file: Option<PathBuf>,
    /// File that holds the API key
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Whom to believe, by https
    #[command(flatten)]
    pub trust: TrustArgs,
    /// File to which the receipts are appended, one a line
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<PathBuf>,
    /// Longest wait for each answer of the server and for each receipt
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub wait: u64,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// One erasure that was accepted, and what became of it.
#[derive(Debug, Serialize)]
struct Outcome {
    id: String,
    names: usize,
    receipt_salt: Option<String>,
    receipt: Option<String>,
    certificate: Option<Certificate>,
    certificate_strength: Option<&'static str>,
    holds: bool,
    /// Why there is no receipt, or why it is not to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Erases what is named and verifies every receipt.
pub(super) fn run(args: &EraseArgs) -> Result<(), CliError> {
    let requests = args.requests()?;
    let key = api_key(args.key_file.as_deref())?;
    let client = Client::new(&args.url, key.as_deref(), &args.trust)?;
    let sent = requests.len();
    // Before anybody's id is sent: is this the right server?
    client.keys().map_err(CliError::failed)?;
    let (accepted, refused) = args.send(&client, requests);
    if let (true, Some(error)) = (accepted.is_empty(), &refused) {
        return Err(CliError::failed(error));
    }
    let mut outcomes = Vec::new();
    for (answer, names) in accepted {
        let outcome = args.follow(&client, answer, names);
        if !args.json {
            print(&format!("{outcome}\n"))?;
        }
        outcomes.push(outcome);
    }
    if args.json {
        print_json(&outcomes)?;
    }
    match refused {
        Some(error) => Err(CliError::Failed(format!(
            "{} of {sent} requests were not accepted, and nothing of them is erased: {error}",
            sent - outcomes.len()
        ))),
        None => judge(&outcomes),
    }
}

/// Whether every receipt came and every certificate holds.
fn judge(outcomes: &[Outcome]) -> Result<(), CliError> {
    let all = outcomes.len();
    let without = outcomes.iter().filter(|one| one.problem.is_some()).count();
    if without > 0 {
        return Err(CliError::Failed(format!(
            "everything is accepted, but {without} of {all} receipts did not come or are not to be \
             believed"
        )));
    }
    match outcomes.iter().filter(|one| !one.holds).count() {
        0 => Ok(()),
        weak => Err(CliError::Unproven(format!(
            "everything is erased and every receipt is authentic, but {weak} of {all} certificates \
             do not hold"
        ))),
    }
}

impl Outcome {
    fn of(accepted: &Accepted, names: &Names) -> Self {
        Self {
            id: accepted.id.clone(),
            names: names.count(),
            receipt_salt: accepted.receipt_salt.clone(),
            receipt: None,
            certificate: None,
            certificate_strength: None,
            holds: false,
            problem: None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.certificate, &self.problem) {
            (_, Some(problem)) => write!(f, "{}: {problem}", self.id),
            (Some(certificate), None) => {
                let words = Strength::of(certificate).in_words();
                write!(f, "{}: the receipt holds; {words}: {certificate}", self.id)
            }
            (None, None) => write!(f, "{}: accepted", self.id),
        }
    }
}

impl EraseArgs {
    /// What is named, in requests of as many names as one may hold.
    fn requests(&self) -> Result<Vec<Names>, CliError> {
        let mut users = parse("--user", &self.user, UserId::trimmed)?;
        users.extend(from_file(self.users_file.as_deref(), UserId::trimmed)?);
        let mut items = parse("--item", &self.item, ItemId::trimmed)?;
        items.extend(from_file(self.items_file.as_deref(), ItemId::trimmed)?);
        let mut all = Names {
            users,
            items,
            ..Names::default()
        };
        for pair in self.pair.chunks_exact(2) {
            let user = UserId::trimmed(&pair[0]).map_err(|reason| refuse("--pair", reason))?;
            let item = ItemId::trimmed(&pair[1]).map_err(|reason| refuse("--pair", reason))?;
            all.add_pair(user, item, self.feedback.clone());
        }
        match all.count() {
            0 => Err(CliError::usage(
                "nothing is named: give --user, --item, --pair, --users-file or --items-file",
            )),
            _ => Ok(all.into_requests()),
        }
    }

    /// Sends the requests one after the other, until one is refused; what each answer says is told
    /// at once, as the erasure goes on whatever becomes of this command.
    fn send(
        &self,
        client: &Client,
        requests: Vec<Names>,
    ) -> (Vec<(Accepted, Names)>, Option<Refusal>) {
        let mut accepted = Vec::new();
        for names in requests {
            // The same for every attempt: a repetition is the same erasure.
            let key = ErasureId::generate().to_string();
            match self.patiently(|| client.erase(&names, &key)) {
                Ok(answer) => {
                    let salt = answer.receipt_salt.as_deref().unwrap_or("none");
                    self.announce(&format!("{}: accepted, salt {salt}", answer.id));
                    accepted.push((answer, names));
                }
                Err(refusal) => return (accepted, Some(refusal)),
            }
        }
        (accepted, None)
    }

    /// Where a line is seen at once: with `--json` standard output holds the result alone.
    fn announce(&self, line: &str) {
        // A reader that went away does not stop what was asked for.
        let _ = if self.json {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
        };
    }

    /// Waits for the receipt of an erasure and checks it.
    fn follow(&self, client: &Client, accepted: Accepted, names: Names) -> Outcome {
        let mut outcome = Outcome::of(&accepted, &names);
        if let Err(problem) = self.verified(client, accepted, names, &mut outcome) {
            outcome.problem = Some(problem);
        }
        outcome
    }

    fn verified(
        &self,
        client: &Client,
        accepted: Accepted,
        names: Names,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        let said = |refusal: Refusal| refusal.to_string();
        let receipt = self.patiently(|| client.receipt(&accepted.id));
        let receipt = receipt.map_err(said)?;
        outcome.receipt = Some(receipt.clone());
        if let Some(path) = &self.receipts {
            append(path, &receipt)?;
        }
        // Fetched after the receipt, so that the key that signed it is there.
        let keys = self.patiently(|| client.keys()).map_err(said)?;
        let certificate = check(&accepted, names, &receipt, &keys)?;
        let strength = Strength::of(&certificate);
        outcome.certificate_strength = Some(strength.as_str());
        outcome.holds = strength.is_good();
        outcome.certificate = Some(certificate);
        Ok(())
    }

    /// Asks until there is an answer, as long as `--wait` says: a server that restarts or has too
    /// much to do is asked again.
    fn patiently<T>(&self, ask: impl Fn() -> Result<T, Refusal>) -> Result<T, Refusal> {
        let started = Instant::now();
        loop {
            let answer = ask();
            let over = started.elapsed() >= Duration::from_secs(self.wait);
            match answer {
                Err(Refusal::NotNow(_)) if !over => std::thread::sleep(PAUSE),
                answer => return answer,
            }
        }
    }
}

/// Checks a receipt: who signed it, which erasure it is for, and what that was about.
fn check(
    accepted: &Accepted,
    names: Names,
    receipt: &str,
    keys: &JwkSet,
) -> Result<Certificate, String> {
    let wrong = |what: &str| format!("the receipt {what}");
    let verified = verify(receipt, keys).map_err(|error| wrong(&error.to_string()))?;
    if verified.claims.jti.to_string() != accepted.id {
        return Err(wrong("is that of another erasure"));
    }
    let salt = accepted.receipt_salt.as_deref().and_then(Salt::parse);
    let salt =
        salt.ok_or_else(|| wrong("came with no salt: whom it is about cannot be checked"))?;
    let claim = CommitmentClaim::new(commit(&salt, &ErasureTarget::from(names)));
    if verified.claims.commitment != Some(claim) {
        return Err(wrong("is not about what was named"));
    }
    Ok(verified.claims.certificate)
}

fn refuse(place: &str, reason: InvalidId) -> CliError {
    CliError::Usage(format!("{place}: {reason}"))
}

fn parse<T>(
    flag: &str,
    texts: &[String],
    make: impl Fn(&str) -> Result<T, InvalidId>,
) -> Result<Vec<T>, CliError> {
    let ids = texts.iter().map(|text| make(text));
    ids.map(|id| id.map_err(|reason| refuse(flag, reason)))
        .collect()
}

/// One id a line; lines without anything do not count.
fn from_file<T>(
    path: Option<&Path>,
    make: impl Fn(&str) -> Result<T, InvalidId>,
) -> Result<Vec<T>, CliError> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let lines = text_file::lines(path)?.into_iter();
    lines
        .map(|(number, line)| {
            let place = || format!("{}, line {number}", path.display());
            make(&line).map_err(|reason| refuse(&place(), reason))
        })
        .collect()
}

fn append(path: &Path, receipt: &str) -> Result<(), String> {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| writeln!(file, "{receipt}"))
        .map_err(|error| format!("the receipt could not be kept: {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;
    use recant_types::ERASURE_PAIRS_MAX;

    fn args(flags: &[&str]) -> EraseArgs {
        let arguments = ["recant", "erase"].iter().chain(flags);
        match Cli::try_parse_from(arguments).expect("well formed").command {
            Command::Erase(args) => args,
            other => panic!("not erase: {other:?}"),
        }
    }

    #[test]
    fn ids_that_begin_with_a_hyphen_are_taken() {
        let args = args(&[
            "--user", "-x", "--user", "--item", "--item", "-1", "--pair", "-a", "-b",
        ]);
        let requests = args.requests().expect("good ids");
        let [names] = requests.as_slice() else {
            panic!("one request")
        };
        let users: Vec<&str> = names.users.iter().map(UserId::expose).collect();
        assert_eq!(users, ["-x", "--item"]);
        assert_eq!(names.items[0].expose(), "-1");
        let (user, item) = &names.pairs[0];
        assert_eq!((user.expose(), item.expose()), ("-a", "-b"));
    }

    #[test]
    fn more_names_than_one_erasure_holds_become_several() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ids");
        let ids: Vec<String> = (0..=ERASURE_PAIRS_MAX).map(|id| format!("-{id}")).collect();
        std::fs::write(&path, ids.join("\n") + "\n\n").expect("space for it");
        let file = path.to_str().expect("UTF-8");
        let requests = args(&["--users-file", file, "--item", "x"]).requests();
        let counts: Vec<usize> = requests
            .expect("good ids")
            .iter()
            .map(Names::count)
            .collect();
        assert_eq!(counts, [ERASURE_PAIRS_MAX, 1, 1]);
    }

    /// As in every request and file: blanks are no part of an id, and neither is what an editor puts before
    /// the first.
    #[test]
    fn ids_are_read_by_the_rule_of_imports_from_flags_and_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ids");
        let file = path.to_str().expect("UTF-8");
        let text = "\u{feff}ada\r\n \t\r\n\u{a0}bob \r\n\r\n\tNULL\r\n";
        let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            text.replace("\r\n", "\r").into_bytes(),
            utf16,
        ] {
            std::fs::write(&path, bytes).expect("space for it");
            let args = args(&["--users-file", file, "--items-file", file]);
            let requests = args.requests().expect("good ids");
            let users: Vec<&str> = requests[0].users.iter().map(UserId::expose).collect();
            let items: Vec<&str> = requests[0].items.iter().map(ItemId::expose).collect();
            assert_eq!(users, ["ada", "bob", "NULL"]);
            assert_eq!(items, users);
        }
        let args = args(&[
            "--user",
            " eve ",
            "--item",
            "dune\t",
            "--pair",
            "\u{feff}a",
            " b\n",
        ]);
        let requests = args.requests().expect("good ids");
        let [names] = requests.as_slice() else {
            panic!("one request")
        };
        assert_eq!(names.users[0].expose(), "eve");
        assert_eq!(names.items[0].expose(), "dune");
        let (user, item) = &names.pairs[0];
        assert_eq!((user.expose(), item.expose()), ("a", "b"));
    }

    #[test]
    fn what_cannot_be_erased_is_said_without_repeating_it() {
        let error = args(&[]).requests().expect_err("nothing");
        assert!(error.to_string().contains("nothing is named"), "{error}");
        let error = args(&["--user", "needle\u{7}"])
            .requests()
            .expect_err("a bell");
        let text = error.to_string();
        assert!(
            text.starts_with("--user") && !text.contains("needle"),
            "{text}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ids");
        std::fs::write(&path, b"ada\nneedl\xe9\n").expect("space for it");
        let error = args(&["--users-file", path.to_str().expect("UTF-8")])
            .requests()
            .expect_err("Latin-1");
        let text = error.to_string();
        assert!(text.contains("line 2") && !text.contains("needl"), "{text}");
    }
}
