//! The configuration: what it says, who may read it, and whether what it names is there.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use recant_http::{ApiKeys, Settings};
use recant_store::MasterKeySource;

/// What was seen of the configuration.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// What is wrong with it, when it is refused.
    pub(crate) refused: Option<String>,
    /// What it says; what is built in when it is refused.
    pub(crate) settings: Settings,
    /// The file.
    pub(crate) file: Option<FileSeen>,
    /// Whether there is an API key that lets somebody in, or why the keys made while serving cannot be used.
    pub(crate) has_api_key: Result<bool, String>,
    /// The master key.
    pub(crate) master: Master,
    /// Whether the address can be listened on; `None` when a server has the store open, and most
    /// likely the address.
    pub(crate) address: Option<Address>,
}

/// A file and the rights on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSeen {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The permission bits.
    pub(crate) mode: u32,
    /// The number of the device it is on.
    pub(crate) device: u64,
}

impl FileSeen {
    fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
            device: metadata.dev(),
        })
    }
}

/// Where the master key is, and whether it is there.
#[derive(Debug)]
pub(crate) enum Master {
    /// In the store's directory.
    Beside,
    /// A file, or why it cannot be seen; and the device that the data are on.
    File(PathBuf, Result<FileSeen, String>, Option<u64>),
    /// An environment variable, and whether it is set here.
    Environment(String, bool),
    /// A command.
    Command,
}

impl Master {
    fn gather(source: &MasterKeySource, data_dir: &Path) -> Self {
        match source {
            MasterKeySource::Beside => Self::Beside,
            MasterKeySource::File(path) => Self::File(
                path.clone(),
                FileSeen::at(path).map_err(|error| error.to_string()),
                fs::metadata(data_dir).ok().map(|data| data.dev()),
            ),
            MasterKeySource::Environment(name) => Self::Environment(
                name.clone(),
                std::env::var_os(name).is_some_and(|value| !value.is_empty()),
            ),
            MasterKeySource::Command(_) => Self::Command,
        }
    }

    /// Whether whoever takes the disk of `data_dir` has it, too.
    pub(crate) fn is_beside(&self, data_dir: &Path) -> bool {
        match self {
            Self::Beside => true,
            Self::File(path, seen, device) => {
                path.starts_with(data_dir)
                    || seen.as_ref().is_ok_and(|seen| Some(seen.device) == *device)
            }
            Self::Environment(..) | Self::Command => false,
        }
    }
}

/// Whether an address can be listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// It is free, or any free port is taken.
    Free,
    /// Somebody listens there.
    InUse,
    /// The system says this.
    Refused(String),
}

impl Address {
    fn gather(listen: &str) -> Self {
        match TcpListener::bind(listen) {
            Ok(_) => Self::Free,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Self::InUse,
            Err(error) => Self::Refused(error.to_string()),
        }
    }
}

impl Configuration {
    /// Looks at what settings name. `refused` says why they are not what the configuration says.
    pub(crate) fn gather(
        settings: Settings,
        refused: Option<String>,
        file: Option<&Path>,
        master: &MasterKeySource,
        is_served: bool,
    ) -> Self {
        Self {
            refused,
            file: file.and_then(|path| FileSeen::at(path).ok()),
            has_api_key: ApiKeys::open(&settings)
                .map(|keys| keys.has_usable())
                .map_err(|error| error.to_string()),
            master: Master::gather(master, &settings.store.data_dir),
            address: (!is_served).then(|| Address::gather(&settings.server.listen)),
            settings,
        }
    }
}
