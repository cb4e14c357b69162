//! The log: what is asked of the stream, each call with a time limit of its own.

use std::error::Error as _;
use std::time::Duration;

use async_nats::Client;
use async_nats::HeaderValue;
use async_nats::connection::State;
use async_nats::jetstream::context::{
    ContextBuilder, PublishError, PublishErrorKind, RequestErrorKind,
};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream as StreamHandle};
use async_nats::jetstream::{Context, Error as JetStreamError, ErrorCode};
use bytes::Bytes;
use recant_cluster::Incarnation;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::error::{AppendError, LogError, SetUpError};
use super::identity::{Continues, Identity};
use super::parts::{ENTRY_BYTES_MAX, Part, split};
use super::settings::LogSettings;
use super::stream_config::{compare, wanted};

/// How long a question may take. The servers' own limits are longer than a failover should be noticed in.
const CALL: Duration = Duration::from_secs(2);

/// How long an acknowledgement may take.
const APPEND: Duration = Duration::from_secs(5);

/// The header that says where whoever appended is reached.
const ADDRESS: &str = "Recant-Node";

/// A message of the stream: which part of an entry it is, if it is not a whole one, and what it says.
pub(crate) type Message = (Option<Part>, Bytes);

/// The log of one cluster.
#[derive(Clone)]
pub struct JetStreamLog {
    client: Client,
    calls: Context,
    appends: Context,
    stream: String,
    subject: String,
    incarnation: Incarnation,
    continues: Option<Continues>,
    /// Where whoever appends is reached.
    address: Option<HeaderValue>,
}

/// The sequences at both ends of the log. One that is empty begins behind its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The oldest entry that is there, or would be.
    pub first: u64,
    /// The newest entry there ever was: the tail.
    pub last: u64,
}

#[derive(Deserialize)]
struct StreamInfo {
    config: Value,
    state: StreamState,
    cluster: Option<StreamCluster>,
}

/// Who leads a stream that several servers keep.
#[derive(Deserialize)]
struct StreamCluster {
    #[serde(default)]
    leader: String,
}

#[derive(Deserialize)]
struct StreamState {
    first_seq: u64,
    last_seq: u64,
    bytes: u64,
}

/// How much of a log is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Bytes of what is in it.
    pub bytes: u64,
    /// Bytes that it takes at most.
    pub bytes_max: u64,
}

impl JetStreamLog {
    /// Makes the log `incarnation`; a name that holds another is an error, the same once more is not.
    pub async fn init(
        client: Client,
        settings: &LogSettings,
        incarnation: Incarnation,
    ) -> Result<Self, SetUpError> {
        let identity = Identity {
            incarnation,
            continues: None,
        };
        Self::make(client, settings, &identity).await
    }

    /// Makes the log `incarnation` in place of whatever holds the name, to go on after an entry that is in
    /// another one. Nothing of what was there can be read again.
    pub async fn replace(
        client: Client,
        settings: &LogSettings,
        incarnation: Incarnation,
        continues: Continues,
    ) -> Result<Self, SetUpError> {
        let calls = context(&client, CALL);
        let subject = format!("STREAM.DELETE.{}", settings.name.stream());
        match ask::<Value>(&calls, subject, &json!({})).await? {
            Ok(_) | Err((ErrorCode::STREAM_NOT_FOUND, _)) => {}
            Err((_, failed)) => return Err(LogError::Failed(failed).into()),
        }
        let identity = Identity {
            incarnation,
            continues: Some(continues),
        };
        Self::make(client, settings, &identity).await
    }

    async fn make(
        client: Client,
        settings: &LogSettings,
        identity: &Identity,
    ) -> Result<Self, SetUpError> {
        let calls = context(&client, CALL);
        let config = wanted(settings, identity);
        let stream = settings.name.stream();
        let subject = format!("STREAM.CREATE.{stream}");
        match ask::<StreamInfo>(&calls, subject, &config).await? {
            Ok(_) => {}
            Err((ErrorCode::STREAM_NAME_EXIST, _)) => return Err(SetUpError::Taken(stream)),
            Err((_, failed)) => return Err(LogError::Failed(failed).into()),
        }
        Self::open(client, settings).await
    }

