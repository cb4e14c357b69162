//! Servers that die and hang while somebody writes and somebody reads.

use std::env;
use std::time::{Duration, Instant};

use recant_jetstream::testing::NatsServers;

use super::support::{Reader, STREAM, Writer, new_log, silence};

/// How long a server hangs: longer than the others wait for it.
const HANGING: Duration = Duration::from_secs(8);

/// How many entries have to come through after each fault.
const MORE: usize = 50;

/// What happens, in turn.
const NAMES: [&str; 3] = ["the leader killed", "all killed", "the leader hung for 8 s"];

async fn leader_killed(servers: &mut NatsServers, writer: &mut Writer) {
    let leader = servers.leader_of(STREAM);
    servers.server(leader).kill();
    writer.proceeds_by(MORE).await;
    servers.start_again();
}

async fn all_killed(servers: &mut NatsServers, writer: &mut Writer) {
    servers.kill_all();
    servers.start_again();
    writer.proceeds_by(MORE).await;
}

async fn leader_hangs(servers: &mut NatsServers, writer: &mut Writer) {
    let leader = servers.leader_of(STREAM);
    servers.server(leader).suspend();
    tokio::time::sleep(HANGING).await;
    servers.server(leader).resume();
    writer.proceeds_by(MORE).await;
    servers.wait_until_ready();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_once_in_order_and_read_without_a_gap() {
    let Some(mut servers) = NatsServers::start(3) else {
        return;
    };
    let faults = env::var("RECANT_KILLS").ok();
    let faults: usize = faults.map_or(3, |it| it.parse().expect("a number of kills"));
    let log = new_log(&servers).await;
    let (mut writer, mut reader) = (Writer::start(log.clone()), Reader::start(&log));
    let mut moments = Vec::new();
    for fault in 0..faults {
        writer.proceeds_by(MORE).await;
        let (name, from) = (NAMES[fault % NAMES.len()], Instant::now());
        match fault % NAMES.len() {
            0 => leader_killed(&mut servers, &mut writer).await,
            1 => all_killed(&mut servers, &mut writer).await,
            _ => leader_hangs(&mut servers, &mut writer).await,
        }
        writer.proceeds_by(MORE).await;
        reader.reaches(writer.count()).await;
        moments.push((name, from, Instant::now()));
    }
    let account = writer.stop().await;
    reader.reaches(account.entries.len()).await;
    let (read, times) = reader.stop();
    assert_eq!(read, account.entries);
    let ends = log.ends().await.expect("an answer");
    assert_eq!(ends.last, account.entries.len() as u64);
    for (name, from, to) in moments {
        let (written, read) = (silence(&account.times, from, to), silence(&times, from, to));
        println!("{name}: nothing written for {written:?}, nothing read for {read:?}");
    }
    println!(
        "{} entries, {} errors, after {} of which the entry was in",
        account.entries.len(),
        account.errors,
        account.found
    );
}
