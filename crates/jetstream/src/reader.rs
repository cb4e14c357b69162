//! Reading on and on, whatever happens to the servers.
//!
//! A consumer lives on one server, and goes with it, hangs with it, or lags behind with it. So nothing is
//! taken from its word: an entry counts when its sequence is the next, and when a consumer has said nothing
//! for a second the server that leads the stream is asked. What that has the consumer should have
//! delivered: a new one is made.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use super::error::{LogError, ReadError};
use super::log::{Ends, JetStreamLog, Message};
use super::parts::{Assembly, Part};

/// How long one request to a consumer stands.
const REQUEST: Duration = Duration::from_secs(1);

/// How long a consumer may take to say that it has nothing: until the request ends, and a little.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Entries a request asks for: of the largest kind they are 64 MiB.
const REQUEST_ENTRIES: usize = 64;

/// How long the servers keep a consumer that nobody asks.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Before servers that do not answer are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the log must look as if it had lost something before that is believed. A server that led the
/// stream and was cut off, or stopped, answers from what it knows until it has heard better, which takes
/// up to 10 s.
const DOUBT: Duration = Duration::from_secs(15);

/// A sequence, and what is there.
type Entry = (u64, Bytes);

/// The same of a message, which may be a part of an entry.
type Found = (u64, Message);

