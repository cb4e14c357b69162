//! A server that answers by a script, for what a real one seldom does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer of the script: status, body, and lines for the head.
pub struct Reply {
    pub status: u16,
    pub body: String,
    pub head: &'static str,
}

impl From<(u16, String)> for Reply {
    fn from((status, body): (u16, String)) -> Self {
        Self {
            status,
            body,
            head: "",
        }
    }
}

/// A server that gives the answers of `answers` to what it is asked, a call at a time; the calls
/// it had are in the list. `None` closes the connection instead.
pub fn server_that<R: Into<Reply>>(
    mut answers: impl FnMut(&str) -> Option<R> + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            let Some(call) = read_call(&stream) else {
                continue;
            };
            seen.lock().expect("not poisoned").push(call.clone());
            if let Some(reply) = answers(&call) {
                let Reply { status, body, head } = reply.into();
                let head = format!(
                    "HTTP/1.1 {status} X\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = (&stream).write_all((head + &body).as_bytes());
            }
        }
    });
    (url, calls)
}

/// Method, target, idempotency key and body of the next call.
fn read_call(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut call = line
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if let Some(key) = header.strip_prefix("idempotency-key: ") {
            call.push_str(&format!(" {key}"));
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(call + " " + &String::from_utf8_lossy(&body))
}
