//! Bytes on a socket, and what the server made of them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use serde_json::Value;

use super::calls::NEEDLE;
use super::keys::SECRET;

/// Longest that the server may leave a connection open on which nothing happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// Local addresses that the attack comes from. Those that it must not shut out come from another.
const ADDRESSES: std::ops::Range<u8> = 2..10;

/// A connection from one of the addresses of the attack; `None` when the server takes none.
pub fn connection(to: SocketAddrV4, random: &mut ChaCha8Rng) -> Option<TcpStream> {
    let from = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, random.random_range(ADDRESSES)), 0);
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).ok()?;
    bind(&socket, &from).ok()?;
    connect(&socket, &to).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// Sends `bytes` and reads until the server closes the connection.
pub fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    // A server that has answered already need not read the rest.
    let _ = stream.write_all(bytes);
    read_all(stream)
}

/// The same, and says first that nothing more will come.
pub fn exchange_and_end(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    read_all(stream)
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("the server keeps a connection open and says nothing")
        }
        _ => heard,
    }
}

/// An answer that came in whole.
pub struct Answer {
    pub status: u16,
    kind: String,
    body: Vec<u8>,
}

/// The first final answer in what was heard; `None` when it is not there in whole.
pub fn answer(heard: &[u8], is_head: bool) -> Option<Answer> {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&heard[..end]).expect("an ASCII head");
    let rest = &heard[end + 4..];
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .or(head.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
    let status: u16 = status.unwrap_or_else(|| panic!("no answer: {head:?}"));
    if status < 200 {
        return answer(rest, is_head);
    }
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let body = match header("content-length") {
        _ if is_head => Vec::new(),
        Some(length) => rest.get(..length.parse().ok()?)?.to_vec(),
        None if header("transfer-encoding").is_some() => unchunked(rest)?,
        None => rest.to_vec(),
    };
    let kind = header("content-type").unwrap_or_default().to_owned();
    Some(Answer { status, kind, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..line]).ok()?;
        let length = usize::from_str_radix(length, 16).ok()?;
        rest = rest.get(line + 2..)?;
        if length == 0 {
            return Some(body);
        }
        body.extend(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

impl Answer {
    /// Holds the answer to what is promised of every one.
    pub fn check(&self, is_head: bool) {
        let Self { status, kind, body } = self;
        let text = String::from_utf8_lossy(body);
        let said = text.chars().take(400).collect::<String>();
        assert!(*status < 500 || *status == 503, "{status}: {said}");
        assert!(!text.contains(SECRET), "{status} tells a key");
        if *status < 400 {
            return;
        }
        assert_eq!(kind, "application/problem+json", "{status}: {said}");
        assert!(!text.contains(NEEDLE), "{status} names somebody: {said}");
        if !is_head {
            let problem: Value = serde_json::from_slice(body).expect("a problem is JSON");
            assert_eq!(problem["status"], *status, "{said}");
            assert!(problem["code"].is_string(), "{said}");
        }
    }
}