impl JetStreamLog {
    /// Entries from `from` on, each the next of the one before, as they come. Of an entry that is longer than
    /// a message the last one tells, and those before are told as empty. It ends after an error; servers that
    /// do not answer are none, they are asked until they do.
    pub fn read(
        &self,
        from: u64,
    ) -> impl Stream<Item = Result<(u64, Bytes), ReadError>> + Send + use<> {
        let reader = Reader {
            log: self.clone(),
            next: from.max(1),
            assembly: Assembly::default(),
            is_asking: false,
            consumer: None,
            request: None,
            doubted: None,
        };
        stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.next_entry().await {
                Ok(entry) => Some((Ok(entry), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

struct Reader {
    log: JetStreamLog,
    next: u64,
    assembly: Assembly,
    /// Whether entries are asked for one by one: the consumer lags, and what it lags by is read first.
    is_asking: bool,
    consumer: Option<Consumer<Config>>,
    request: Option<Request>,
    /// Since when the log looks as if it had lost something.
    doubted: Option<Instant>,
}

/// One request to the consumer, and whether it has brought anything.
struct Request {
    batch: Batch,
    brought: bool,
}

/// What came of listening to the consumer.
enum Heard {
    Entry(Found),
    /// A request ended, and another can follow.
    End {
        brought: bool,
    },
    /// It is gone, or as good as gone.
    Lost,
}

impl Reader {
    async fn next_entry(&mut self) -> Result<Entry, ReadError> {
        let (part, payload) = self.next_message().await?;
        let sequence = self.next;
        // Where reading begins within an entry.
        for back in (1..=self.assembly.lacks(part)).rev() {
            match self.message_before(sequence, back as u64).await {
                Some((part, payload)) => drop(self.assembly.take(part, payload)),
                None => break,
            }
        }
        self.next += 1;
        self.doubted = None;
        Ok((sequence, self.assembly.take(part, payload)))
    }

    /// A message that was there before another; nothing when it was trimmed.
    async fn message_before(&self, sequence: u64, back: u64) -> Option<Message> {
        let wanted = sequence.checked_sub(back)?;
        loop {
            match self.log.part_at(wanted).await {
                Ok(found) => return found,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn next_message(&mut self) -> Result<Message, ReadError> {
        loop {
            if !self.is_asking {
                match self.listen().await {
                    Heard::Entry((sequence, message)) if sequence == self.next => {
                        return Ok(message);
                    }
                    // Found by asking, meanwhile.
                    Heard::Entry((sequence, _)) if sequence < self.next => continue,
                    Heard::End { brought: true } => continue,
                    Heard::End { brought: false } => {}
                    Heard::Entry(_) | Heard::Lost => self.give_up_consumer(),
                }
            }
            match self.look().await {
                Ok(Some(message)) => {
                    self.give_up_consumer();
                    self.is_asking = true;
                    return Ok(message);
                }
                Ok(None) if self.is_asking => self.is_asking = false,
                Ok(None) if self.consumer.is_some() => {}
                Ok(None) | Err(Looked::Unanswered) => sleep(PAUSE).await,
                Err(Looked::Lost(error)) => return Err(error),
            }
        }
    }

    fn give_up_consumer(&mut self) {
        self.request = None;
        self.consumer = None;
    }

    async fn listen(&mut self) -> Heard {
        if self.request.is_none() {
            match self.ask_consumer().await {
                Some(batch) => {
                    let brought = false;
                    self.request = Some(Request { batch, brought });
                }
                None => return Heard::Lost,
            }
        }
        let Some(request) = &mut self.request else {
            return Heard::Lost;
        };
        let Ok(said) = timeout(SILENCE, request.batch.next()).await else {
            return Heard::Lost;
        };
        match said {
            Some(Ok(message)) => {
                request.brought = true;
                let sequence = message.info().map(|info| info.stream_sequence);
                let part = message.message.headers.as_ref();
                let part = part.and_then(Part::of_message);
                match sequence {
                    Ok(sequence) => Heard::Entry((sequence, (part, message.message.payload))),
                    Err(_) => Heard::Lost,
                }
            }
            Some(Err(_)) => Heard::Lost,
            None => {
                let brought = request.brought;
                self.request = None;
                Heard::End { brought }
            }
        }
    }

    /// A new request to the consumer, which is made if there is none.
    async fn ask_consumer(&mut self) -> Option<Batch> {
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => self.make_consumer().await?,
        };
        let consumer = self.consumer.insert(consumer);
        let request = consumer.batch();
        let request = request.max_messages(REQUEST_ENTRIES).expires(REQUEST);
        timeout(SILENCE, request.messages()).await.ok()?.ok()
    }

    async fn make_consumer(&self) -> Option<Consumer<Config>> {
        let config = Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.next,
            },
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN,
            num_replicas: 1,
            memory_storage: true,
            ..Config::default()
        };
        let (calls, stream) = (self.log.calls(), self.log.stream());
        let made = calls.create_consumer_on_stream(config, stream);
        timeout(SILENCE, made).await.ok()?.ok()
    }

    /// What the server that leads the stream has next.
    async fn look(&mut self) -> Result<Option<Message>, Looked> {
        let ends = match self.log.ends().await {
            // What is not there holds nothing of what was read.
            Err(LogError::Missing) => Ends { first: 1, last: 0 },
            ends => ends?,
        };
        if (ends.first..=ends.last).contains(&self.next)
            && let Some(message) = self.log.part_at(self.next).await?
        {
            return Ok(Some(message));
        }
        let Some(lost) = lost(self.next, ends) else {
            self.doubted = None;
            return Ok(None);
        };
        // What was trimmed does not come back; the rest may be an error of whoever answers.
        let since = *self.doubted.get_or_insert_with(Instant::now);
        if matches!(lost, ReadError::Trimmed { .. }) || since.elapsed() >= DOUBT {
            return Err(Looked::Lost(lost));
        }
        Err(Looked::Unanswered)
    }
}

/// Why looking found nothing.
enum Looked {
    Lost(ReadError),
    Unanswered,
}

impl From<LogError> for Looked {
    fn from(_: LogError) -> Self {
        Self::Unanswered
    }
}

/// What is wrong with a log with these ends that does not have the entry `wanted`.
fn lost(wanted: u64, ends: Ends) -> Option<ReadError> {
    let Ends { first, last } = ends;
    if wanted < first {
        Some(ReadError::Trimmed { wanted, first })
    } else if wanted <= last {
        Some(ReadError::Hole { wanted })
    } else if wanted > last + 1 {
        Some(ReadError::WentBack { wanted, last })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_entry_behind_the_tail_may_be_missing() {
        let ends = Ends { first: 5, last: 9 };
        assert_eq!(lost(10, ends), None);
        let trimmed = ReadError::Trimmed {
            wanted: 4,
            first: 5,
        };
        assert_eq!(lost(4, ends), Some(trimmed));
        assert_eq!(lost(5, ends), Some(ReadError::Hole { wanted: 5 }));
        assert_eq!(lost(9, ends), Some(ReadError::Hole { wanted: 9 }));
        let back = ReadError::WentBack {
            wanted: 11,
            last: 9,
        };
        assert_eq!(lost(11, ends), Some(back));
        // An empty log that was trimmed whole, and one that was never written to.
        let (empty, new) = (Ends { first: 10, last: 9 }, Ends { first: 1, last: 0 });
        assert_eq!(lost(10, empty), None);
        assert_eq!(lost(1, new), None);
    }
}
