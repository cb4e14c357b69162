//! The directory of a store: whether it is there, whose it is, what lies in it.

use std::io;
use std::path::{Path, PathBuf};

use recant_store::{Layout, StoreError, layout};
use rustix::process::geteuid;

/// What was seen of the directory.
#[derive(Debug)]
pub(crate) struct Directory {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What lies in it, or why that cannot be seen.
    pub(crate) layout: Result<Layout, Unseen>,
    /// The number of the user who looks.
    pub(crate) user: u32,
}

/// Why a directory cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// There is none.
    Missing,
    /// There is something else.
    NoDirectory,
    /// The system, or the store, says this.
    Refused(String),
}

impl Directory {
    /// Looks at the directory `path`.
    pub(crate) fn gather(path: &Path) -> Self {
        let layout = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                layout(path).map_err(|error: StoreError| Unseen::Refused(error.to_string()))
            }
            Ok(_) => Err(Unseen::NoDirectory),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Unseen::Missing),
            Err(error) => Err(Unseen::Refused(error.to_string())),
        };
        Self {
            path: path.to_owned(),
            layout,
            user: geteuid().as_raw(),
        }
    }

    /// Whether there is a directory.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.layout, Err(Unseen::Missing | Unseen::NoDirectory))
    }
}
