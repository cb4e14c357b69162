//! Logs for tests, and what writes and reads them as a node does.

use std::time::{Duration, Instant};

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;
use recant_cluster::Incarnation;
use recant_jetstream::testing::NatsServers;
use recant_jetstream::{Access, JetStreamLog, LogName, LogSettings, SetUpError, connect};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Which log tests make.
pub(crate) const INCARNATION: Incarnation = Incarnation(Uuid::from_u128(0x5eed));

/// Where the test's stream is.
pub(crate) const STREAM: &str = "RECANT_test";

pub(crate) fn settings(replicas: usize) -> LogSettings {
    settings_with(replicas, 64 << 20, Duration::from_secs(604_800))
}

pub(crate) fn settings_with(replicas: usize, bytes: u64, age: Duration) -> LogSettings {
    let name = LogName::new("test").expect("a name");
    LogSettings::new(name, replicas, bytes, age).expect("settings")
}

/// A connection to all servers.
pub(crate) async fn client(servers: &NatsServers) -> Client {
    client_at(servers.urls()).await
}

pub(crate) async fn client_at(urls: String) -> Client {
    let access = Access {
        urls,
        ..Access::default()
    };
    connect(&access).await.expect("a connection")
}

/// A new log on all servers.
pub(crate) async fn new_log(servers: &NatsServers) -> JetStreamLog {
    new_log_with(servers, &settings(servers.count())).await
}

/// A new log, once enough servers have heard of one another to keep it.
pub(crate) async fn new_log_with(servers: &NatsServers, settings: &LogSettings) -> JetStreamLog {
    let client = client(servers).await;
    let started = Instant::now();
    loop {
        match JetStreamLog::init(client.clone(), settings, INCARNATION).await {
            Ok(log) => return log,
            Err(SetUpError::Log(error)) => {
                assert!(started.elapsed() < Duration::from_secs(60), "{error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// An entry that can be told from any other.
pub(crate) fn payload(writer: u64, number: u64) -> Bytes {
    let mut bytes = vec![0x5a; 256];
    bytes[..8].copy_from_slice(&writer.to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    Bytes::from(bytes)
}

/// What became of the appends of one writer.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Numbers of entries by sequence, from 1: what was acknowledged, or found to be in.
    pub(crate) entries: Vec<u64>,
    /// Appends that failed.
    pub(crate) errors: u64,
    /// Of these, how many were in all the same.
    pub(crate) found: u64,
    /// When each came through.
    pub(crate) times: Vec<Instant>,
}

/// The longest time between two entries that came through between two moments.
pub(crate) fn silence(times: &[Instant], from: Instant, to: Instant) -> Duration {
    let pauses = times.windows(2).filter(|two| two[1] > from && two[0] < to);
    pauses.map(|two| two[1] - two[0]).max().unwrap_or_default()
}

/// Appends as a leader does: one at a time, each behind the last; after an error the log says what became of it.
pub(crate) struct Writer {
    count: watch::Receiver<usize>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Account>,
}

impl Writer {
    pub(crate) fn start(log: JetStreamLog) -> Self {
        let (told, count) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut account = Account::default();
            while !*stopped.borrow() {
                write_one(&log, &mut account).await;
                account.times.push(Instant::now());
                told.send_replace(account.entries.len());
            }
            account
        });
        Self { count, stop, task }
    }

    /// Waits until so many more entries are in.
    pub(crate) async fn proceeds_by(&mut self, more: usize) {
        let before = *self.count.borrow();
        let reached = self.count.wait_for(|count| *count >= before + more);
        let reached = tokio::time::timeout(Duration::from_secs(90), reached).await;
        reached.expect("the log takes entries").expect("a writer");
    }

    /// How many are in.
    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    pub(crate) async fn stop(self) -> Account {
        self.stop.send_replace(true);
        self.task.await.expect("a writer")
    }
}

async fn write_one(log: &JetStreamLog, account: &mut Account) {
    let tail = account.entries.len() as u64;
    let entry = payload(1, tail);
    loop {
        let Err(_) = log.append(tail, entry.clone()).await else {
            break;
        };
        account.errors += 1;
        match what_is_at(log, tail + 1).await {
            Some(found) => {
                assert_eq!(found, entry, "another's entry at {}", tail + 1);
                account.found += 1;
                break;
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    account.entries.push(tail);
}

/// The entry at a sequence, asked until somebody answers.
async fn what_is_at(log: &JetStreamLog, sequence: u64) -> Option<Bytes> {
    loop {
        match log.at(sequence).await {
            Ok(found) => return found,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Reads from the first entry on, and checks that each is the next.
pub(crate) struct Reader {
    read: watch::Receiver<Vec<(u64, Instant)>>,
    task: JoinHandle<()>,
}

impl Reader {
    pub(crate) fn start(log: &JetStreamLog) -> Self {
        let (told, read) = watch::channel(Vec::new());
        let mut entries = Box::pin(log.read(1));
        let task = tokio::spawn(async move {
            while let Some(entry) = entries.next().await {
                let (sequence, bytes) = entry.expect("the log reads on");
                let number = bytes[8..16].try_into().expect("eight bytes");
                let read = (u64::from_be_bytes(number), Instant::now());
                told.send_modify(|all| {
                    all.push(read);
                    assert_eq!(sequence, all.len() as u64, "a gap, or an entry twice");
                });
            }
        });
        Self { read, task }
    }

    /// Waits until so many entries were read.
    pub(crate) async fn reaches(&mut self, length: usize) {
        let reached = self.read.wait_for(|read| read.len() >= length);
        let reached = tokio::time::timeout(Duration::from_secs(90), reached).await;
        let is_there = matches!(reached, Ok(Ok(_)));
        drop(reached);
        let read = self.read.borrow().len();
        assert!(is_there, "read {read} of {length}");
    }

    /// What was read and when.
    pub(crate) fn stop(self) -> (Vec<u64>, Vec<Instant>) {
        self.task.abort();
        let read = self.read.borrow().clone();
        read.into_iter().unzip()
    }
}
