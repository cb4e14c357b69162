//! What is measured on: pairs in a file, imported and trained once, and which of them are still there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use tempfile::TempDir;

use crate::support::process::{BINARY_VARIABLE, recant};
use crate::support::{self, FILE_VARIABLE, argument};

/// Pairs of user and item that are in the store, in an order of chance.
pub struct Pairs {
    left: Vec<(String, String)>,
    users: Vec<String>,
    items: Vec<String>,
}

impl Pairs {
    /// A pair that nobody was given before.
    pub fn take(&mut self) -> (String, String) {
        self.left.pop().expect("enough pairs")
    }

    /// Several of them.
    pub fn take_many(&mut self, count: usize) -> Vec<(String, String)> {
        self.left.split_off(self.left.len() - count)
    }

    /// All users.
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// All items.
    pub fn items(&self) -> &[String] {
        &self.items
    }
}

/// Imports and trains; the trained directory is `data` in the folder.
pub fn prepared() -> (TempDir, Pairs) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = file(folder.path());
    let data = folder.path().join("data");
    run(recant()
        .arg("import")
        .arg(&file)
        .arg("--data-dir")
        .arg(&data));
    let dim = argument("--dim", 128.0).to_string();
    let training = ["train", "--dim", &dim, "--alpha0", "0.3", "--lambda"];
    run(recant()
        .args(training)
        .arg("0.01")
        .arg("--data-dir")
        .arg(&data));
    let pairs = pairs(&file);
    let (count, users) = (pairs.left.len(), pairs.users.len());
    let build = match std::env::var(BINARY_VARIABLE) {
        Ok(named) => named,
        Err(_) if cfg!(debug_assertions) => String::from("dev build"),
        Err(_) => String::from("release build"),
    };
    println!("{count} pairs of {users} users, d = {dim}, {build}");
    (folder, pairs)
}

/// The file that is named, or one with synthetic pairs.
fn file(folder: &Path) -> PathBuf {
    if let Some(named) = std::env::var_os(FILE_VARIABLE) {
        return named.into();
    }
    let (_, matrix) = support::matrix();
    let path = folder.join("pairs.csv.gz");
    let file = fs::File::create(&path).expect("room for the pairs");
    let mut rows = GzEncoder::new(file, Compression::fast());
    writeln!(rows, "user_id,item_id").expect("room for the pairs");
    for user in 0..matrix.user_rows() as u32 {
        for entry in matrix.user(user) {
            writeln!(rows, "{user},{}", entry.index).expect("room for the pairs");
        }
    }
    rows.finish().expect("room for the pairs");
    path
}

fn pairs(path: &Path) -> Pairs {
    let file = fs::File::open(path).expect("the pairs");
    let mut reader = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file));
    let rows = reader.records().map(|row| row.expect("a readable row"));
    let mut left: Vec<_> = rows
        .map(|row| (row[0].to_owned(), row[1].to_owned()))
        .collect();
    left.sort_unstable();
    left.dedup();
    let distinct = |of: fn(&(String, String)) -> &String| {
        let mut names: Vec<_> = left.iter().map(of).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let (users, items) = (distinct(|pair| &pair.0), distinct(|pair| &pair.1));
    left.shuffle(&mut ChaCha12Rng::seed_from_u64(11));
    Pairs { left, users, items }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) {
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}
