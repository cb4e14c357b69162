//! Disks that are older than what was acknowledged.

use futures_util::StreamExt;
use recant_jetstream::testing::NatsServers;
use recant_jetstream::{JetStreamLog, LogError, ReadError};

use super::support::{STREAM, client, new_log, payload, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_went_back_ends_before_what_was_seen() {
    let Some(mut servers) = NatsServers::start(3) else {
        return;
    };
    let log = new_log(&servers).await;
    for number in 0..10 {
        assert_eq!(log.append(number, payload(1, number)).await, Ok(number + 1));
    }
    servers.kill_all();
    let copies: Vec<_> = (0..3).map(|at| servers.server(at).copy_store()).collect();
    servers.start_again();
    servers.leader_of(STREAM);
    let log = JetStreamLog::open(client(&servers).await, &settings(3)).await;
    let log = log.expect("the log");
    let mut reader = Box::pin(log.read(1));
    for number in 10..30 {
        log.append(number, payload(1, number)).await.expect("in");
    }
    for number in 0..30 {
        let read = reader.next().await.expect("an entry");
        assert_eq!(read, Ok((number + 1, payload(1, number))));
    }
    let seen = log.ends().await.expect("an answer").last;
    assert_eq!(seen, 30);

    servers.kill_all();
    for (at, copy) in copies.iter().enumerate() {
        servers.server(at).put_back(copy);
    }
    servers.start_again();
    servers.leader_of(STREAM);
    // The reader says so, once it no longer can be an error of whoever answers.
    let (wanted, last) = (31, 10);
    let told = reader.next().await;
    assert_eq!(told, Some(Err(ReadError::WentBack { wanted, last })));
    assert_eq!(reader.next().await, None);
    let ends = log.ends().await.expect("an answer");
    assert_eq!((ends.first, ends.last), (1, 10));
}

/// Somebody deletes the stream: nothing is left of what was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_deleted_went_back() {
    let Some(servers) = NatsServers::start(3) else {
        return;
    };
    let log = new_log(&servers).await;
    let mut reader = Box::pin(log.read(1));
    for number in 0..3 {
        log.append(number, payload(1, number)).await.expect("in");
        let read = reader.next().await.expect("an entry");
        assert_eq!(read, Ok((number + 1, payload(1, number))));
    }
    let context = async_nats::jetstream::new(client(&servers).await);
    context.delete_stream(STREAM).await.expect("deleted");
    let (wanted, last) = (4, 0);
    let told = reader.next().await;
    assert_eq!(told, Some(Err(ReadError::WentBack { wanted, last })));
    assert_eq!(log.ends().await, Err(LogError::Missing));
}
