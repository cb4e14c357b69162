//! What is asked of a server of the log in its own words, which are lines of text.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

/// Deletes a stream, as somebody might by mistake.
pub fn delete_stream(server: SocketAddr, stream: &str) {
    order(server, &format!("STREAM.DELETE.{stream}"));
}

/// Drops everything that a stream holds, as its age does.
pub fn purge_stream(server: SocketAddr, stream: &str) {
    order(server, &format!("STREAM.PURGE.{stream}"));
}

fn order(server: SocketAddr, what: &str) {
    let mut to = TcpStream::connect(server).expect("a server");
    let mut from = BufReader::new(to.try_clone().expect("a socket"));
    let asked = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB $JS.API.{what} answer 0\r\n\r\n"
    );
    to.write_all(asked.as_bytes()).expect("sent");
    let mut line = String::new();
    while !line.contains("\"success\":true") {
        line.clear();
        assert!(from.read_line(&mut line).expect("a line") > 0, "it hung up");
        assert!(!line.contains("\"error\""), "{line}");
        if line.starts_with("PING") {
            to.write_all(b"PONG\r\n").expect("sent");
        }
    }
}
