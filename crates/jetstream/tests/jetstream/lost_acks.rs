//! An entry that is in, and whose acknowledgement never comes.

use std::net::SocketAddr;

use recant_cluster::Appended;
use recant_jetstream::testing::NatsServers;
use recant_jetstream::{AppendError, JetStreamLog};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;

use super::support::{client_at, new_log, payload, settings};

/// Stands between a client and a server, and may keep the answers to itself.
struct Proxy {
    address: SocketAddr,
    is_mute: watch::Sender<bool>,
}

impl Proxy {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (is_mute, muted) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let muted = muted.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        join(client, server, muted).await;
                    }
                });
            }
        });
        Self { address, is_mute }
    }
}

async fn join(client: TcpStream, server: TcpStream, muted: watch::Receiver<bool>) {
    let (mut asked, answers) = client.into_split();
    let (answered, mut questions) = server.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut asked, &mut questions) => {}
        () = answer(answered, answers, muted) => {}
    }
}

/// What is read while mute is never passed on: the connection is of no more use.
async fn answer(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    muted: watch::Receiver<bool>,
) {
    let (mut buffer, mut has_lost) = (vec![0; 16 * 1024], false);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        has_lost |= *muted.borrow();
        if !has_lost && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_acknowledgement_is_lost_is_found_by_reading() {
    let Some(mut servers) = NatsServers::start(1) else {
        return;
    };
    let direct = new_log(&servers).await;
    let proxy = Proxy::before(servers.server(0).address()).await;
    let client = client_at(format!("nats://{}", proxy.address)).await;
    let log = JetStreamLog::open(client, &settings(1)).await.expect("it");
    assert_eq!(log.append(0, payload(1, 0)).await, Ok(1));

    proxy.is_mute.send_replace(true);
    let open = log.append(1, payload(1, 1)).await.expect_err("no answer");
    assert!(open.is_open(), "{open:?}");
    assert_eq!(Appended::from(&open), Appended::Unknown);
    proxy.is_mute.send_replace(false);

    let there = direct.at(2).await.expect("an answer");
    assert_eq!(there, Some(payload(1, 1)), "it is in");
    // And the one who sent it finds out, when there is a connection again.
    loop {
        match log.append(1, payload(1, 1)).await {
            Err(AppendError::Refused) => break,
            Err(AppendError::Unreachable(_) | AppendError::Unknown(_)) => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(log.at(2).await, Ok(Some(payload(1, 1))));
    assert_eq!(log.append(2, payload(1, 2)).await, Ok(3));
}
