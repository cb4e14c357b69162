//! How long an append takes, shown and not judged.

use std::time::{Duration, Instant};

use recant_jetstream::testing::NatsServers;

use super::support::{Reader, new_log, payload};

const ENTRIES: u64 = 500;

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_one_by_one_are_read_as_they_come() {
    let Some(servers) = NatsServers::start(3) else {
        return;
    };
    let log = new_log(&servers).await;
    let mut reader = Reader::start(&log);
    let (mut sent, mut took) = (Vec::new(), Vec::new());
    for number in 0..ENTRIES {
        let started = Instant::now();
        assert_eq!(log.append(number, payload(1, number)).await, Ok(number + 1));
        sent.push(started);
        took.push(started.elapsed());
    }
    reader.reaches(sent.len()).await;
    let (numbers, read) = reader.stop();
    assert!(numbers.iter().copied().eq(0..ENTRIES));
    let delivered = read.iter().zip(&sent).map(|(read, sent)| *read - *sent);
    let mut delivered: Vec<_> = delivered.collect();
    println!(
        "R3, 256 B: acknowledged p50 {:?} p99 {:?}, read p50 {:?} p99 {:?}",
        percentile(&mut took, 50),
        percentile(&mut took, 99),
        percentile(&mut delivered, 50),
        percentile(&mut delivered, 99),
    );
}
