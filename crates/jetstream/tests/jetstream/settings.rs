//! Streams that are set otherwise.

use std::time::{Duration, Instant};

use async_nats::Client;
use recant_cluster::Incarnation;
use recant_jetstream::testing::NatsServers;
use recant_jetstream::{Difference, JetStreamLog, SetUpError};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{INCARNATION, STREAM, client, new_log, settings, settings_with};

/// How long a server may take to clear a stream's folder.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it answers as long as it has not, though it has said that the stream is gone.
const FOLDER_IN_USE: u64 = 10_049;

async fn told(client: &Client, call: &str, body: &Value) -> Value {
    let context = async_nats::jetstream::new(client.clone());
    let subject = format!("STREAM.{call}.{STREAM}");
    context.request(subject, body).await.expect("an answer")
}

async fn ask(client: &Client, call: &str, body: &Value) -> Value {
    let told = told(client, call, body).await;
    assert!(told.get("error").is_none(), "{call}: {told}");
    told
}

/// Puts a stream of this configuration in the place of the one that is there.
async fn replace(client: &Client, config: &Value) {
    ask(client, "DELETE", &json!({})).await;
    let began = Instant::now();
    loop {
        let told = told(client, "CREATE", config).await;
        if told["error"]["err_code"] != FOLDER_IN_USE || began.elapsed() > PATIENCE {
            assert!(told.get("error").is_none(), "{told}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What `open` has against a stream.
async fn refused(client: &Client) -> Difference {
    match JetStreamLog::open(client.clone(), &settings(1)).await {
        Err(SetUpError::Difference(difference)) => difference,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_set_otherwise_is_refused_with_a_sentence() {
    let Some(servers) = NatsServers::start(1) else {
        return;
    };
    new_log(&servers).await;
    let client = client(&servers).await;
    let right = ask(&client, "INFO", &json!({})).await["config"].clone();
    let changes = [
        ("persist_mode", json!("async"), "acknowledged"),
        ("discard", json!("old"), "vanish"),
        ("allow_direct", json!(true), "behind"),
        ("max_age", json!(1_000_000_000_000_u64), "agreed"),
        ("max_bytes", json!(1 << 25), "agreed"),
        ("max_msgs", json!(1_000), "bytes"),
        ("max_msg_size", json!(4_096), "cut"),
        ("deny_delete", json!(false), "holes"),
        ("deny_purge", json!(true), "trimmed"),
        ("allow_rollup_hdrs", json!(true), "vanish"),
        ("allow_msg_ttl", json!(true), "vanish"),
        ("allow_atomic", json!(true), "does not know"),
        ("no_ack", json!(true), "nothing would be acknowledged"),
        ("compression", json!("s2"), "compressed"),
        ("storage", json!("memory"), "outlive"),
        ("retention", json!("interest"), "vanish"),
        ("duplicate_window", json!(1_000_000_000), "nothing uses"),
        ("max_consumers", json!(1), "every node"),
        ("subjects", json!(["recant.test.log", "other"]), "others"),
        (
            "republish",
            json!({"src": ">", "dest": "copy.>"}),
            "elsewhere",
        ),
    ];
    for (setting, value, because) in changes {
        let mut config = right.clone();
        config[setting] = value;
        replace(&client, &config).await;
        let difference = refused(&client).await;
        assert_eq!(difference.setting(), setting);
        let sentence = difference.to_string();
        assert!(sentence.contains(STREAM), "{sentence}");
        assert!(sentence.contains(because), "{sentence}");
    }
    replace(&client, &right).await;
    let log = JetStreamLog::open(client, &settings(1)).await;
    assert_eq!(log.expect("as it has to be").incarnation(), INCARNATION);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_made_once_and_opened_as_it_was_agreed() {
    let Some(servers) = NatsServers::start(1) else {
        return;
    };
    let client = client(&servers).await;
    let missing = JetStreamLog::open(client.clone(), &settings(1)).await;
    assert!(matches!(missing, Err(SetUpError::Missing(name)) if name == STREAM));

    new_log(&servers).await;
    let again = JetStreamLog::init(client.clone(), &settings(1), INCARNATION).await;
    assert!(again.is_ok(), "the same once more");
    let other = Incarnation(Uuid::from_u128(1));
    let taken = JetStreamLog::init(client.clone(), &settings(1), other).await;
    assert!(matches!(taken, Err(SetUpError::Taken(name)) if name == STREAM));

    let more = JetStreamLog::open(client.clone(), &settings(3)).await;
    let Err(SetUpError::Difference(difference)) = more else {
        panic!("one copy is not three");
    };
    assert_eq!(difference.setting(), "num_replicas");
    let week = Duration::from_secs(604_800);
    let longer = JetStreamLog::open(client, &settings_with(1, 64 << 20, week * 2)).await;
    let Err(SetUpError::Difference(difference)) = longer else {
        panic!("a week is not two");
    };
    assert_eq!(difference.setting(), "max_age");
}
