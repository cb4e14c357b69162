//! Lines that may hold ids of people, on their way to a file of their owner's or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::CliError;

/// Where lines go: to a new file that nobody else may read, or to standard output.
pub(super) struct LineOutput {
    to: To,
    lines: u64,
}

enum To {
    /// A file that is removed again unless it is finished.
    File(PathBuf, BufWriter<File>),
    Stdout(BufWriter<io::Stdout>),
    /// A reader that went away, such as `head`: the lines go nowhere.
    Nobody,
}

impl LineOutput {
    /// Opens a new file at `path`; without one, and for `-`, standard output. What is there is never
    /// written over.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, CliError> {
        let to = match path.filter(|path| *path != Path::new("-")) {
            None => To::Stdout(BufWriter::new(io::stdout())),
            Some(path) => {
                let mut new = OpenOptions::new();
                new.write(true).create_new(true).mode(0o600);
                let file = new.open(path).map_err(|error| failed(path, &error))?;
                To::File(path.to_owned(), BufWriter::new(file))
            }
        };
        Ok(Self { to, lines: 0 })
    }

    /// Writes one line.
    pub(super) fn write(&mut self, line: &str) -> Result<(), CliError> {
        self.lines += 1;
        let written = match &mut self.to {
            To::File(_, file) => writeln!(file, "{line}"),
            To::Stdout(stdout) => writeln!(stdout, "{line}"),
            To::Nobody => Ok(()),
        };
        self.settle(written)
    }

    /// Sees to it that all lines are there, and on the disk; says how many there are.
    pub(super) fn finish(mut self) -> Result<u64, CliError> {
        let written = match &mut self.to {
            To::File(_, file) => file.flush().and_then(|()| {
                // What is written here may be erased from the store next.
                #[allow(clippy::disallowed_methods, reason = "no file of a store")]
                file.get_ref().sync_all()
            }),
            To::Stdout(stdout) => stdout.flush(),
            To::Nobody => Ok(()),
        };
        self.settle(written)?;
        self.to = To::Nobody;
        Ok(self.lines)
    }

    fn settle(&mut self, written: io::Result<()>) -> Result<(), CliError> {
        match (written, &self.to) {
            (Err(error), To::File(path, _)) => Err(failed(path, &error)),
            (Err(error), To::Stdout(_)) if error.kind() != ErrorKind::BrokenPipe => {
                Err(failed(Path::new("standard output"), &error))
            }
            (Err(_), _) => {
                self.to = To::Nobody;
                Ok(())
            }
            (Ok(()), _) => Ok(()),
        }
    }
}

impl Drop for LineOutput {
    /// Half a file would be taken for a whole one.
    fn drop(&mut self) {
        if let To::File(path, _) = &self.to {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::Failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_finished_file_is_its_owners_and_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lines");
        let mut output = LineOutput::open(Some(&path)).expect("a new file");
        output.write("one").expect("space");
        output.write("two").expect("space");
        assert_eq!(output.finish().expect("space"), 2);
        let text = std::fs::read_to_string(&path).expect("written");
        assert_eq!(text, "one\ntwo\n");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(LineOutput::open(Some(&path)).is_err());
        assert!(path.exists(), "what was there stays");
    }

    #[test]
    fn a_file_that_is_not_finished_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lines");
        let mut output = LineOutput::open(Some(&path)).expect("a new file");
        output.write("one").expect("space");
        drop(output);
        assert!(!path.exists());
    }
}
