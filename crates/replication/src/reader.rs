//! The entries of the log, from where the store stands.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use recant_jetstream::{JetStreamLog, ReadError};

type Entries = Pin<Box<dyn Stream<Item = Result<(u64, Bytes), ReadError>> + Send>>;

pub(crate) struct LogReader {
    log: JetStreamLog,
    entries: Entries,
}

impl LogReader {
    pub(crate) fn new(log: JetStreamLog, from: u64) -> Self {
        let entries = Box::pin(log.read(from));
        Self { log, entries }
    }

    /// The next entry, for which it waits as long as it takes. After an error there is none any more.
    pub(crate) async fn next(&mut self) -> Result<(u64, Bytes), ReadError> {
        match self.entries.next().await {
            Some(read) => read,
            // What was wrong was said.
            None => std::future::pending().await,
        }
    }

    /// Reads anew from a sequence on.
    pub(crate) fn read_from(&mut self, sequence: u64) {
        self.entries = Box::pin(self.log.read(sequence));
    }
}
