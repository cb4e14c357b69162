//! Files of text that commands are given; `-` is standard input.

use std::io::Read;
use std::path::Path;

use super::error::CliError;
use recant_import::text_lines;

/// What the file at `path` says, in UTF-8.
pub(super) fn text(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = open(path).and_then(|mut file| file.read_to_string(&mut text));
    read.map(|_| text).map_err(|error| wrong(path, error))
}

/// The lines of the file at `path` that say something, with their numbers from 1. A byte order mark is no
/// part of them, and UTF-16 is read.
pub(super) fn lines(path: &Path) -> Result<Vec<(u64, String)>, CliError> {
    let mut bytes = Vec::new();
    let read = open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|error| wrong(path, error))?;
    text_lines(bytes).map_err(|error| wrong(path, error))
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    Ok(Box::new(std::fs::File::open(path)?))
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> CliError {
    CliError::Usage(format!("{}: {reason}", path.display()))
}
