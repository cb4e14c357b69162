//! Files of one text a line, such as ids, that commands are given.

use std::io::Read;
use std::path::Path;

use super::error::CliError;
use recant_import::text_lines;

/// The lines of the file at `path` that say something, with their numbers from 1; `-` is standard input.
/// A byte order mark is no part of them, and UTF-16 is read.
pub(super) fn lines(path: &Path) -> Result<Vec<(u64, String)>, CliError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    let wrong = |reason: String| CliError::Usage(format!("{}: {reason}", path.display()));
    read.map_err(|error| wrong(error.to_string()))?;
    text_lines(bytes).map_err(|error| wrong(error.to_string()))
}