    /// Opens the log that is there, if its stream is set as it has to be.
    pub async fn open(client: Client, settings: &LogSettings) -> Result<Self, SetUpError> {
        let calls = context(&client, CALL);
        let stream = settings.name.stream();
        let info = match info(&calls, &stream).await? {
            Ok(info) => info,
            Err((ErrorCode::STREAM_NOT_FOUND, _)) => return Err(SetUpError::Missing(stream)),
            Err((_, failed)) => return Err(LogError::Failed(failed).into()),
        };
        let Identity {
            incarnation,
            continues,
        } = compare(settings, &info.config)?;
        Ok(Self {
            appends: context(&client, APPEND),
            client,
            calls,
            stream,
            subject: settings.name.subject(),
            incarnation,
            continues,
            address: None,
        })
    }

    /// The same log for a node that is reached at `address`, which goes with everything that it appends.
    pub fn of(self, address: &str) -> Self {
        Self {
            address: Some(HeaderValue::from(address)),
            ..self
        }
    }

    /// Which log it is: one that was made anew has another.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The place in another log that it goes on after, if it was made anew.
    pub fn continues(&self) -> Option<&Continues> {
        self.continues.as_ref()
    }

    /// Appends an entry behind `tail` and nowhere else, and says its sequence when it is on the disks of a
    /// quorum: that of its last message, if it is longer than one. 5 s a message at most; then, and whenever
    /// an answer is missing, what became of it is open.
    pub async fn append(&self, tail: u64, payload: Bytes) -> Result<u64, AppendError> {
        let bytes = payload.len();
        if bytes > ENTRY_BYTES_MAX {
            return Err(AppendError::TooLong { bytes });
        }
        let mut tail = tail;
        for (part, payload) in split(&payload) {
            tail = self.append_message(tail, part, payload).await?;
        }
        Ok(tail)
    }

    async fn append_message(
        &self,
        tail: u64,
        part: Option<Part>,
        payload: Bytes,
    ) -> Result<u64, AppendError> {
        let bytes = payload.len();
        // What is sent without a connection would go out with the next one, whenever that is.
        if self.client.connection_state() != State::Connected {
            return Err(AppendError::Unreachable("no connection".to_owned()));
        }
        let mut publish = PublishMessage::build();
        if let Some(address) = &self.address {
            publish = publish.header(ADDRESS, address.clone());
        }
        if let Some(part) = part {
            let (name, value) = part.header();
            publish = publish.header(name, value);
        }
        let publish = publish
            .payload(payload)
            .expected_last_sequence(tail)
            .expected_stream(&self.stream);
        let acknowledged = async {
            let sent = self.appends.send_publish(self.subject.clone(), publish);
            sent.await?.await
        };
        let open = |what: String| Err(AppendError::Unknown(what));
        match timeout(APPEND, acknowledged).await {
            Err(_) => open(format!("no answer within {APPEND:?}")),
            Ok(Ok(ack)) if ack.sequence == tail + 1 => Ok(ack.sequence),
            Ok(Ok(ack)) => open(format!("sequence {} after {tail}", ack.sequence)),
            Ok(Err(error)) => Err(not_appended(&error, bytes)),
        }
    }

    /// The message at a sequence, if it is there: trimmed, or yet to come, it is not. Asked of the server that
    /// leads the stream; one that lost the lead and has not heard of it may not know the newest.
    pub async fn at(&self, sequence: u64) -> Result<Option<Bytes>, LogError> {
        let found = self.message(sequence).await?;
        Ok(found.map(|message| message.payload))
    }

    /// The same, with the part of an entry that it is.
    pub(crate) async fn part_at(&self, sequence: u64) -> Result<Option<Message>, LogError> {
        let found = self.message(sequence).await?;
        Ok(found.map(|message| (Part::of_message(&message.headers), message.payload)))
    }

    /// Where whoever appended last is reached: a node that leads, or claimed to. For a node that knows no
    /// other; nothing vouches for it but the certificate that is found there.
    pub async fn last_address(&self) -> Result<Option<String>, LogError> {
        let last = self.ends().await?.last;
        let found = self.message(last).await?;
        let address = found.and_then(|message| Some(message.headers.get(ADDRESS)?.to_string()));
        Ok(address)
    }

