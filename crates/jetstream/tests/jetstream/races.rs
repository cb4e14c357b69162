//! Two who name the same tail.

use recant_cluster::Appended;
use recant_jetstream::testing::NatsServers;
use recant_jetstream::{AppendError, JetStreamLog};

use super::support::{client, new_log, payload, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_append_behind_one_tail_exactly_one_wins() {
    let Some(servers) = NatsServers::start(3) else {
        return;
    };
    let first = new_log(&servers).await;
    let other = JetStreamLog::open(client(&servers).await, &settings(3)).await;
    let second = other.expect("the same log");
    for round in 0..200 {
        let (one, two) = tokio::join!(
            first.append(round, payload(1, round)),
            second.append(round, payload(2, round)),
        );
        let winner = match (&one, &two) {
            (Ok(sequence), Err(AppendError::Refused)) => (*sequence, 1),
            (Err(AppendError::Refused), Ok(sequence)) => (*sequence, 2),
            _ => panic!("round {round}: {one:?}, {two:?}"),
        };
        assert_eq!(winner.0, round + 1);
        let there = first.at(round + 1).await.expect("an answer");
        assert_eq!(there, Some(payload(winner.1, round)), "round {round}");
    }
    let ends = first.ends().await.expect("an answer");
    assert_eq!((ends.first, ends.last), (1, 200));
    let address = || async { first.last_address().await.expect("an answer") };
    assert_eq!(address().await, None);
    let reached = "https://n1.internal:8081";
    let appended = second.of(reached).append(200, payload(2, 200)).await;
    assert_eq!(appended.expect("nobody else is there"), 201);
    assert_eq!(address().await.as_deref(), Some(reached));
    assert_eq!(Appended::from(&AppendError::Refused), Appended::Refused);
}
