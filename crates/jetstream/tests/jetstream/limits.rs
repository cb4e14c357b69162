//! A log that is full, entries that are too long, a log that is trimmed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use recant_jetstream::testing::NatsServers;
use recant_jetstream::{AppendError, ENTRY_BYTES_MAX, ReadError};

use super::support::{new_log, new_log_with, payload, settings_with};

const ENTRY_BYTES: usize = 768 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_says_so_until_it_is_trimmed() {
    let Some(servers) = NatsServers::start(3) else {
        return;
    };
    let settings = settings_with(3, 16 << 20, Duration::from_secs(3_600));
    let log = new_log_with(&servers, &settings).await;
    let entry = Bytes::from(vec![7; ENTRY_BYTES]);
    let mut tail = 0;
    let full = loop {
        match log.append(tail, entry.clone()).await {
            Ok(sequence) => tail = sequence,
            Err(error) => break error,
        }
        assert!(tail < 100, "more than fits");
    };
    assert!(matches!(full, AppendError::Full(_)), "{full:?}");
    let held = usize::try_from(tail).expect("a small number") * ENTRY_BYTES;
    assert!(
        held > (16 << 20) - 2 * ENTRY_BYTES,
        "{held} bytes are not full"
    );
    assert_eq!(log.at(tail + 1).await, Ok(None), "it is not in");
    let ends = log.ends().await.expect("an answer");
    assert_eq!((ends.first, ends.last), (1, tail), "nothing was dropped");
    let fill = log.fill().await.expect("an answer");
    assert_eq!(fill.bytes_max, 16 << 20);
    assert!(fill.bytes > held as u64 && fill.bytes <= fill.bytes_max);

    log.trim(5).await.expect("a trimmed log");
    let trimmed = log.fill().await.expect("an answer");
    let entries = 4 * ENTRY_BYTES as u64;
    assert!(fill.bytes - trimmed.bytes >= entries, "{trimmed:?}");
    assert_eq!(log.append(tail, entry).await, Ok(tail + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_longer_than_a_message_is_read_whole_from_wherever_reading_begins() {
    let Some(servers) = NatsServers::start(3) else {
        return;
    };
    let log = new_log(&servers).await.of("http://127.0.0.1:8081");
    let bytes: Vec<u8> = (0..3 * ENTRY_BYTES + 5)
        .map(|at| (at % 251) as u8)
        .collect();
    let long = Bytes::from(bytes);
    assert_eq!(log.append(0, payload(1, 0)).await, Ok(1));
    assert_eq!(log.append(1, long.clone()).await, Ok(5));
    // Another's append between two parts: what was begun is nobody's.
    let behind = log.append(4, long.clone()).await;
    assert_eq!(behind, Err(AppendError::Refused));
    assert_eq!(log.append(5, payload(1, 1)).await, Ok(6));
    for from in 1..=6 {
        let read = log.read(from).take(7 - from as usize);
        let read: Vec<_> = read.map(|it| it.expect("an entry")).collect().await;
        for (sequence, entry) in read {
            let wanted = match sequence {
                1 => payload(1, 0),
                5 => long.clone(),
                6 => payload(1, 1),
                _ => Bytes::new(),
            };
            assert!(entry == wanted, "at {sequence}, read from {from}");
        }
    }
    let bytes = ENTRY_BYTES_MAX + 1;
    let long = log.append(6, Bytes::from(vec![7; bytes])).await;
    assert_eq!(long, Err(AppendError::TooLong { bytes }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimming_leaves_the_tail_and_the_condition_as_they_are() {
    let Some(servers) = NatsServers::start(3) else {
        return;
    };
    let log = new_log(&servers).await;
    for number in 0..20 {
        assert_eq!(log.append(number, payload(1, number)).await, Ok(number + 1));
    }
    // Nothing, a part, all, and more than all.
    for (before, first) in [(0, 1), (1, 1), (11, 11), (11, 11), (21, 21), (1_000, 21)] {
        log.trim(before).await.expect("a trimmed log");
        let ends = log.ends().await.expect("an answer");
        assert_eq!((ends.first, ends.last), (first, 20), "before {before}");
        let behind = log.append(19, payload(2, 19)).await;
        assert_eq!(behind, Err(AppendError::Refused));
    }
    assert_eq!(log.at(10).await, Ok(None));
    let trimmed = Box::pin(log.read(10)).next().await;
    let (wanted, first) = (10, 21);
    assert_eq!(trimmed, Some(Err(ReadError::Trimmed { wanted, first })));

    let mut reader = Box::pin(log.read(21));
    assert_eq!(log.append(20, payload(1, 20)).await, Ok(21));
    assert_eq!(reader.next().await, Some(Ok((21, payload(1, 20)))));
}
