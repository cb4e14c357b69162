//! The server's end of the control socket: answers commands on the open store.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::backup::BackupAnswer;
use super::compact::CompactAnswer;
use super::control::{Request, address, check_peer};
use super::error::CliError;
use recant_store::Store;

/// Longest request line.
const REQUEST_BYTES_MAX: u64 = 16 * 1024;

/// How long a caller may take to send its line.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);

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