    async fn message(&self, sequence: u64) -> Result<Option<StreamMessage>, LogError> {
        let stream: StreamHandle<()> = self
            .calls
            .get_stream_no_info(&self.stream)
            .await
            .map_err(|error| LogError::Failed(error.to_string()))?;
        let found = within(stream.get_raw_message(sequence)).await?;
        match found {
            Ok(message) => Ok(Some(message)),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(told)
                    if told.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(LogError::Unreachable(error.to_string())),
            },
        }
    }

    /// Where the log begins and ends, with the reservation of [`Self::at`].
    pub async fn ends(&self) -> Result<Ends, LogError> {
        match info(&self.calls, &self.stream).await? {
            // A server that is left alone still tells what it knows.
            Ok(info) if info.cluster.as_ref().is_some_and(|it| it.leader.is_empty()) => Err(
                LogError::Unreachable("the log is led by no server".to_owned()),
            ),
            Ok(info) => Ok(ends(&info.state)),
            Err((ErrorCode::STREAM_NOT_FOUND, _)) => Err(LogError::Missing),
            Err((_, failed)) => Err(LogError::Failed(failed)),
        }
    }

    /// How much of the log is taken, with the reservation of [`Self::at`].
    pub async fn fill(&self) -> Result<Fill, LogError> {
        match info(&self.calls, &self.stream).await? {
            Ok(info) => Ok(Fill {
                bytes: info.state.bytes,
                bytes_max: info.config["max_bytes"].as_u64().unwrap_or(u64::MAX),
            }),
            Err((_, failed)) => Err(LogError::Failed(failed)),
        }
    }

    /// Drops the entries before a sequence. The tail stays where it is, even when nothing is left.
    pub async fn trim(&self, before: u64) -> Result<(), LogError> {
        // Asked to drop what is yet to come the engine would count it as been, and 0 means everything.
        let before = before.min(self.ends().await?.last + 1);
        if before <= 1 {
            return Ok(());
        }
        let subject = format!("STREAM.PURGE.{}", self.stream);
        let purged = ask::<Value>(&self.calls, subject, &json!({ "seq": before })).await?;
        purged.map(drop).map_err(|(_, it)| LogError::Failed(it))
    }

    /// For the reader: to make consumers with.
    pub(crate) fn calls(&self) -> &Context {
        &self.calls
    }

    /// For the reader: to make consumers of.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }
}

/// A stream that was never written to begins and ends at 0; the first entry of all is 1.
fn ends(state: &StreamState) -> Ends {
    Ends {
        first: state.first_seq.max(1),
        last: state.last_seq,
    }
}

fn context(client: &Client, limit: Duration) -> Context {
    ContextBuilder::new()
        .timeout(limit)
        .ack_timeout(limit)
        .build(client.clone())
}

/// The answer of a call, or its refusal with the code.
type Told<T> = Result<T, (ErrorCode, String)>;

async fn info(calls: &Context, stream: &str) -> Result<Told<StreamInfo>, LogError> {
    ask(calls, format!("STREAM.INFO.{stream}"), &json!({})).await
}

async fn ask<T>(calls: &Context, subject: String, asked: &Value) -> Result<Told<T>, LogError>
where
    T: serde::de::DeserializeOwned,
{
    match within(calls.request(subject, asked)).await? {
        Ok(Response::Ok(told)) => Ok(Ok(told)),
        Ok(Response::Err { error }) => Ok(Err((error.error_code(), error.to_string()))),
        Err(error) => Err(match error.kind() {
            RequestErrorKind::TimedOut => LogError::Silent(CALL),
            RequestErrorKind::Other => LogError::Failed(error.to_string()),
            _ => LogError::Unreachable(error.to_string()),
        }),
    }
}

async fn within<T>(call: impl IntoFuture<Output = T>) -> Result<T, LogError> {
    timeout(CALL, call.into_future())
        .await
        .map_err(|_| LogError::Silent(CALL))
}

/// What an answer, or none, says of an entry that was sent.
fn not_appended(error: &PublishError, bytes: usize) -> AppendError {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => return AppendError::Refused,
        // No server takes what is sent to the subject: none of them leads the stream.
        PublishErrorKind::StreamNotFound => {
            return AppendError::Unreachable("the log is led by no server".to_owned());
        }
        PublishErrorKind::MaxPayloadExceeded => return AppendError::TooLong { bytes },
        _ => {}
    }
    let source = error.source();
    let told = source.and_then(|it| it.downcast_ref::<JetStreamError>());
    let what = error.to_string();
    match told.map(JetStreamError::error_code) {
        Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT) => AppendError::Refused,
        Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) => AppendError::TooLong { bytes },
        Some(ErrorCode::STREAM_NOT_MATCH | ErrorCode::STREAM_SEALED) => AppendError::Rejected(what),
        Some(ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES) => {
            AppendError::Full(what)
        }
        // One code for the limits of the stream, found before anybody stores the entry, and for a store
        // that failed with it, beside which others may have it.
        Some(ErrorCode::STREAM_STORE_FAILED) if what.contains("maximum bytes exceeded") => {
            AppendError::Full(what)
        }
        _ => AppendError::Unknown(what),
    }
}
