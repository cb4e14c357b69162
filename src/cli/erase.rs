//! `recant erase`: erases through a running server, waits, and verifies the receipts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::erase_client::{Accepted, Client};
use super::error::CliError;
use super::output::{print, print_json};
use super::strength::Strength;
use recant_receipt::{CommitmentClaim, JwkSet, Salt, commit, verify};
use recant_types::{
    Certificate, ERASURE_PAIRS_MAX, ErasureTarget, InvalidId, ItemId, Names, UserId,
};

/// The variable that holds the API key.
const KEY_VARIABLE: &str = "RECANT_API_KEY";

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
each is printed and kept nowhere else: with it the receipt shows whom it is about. The API key is
taken from RECANT_API_KEY or --key-file. Ids on the command line can be seen by others on the machine
while the command runs; ids in a file cannot. The exit code is 0 only when every receipt holds, 3 when
only certificates do not reach their target.")]
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
    /// File with one user a line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub users_file: Option<PathBuf>,
    /// File with one item a line; - for standard input
    #[arg(long, value_name = "FILE")]
    pub items_file: Option<PathBuf>,
    /// File that holds the API key
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// File to which the receipts are appended, one a line
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<PathBuf>,
    /// Longest wait for each receipt
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub wait: u64,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// One erasure, and what its receipt says.
#[derive(Debug, Serialize)]
struct Erased {
    id: String,
    names: usize,
    receipt_salt: Option<String>,
    receipt: String,
    certificate: Certificate,
    certificate_strength: &'static str,
    holds: bool,
}

/// Erases what is named and verifies every receipt.
pub(super) fn run(args: &EraseArgs) -> Result<(), CliError> {
    let requests = args.requests()?;
    let key = args.key()?;
    let client = Client::new(&args.url, key.as_deref());
    let mut accepted = Vec::new();
    for names in requests {
        let answer = client.erase(&names)?;
        // Said at once: the erasure goes on whatever becomes of this command.
        if !args.json {
            let salt = answer.receipt_salt.as_deref().unwrap_or("none");
            print(&format!("{}: accepted, salt {salt}\n", answer.id))?;
        }
        accepted.push((answer, names));
    }
    let mut erased = Vec::new();
    for (answer, names) in accepted {
        let receipt = args.receipt(&client, &answer.id)?;
        // Fetched after the receipt, so that the key that signed it is there.
        let one = check(answer, names, receipt, &client.keys()?)?;
        if let Some(path) = &args.receipts {
            append(path, &one.receipt)?;
        }
        if !args.json {
            let certificate = &one.certificate;
            let words = Strength::of(certificate).in_words();
            print(&format!(
                "{}: the receipt holds; {words}: {certificate}\n",
                one.id
            ))?;
        }
        erased.push(one);
    }
    if args.json {
        print_json(&erased)?;
    }
    match erased.iter().filter(|one| !one.holds).count() {
        0 => Ok(()),
        weak => Err(CliError::Unproven(format!(
            "everything is erased and every receipt is authentic, but {weak} of {} certificates do \
             not hold",
            erased.len()
        ))),
    }
}

impl EraseArgs {
    /// What is named, in requests of as many names as one may hold.
    fn requests(&self) -> Result<Vec<Names>, CliError> {
        let mut users = parse("--user", &self.user, UserId::new)?;
        users.extend(from_file(self.users_file.as_deref(), UserId::new)?);
        let mut items = parse("--item", &self.item, ItemId::new)?;
        items.extend(from_file(self.items_file.as_deref(), ItemId::new)?);
        let pairs = self.pair.chunks_exact(2).map(|pair| {
            let user = UserId::new(&pair[0]).map_err(|reason| refuse("--pair", reason))?;
            let item = ItemId::new(&pair[1]).map_err(|reason| refuse("--pair", reason))?;
            Ok((user, item))
        });
        let pairs: Vec<_> = pairs.collect::<Result<_, CliError>>()?;
        let parts = chunks(&users, |users| Names {
            users,
            ..Names::default()
        })
        .chain(chunks(&items, |items| Names {
            items,
            ..Names::default()
        }))
        .chain(chunks(&pairs, |pairs| Names {
            pairs,
            ..Names::default()
        }));
        let all = Names {
            users: users.clone(),
            items: items.clone(),
            pairs: pairs.clone(),
        };
        match all.count() {
            0 => Err(CliError::usage(
                "nothing is named: give --user, --item, --pair, --users-file or --items-file",
            )),
            1..=ERASURE_PAIRS_MAX => Ok(vec![all]),
            _ => Ok(parts.collect()),
        }
    }

    fn key(&self) -> Result<Option<String>, CliError> {
        match &self.key_file {
            Some(path) => read(path).map(|key| Some(key.trim().to_owned())),
            None => Ok(std::env::var(KEY_VARIABLE)
                .ok()
                .filter(|key| !key.is_empty())),
        }
    }

    /// Waits for the receipt of an erasure.
    fn receipt(&self, client: &Client, id: &str) -> Result<String, CliError> {
        let started = Instant::now();
        loop {
            if let Some(receipt) = client.receipt(id)? {
                return Ok(receipt);
            }
            if started.elapsed() > Duration::from_secs(self.wait) {
                return Err(CliError::Failed(format!(
                    "{id} is accepted and not certified after {} s: fetch its receipt later, from \
                     /erasures/{id}/receipt",
                    self.wait
                )));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// `all` in requests of as many as one may name.
fn chunks<T: Clone>(all: &[T], make: impl Fn(Vec<T>) -> Names) -> impl Iterator<Item = Names> {
    all.chunks(ERASURE_PAIRS_MAX)
        .map(move |chunk| make(chunk.to_vec()))
}

/// Checks a receipt: who signed it, which erasure it is for, and what that was about.
fn check(
    answer: Accepted,
    names: Names,
    receipt: String,
    keys: &JwkSet,
) -> Result<Erased, CliError> {
    let id = &answer.id;
    let wrong = |what: &str| CliError::Failed(format!("the receipt of {id} {what}"));
    let verified = verify(&receipt, keys).map_err(|error| wrong(&error.to_string()))?;
    if verified.claims.jti.to_string() != *id {
        return Err(wrong("is that of another erasure"));
    }
    let count = names.count();
    if let Some(salt) = &answer.receipt_salt {
        let salt = Salt::parse(salt).ok_or_else(|| wrong("came with no salt"))?;
        let claim = CommitmentClaim::new(commit(&salt, &ErasureTarget::from(names)));
        if verified.claims.commitment != Some(claim) {
            return Err(wrong("is not about what was named"));
        }
    }
    let certificate = verified.claims.certificate;
    let strength = Strength::of(&certificate);
    Ok(Erased {
        id: answer.id,
        names: count,
        receipt_salt: answer.receipt_salt,
        receipt,
        certificate,
        certificate_strength: strength.as_str(),
        holds: strength.is_good(),
    })
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
    let text = read(path)?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            let place = || format!("{}, line {}", path.display(), index + 1);
            make(line).map_err(|reason| refuse(&place(), reason))
        })
        .collect()
}

fn read(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map(|_| text)
        .map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

fn append(path: &Path, receipt: &str) -> Result<(), CliError> {
    use std::io::Write;
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| writeln!(file, "{receipt}"))
        .map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

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
    }
}
