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
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CliError;
use super::answers::{BackupAnswer, CompactAnswer};
use recant_store::Store;

/// Longest request line.
const REQUEST_BYTES_MAX: u64 = 16 * 1024;

/// How long a caller may take to send its line.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);

/// What a server with an open store can be asked to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(super) enum Request {
    Compact,
    Backup { to: PathBuf },
}

/// The address of the server that has the store in `data_dir` open.
fn address(data_dir: &Path) -> io::Result<SocketAddr> {
    let directory = std::fs::metadata(data_dir)?;
    let name = format!("recant-control-{:x}-{:x}", directory.dev(), directory.ino());
    SocketAddr::from_abstract_name(name)
}

/// Refuses a process of another user.
fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let (peer, own) = (socket_peercred(stream)?.uid, geteuid());
    match peer == own || peer.is_root() {
        true => Ok(()),
        false => Err(io::Error::other("the other side is another user's process")),
    }
}

/// Listens until it is dropped, which waits for a request under way.
pub(super) struct ControlServer {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Starts to listen for the store in `data_dir`. Without a socket the server does well, too: it
    /// only cannot be asked.
    pub(super) fn start(data_dir: &Path, store: Store) -> Option<Self> {
        let bound = address(data_dir).and_then(|address| {
            let listener = UnixListener::bind_addr(&address)?;
            Ok((address, listener))
        });
        let (address, listener) = match bound {
            Ok(bound) => bound,
            Err(error) => {
                tracing::warn!(%error, "no control socket: backup and compact need a stopped server");
                return None;
            }
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name(String::from("recant-control"))
            .spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    if let Ok(stream) = stream {
                        serve(&store, stream);
                    }
                }
            });
        let thread = thread.ok();
        thread.is_some().then_some(Self {
            address,
            stopping,
            thread,
        })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread, which waits for a caller.
        let woken = UnixStream::connect_addr(&self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken)
            && thread.join().is_err()
        {
            tracing::error!("the control thread panicked");
        }
    }
}

fn serve(store: &Store, mut stream: UnixStream) {
    let request = check_peer(&stream).map_err(CliError::failed);
    let request = request.and_then(|()| read_request(&stream));
    let answer = request.and_then(|request| carry_out(store, request));
    let answer = match answer {
        Ok(answer) => serde_json::json!({ "ok": answer }),
        Err(error) => serde_json::json!({ "error": error.to_string() }),
    };
    // A caller who has gone away does not want to know.
    let _ = writeln!(stream, "{answer}");
}

fn read_request(stream: &UnixStream) -> Result<Request, CliError> {
    stream
        .set_read_timeout(Some(REQUEST_PATIENCE))
        .map_err(CliError::failed)?;
    let mut line = String::new();
    let mut reader = BufReader::new(std::io::Read::take(stream, REQUEST_BYTES_MAX));
    reader.read_line(&mut line).map_err(CliError::failed)?;
    serde_json::from_str(&line).map_err(CliError::failed)
}

fn carry_out(store: &Store, request: Request) -> Result<Value, CliError> {
    let answer = match request {
        Request::Compact => {
            let compaction = store.compact().map_err(CliError::failed)?;
            serde_json::to_value(CompactAnswer::from(compaction))
        }
        Request::Backup { to } => {
            let summary = store.backup(&to).map_err(CliError::failed)?;
            serde_json::to_value(BackupAnswer::from(summary))
        }
    };
    answer.map_err(CliError::failed)
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
