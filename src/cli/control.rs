//! How commands reach a server that has the store open: a Unix socket without a file.
//!
//! It is abstract (unix(7)), so that the data directory holds nothing but files, which whoever
//! copies or searches it can read. Its name follows from the directory's device and inode. Such a
//! socket has no permissions, so each side asks the kernel who the other one is and speaks only to
//! its own user or to root, who may do with the store what they like anyway. A request and its
//! answer are a line of JSON each.

use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::CliError;

/// What a server with an open store can be asked to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(super) enum Request {
    Compact,
    Backup { to: PathBuf },
}

/// The address of the server that has the store in `data_dir` open.
pub(super) fn address(data_dir: &Path) -> io::Result<SocketAddr> {
    let directory = std::fs::metadata(data_dir)?;
    let name = format!("recant-control-{:x}-{:x}", directory.dev(), directory.ino());
    SocketAddr::from_abstract_name(name)
}

/// Refuses a process of another user.
pub(super) fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let (peer, own) = (socket_peercred(stream)?.uid, geteuid());
    if peer == own || peer.is_root() {
        return Ok(());
    }
    Err(io::Error::other("the other side is another user's process"))
}

/// Asks the server that has the store in `data_dir` open.
pub(super) fn ask<T: for<'de> Deserialize<'de>>(
    data_dir: &Path,
    request: &Request,
) -> Result<T, CliError> {
    let stream = address(data_dir).and_then(|address| {
        let stream = UnixStream::connect_addr(&address)?;
        check_peer(&stream).map(|()| stream)
    });
    let mut stream = stream.map_err(|error| {
        CliError::Failed(format!(
            "{} is in use by a process that cannot be asked ({error}): stop it first",
            data_dir.display()
        ))
    })?;
    let line = serde_json::to_string(request).map_err(CliError::failed)?;
    writeln!(stream, "{line}").map_err(CliError::failed)?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .map_err(CliError::failed)?;
    let mut answer: Value = serde_json::from_str(&answer)
        .map_err(|_| CliError::Failed(String::from("the server went away: look at its log")))?;
    if let Some(error) = answer["error"].as_str() {
        return Err(CliError::Failed(error.to_owned()));
    }
    serde_json::from_value(answer["ok"].take()).map_err(CliError::failed)
}
