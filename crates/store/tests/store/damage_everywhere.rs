//! A bit that flips anywhere in any file of a store leads to an error or to the data as they
//! were, never to other data, and never to fewer.
//!
//! `RECANT_DAMAGES=1000 cargo test -p recant-store --test store damage_everywhere::` flips more than a usual run.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recant_store::{Store, StoreError};
use recant_testkit::store::{Contents, copy_directory, fill, options};

/// Flips in a usual run.
const DAMAGES: usize = 200;

/// Files below a directory that have bytes, relative to it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if fs::metadata(&path).expect("a file").len() > 0 {
                let relative = path.strip_prefix(directory).expect("below it");
                files.push(relative.to_owned());
            }
        }
    }
    files.sort();
    files
}

fn outcome(data: &Path) -> Result<Contents, StoreError> {
    Contents::of(&Store::open(data, &options())?)
}

#[test]
fn a_flipped_bit_in_any_file_is_an_error_or_does_no_harm() {
    let damages = std::env::var("RECANT_DAMAGES").ok();
    let damages = damages.map_or(DAMAGES, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, copy) = (folder.path().join("whole"), folder.path().join("copy"));
    let contents = fill(&whole);
    let files = files(&whole);
    assert!(files.len() >= 4, "{files:?}");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut refused: BTreeMap<&Path, usize> = BTreeMap::new();
    for number in 0..damages {
        // Small files get their turn, and the large one most of what is left.
        let file = &files[number % files.len()];
        copy_directory(&whole, &copy);
        let path = copy.join(file);
        let mut bytes = fs::read(&path).expect("readable");
        let bit = random.random_range(0..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).expect("written");
        let what = format!("bit {bit} of {}", file.display());
        let read = catch_unwind(AssertUnwindSafe(|| outcome(&copy)));
        match read.unwrap_or_else(|_| panic!("{what}: a panic instead of an error")) {
            Ok(read) => assert!(
                read == contents,
                "{what}: read without complaint, but different"
            ),
            Err(_) => *refused.entry(file).or_default() += 1,
        }
        fs::remove_dir_all(&copy).expect("removed");
    }
    println!(
        "{damages} flips in {} files; refused: {refused:?}",
        files.len()
    );
    assert!(!refused.is_empty(), "some must have hit something");
}
