//! Lists of many users that nobody reads take the places of those that are made at once. They come back.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::support::{Answer, Server, import_and_train};
use serde_json::json;

/// As many as are made at once.
const BATCHES_MAX: usize = 8;

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..40 {
        for item in (0..60).filter(|item| (user * 5 + item * 3) % 7 < 3) {
            csv.push_str(&format!(
                "u{user},an-item-with-a-name-of-some-length-{item}\n"
            ));
        }
    }
    csv
}

/// Asks for more than the buffers of a connection hold; returns it once the answer has begun.
fn unread(server: &Server) -> BufReader<TcpStream> {
    let body = json!({"users": vec!["u1"; 10_000], "k": 60, "exclude_seen": false}).to_string();
    let address = server.url("").replace("http://", "");
    let mut stream = TcpStream::connect(address.trim_end_matches('/')).expect("it listens");
    let head = format!(
        "POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    stream.write_all(body.as_bytes()).expect("it reads");
    // Of the answer this many bytes leave the connection.
    let mut reader = BufReader::with_capacity(64, stream);
    let mut status = String::new();
    reader.read_line(&mut status).expect("an answer");
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    reader
}

fn one_more(server: &Server) -> Answer {
    server.post("/recommend", &json!({"users": ["u1"]}))
}

#[test]
fn batches_that_nobody_reads_give_their_places_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let config = folder.path().join("limits.toml");
    for (write_seconds, is_closed) in [(3600, false), (1, true)] {
        let limits = format!(
            "[server]\nwrite_timeout_seconds = {write_seconds}\nrequest_timeout_seconds = 3600\n"
        );
        std::fs::write(&config, limits).expect("space for it");
        let server = Server::start_with(&data, |command| {
            command.arg("--config").arg(&config);
        });
        let held: Vec<_> = (0..BATCHES_MAX).map(|_| unread(&server)).collect();
        if !is_closed {
            let refused = one_more(&server);
            assert_eq!(refused.status, 503, "{}", refused.text);
            // The places are those of batches, and come back with the callers gone.
            assert_eq!(server.get("/recommend?user=u1").status, 200);
            drop(held);
            server.until("served", |server| one_more(server).status == 200);
            continue;
        }
        server.until("served", |server| one_more(server).status == 200);
        drop(held);
    }
}
