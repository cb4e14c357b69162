//! The state of a node, on its way to one that joins.

use std::io::{self, Read, Write};

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use recant_cluster::Address;
use recant_replication::{PeerError, Peers, peer_uri};
use recant_store::Store;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, timeout};

/// Where the state is.
const PATH: &str = "/cluster/v1/state";

/// Bytes that are sent at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Pieces that wait to be sent.
const PIECES: usize = 8;

/// A node that was silent for so long while it sent its state is gone.
const SILENCE: Duration = Duration::from_secs(30);

type Piece = Result<Bytes, io::Error>;

/// What a node answers one that joins.
pub(super) fn routes(store: Store) -> Router {
    Router::new().route(PATH, get(send)).with_state(store)
}

async fn send(State(store): State<Store>) -> Body {
    let (pieces, sent) = mpsc::channel(PIECES);
    spawn_blocking(move || {
        let mut pieces = Pieces::new(pieces);
        let exported = store.export_state(&mut pieces);
        match exported {
            Ok(_) => {
                // Whoever asked may have gone away.
                let _ = pieces.flush();
            }
            Err(error) => {
                tracing::warn!(%error, "the state could not be sent to another node");
                // A body that ends with an error is not taken for a whole one.
                let _ = pieces.to.blocking_send(Err(io::Error::other("it failed")));
            }
        }
    });
    Body::from_stream(stream::unfold(sent, |mut sent| async move {
        Some((sent.recv().await?, sent))
    }))
}

/// Writes into pieces.
struct Pieces {
    to: mpsc::Sender<Piece>,
    begun: BytesMut,
}

impl Pieces {
    fn new(to: mpsc::Sender<Piece>) -> Self {
        Self {
            to,
            begun: BytesMut::with_capacity(PIECE_BYTES),
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if self.begun.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let piece = self.begun.split().freeze();
        let sent = self.to.blocking_send(Ok(piece));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// Asks a node for its state. What is read off it blocks.
pub(super) async fn ask(peers: &Peers, node: &Address) -> Result<StateReader, PeerError> {
    let request = Request::builder()
        .uri(peer_uri(node, PATH)?)
        .body(Body::empty());
    let request = request.map_err(|error| PeerError::Unreachable(error.to_string()))?;
    let answer = peers.send(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(PeerError::Status(answer.status()));
    }
    Ok(StateReader {
        body: answer.into_body().into_data_stream(),
        piece: Bytes::new(),
        runtime: Handle::current(),
    })
}

/// The state as it arrives, to be read on a thread that may block.
pub(super) struct StateReader {
    body: BodyDataStream,
    piece: Bytes,
    runtime: Handle,
}

impl Read for StateReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let next = self.runtime.block_on(timeout(SILENCE, self.body.next()));
            match next {
                Ok(Some(piece)) => self.piece = piece.map_err(io::Error::other)?,
                Ok(None) => return Ok(0),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        let length = into.len().min(self.piece.len());
        into[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}
