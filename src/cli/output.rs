//! What a command says, on stdout and stderr.

use std::io::{self, Write};

use serde::Serialize;

use super::error::CliError;

/// Writes `text` to stdout. A reader that has gone away, such as `head`, is no failure.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Failed(format!(
            "cannot write to stdout: {error}: free some space or name another output"
        ))),
        _ => Ok(()),
    }
}

/// Writes `answer` to stdout as one line of JSON.
pub(super) fn print_json(answer: &impl Serialize) -> Result<(), CliError> {
    print(&(serde_json::to_string(answer).map_err(CliError::failed)? + "\n"))
}

/// Writes one line about work under way to stderr. Nothing depends on its being read.
pub(super) fn print_note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes one line to stderr, whatever becomes of it: there is nowhere left to complain.
pub(super) fn print_error(message: &str) {
    let line = message.lines().collect::<Vec<_>>().join(" ");
    let _ = writeln!(io::stderr().lock(), "recant: {line}");
}
