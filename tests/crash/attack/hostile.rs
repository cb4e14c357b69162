//! A caller that means no good: one strike after another until told to stop.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::calls::{Call, NEEDLE, bomb};
use super::keys;
use super::wire::{answer, connection, exchange, exchange_and_end};

/// Connections that one caller leaves open at most.
const HELD_MAX: usize = 50;

/// Connections of one flood.
const FLOOD: usize = 60;

/// What was heard, of all callers together: answers below 400, problems, and connections that were
/// closed without a whole answer.
#[derive(Default)]
pub struct Tally {
    pub served: AtomicU64,
    pub refused: AtomicU64,
    pub silent: AtomicU64,
}

/// One such caller, on one server.
pub struct Hostile<'a> {
    pub calls: &'a [Call],
    pub to: SocketAddrV4,
    pub random: &'a mut ChaCha8Rng,
    pub tally: &'a Tally,
}

impl Hostile<'_> {
    /// Strikes until `stop`. What was left open is closed with the return.
    pub fn run(&mut self, stop: &AtomicBool) {
        let mut held: VecDeque<TcpStream> = VecDeque::new();
        let bomb = bomb();
        while !stop.load(Ordering::Relaxed) {
            match self.random.random_range(0..100) {
                0..70 => self.request(),
                70..78 => self.noise(),
                78..96 => held.extend(self.leave_open()),
                96..98 => self.explode(&bomb),
                _ => self.flood(),
            }
            while held.len() > HELD_MAX {
                held.pop_front();
            }
        }
    }

    /// Sends a request for one of the calls and judges the answer.
    fn request(&mut self) {
        let call = self.calls.choose(self.random).expect("some");
        let request = call.request(self.random);
        let Some(mut stream) = connection(self.to, self.random) else {
            return;
        };
        let heard = exchange(&mut stream, &request.bytes);
        let Some(status) = self.judge(&heard, request.is_head) else {
            return;
        };
        assert!(
            !request.is_forbidden || status >= 400,
            "{status} for a key without the role: {}",
            String::from_utf8_lossy(&request.bytes)
                .lines()
                .next()
                .unwrap_or_default()
        );
    }

    fn judge(&self, heard: &[u8], is_head: bool) -> Option<u16> {
        let Some(answer) = answer(heard, is_head) else {
            self.tally.silent.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        answer.check(is_head);
        let count = if answer.status < 400 {
            &self.tally.served
        } else {
            &self.tally.refused
        };
        count.fetch_add(1, Ordering::Relaxed);
        Some(answer.status)
    }

    /// Sends what is no request, or not quite.
    fn noise(&mut self) {
        let admin = keys::secret("admin");
        let texts = [
            String::from("\r\n\r\n\r\n"),
            String::from("GET\r\n\r\n"),
            String::from("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
            String::from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            format!("GET /recommend?user={NEEDLE} HTTP/1.0\r\n\r\n"),
            format!("GET http://{NEEDLE}/healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n {NEEDLE}: folded\r\n\r\n"),
            format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{NEEDLE} : blank\r\n\r\n"),
            format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "a".repeat(70_000)
            ),
            format!(
                "{} / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "A".repeat(9_000)
            ),
            format!(
                "POST /interactions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
                 Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /export?user={NEEDLE}"
            ),
            format!(
                "POST /interactions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
                 Content-Length: -5\r\n\r\n{NEEDLE}"
            ),
            format!(
                "POST /interactions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
                 Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{NEEDLE}"
            ),
            format!(
                "POST /interactions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
                 Content-Length: 99999999999999999999\r\n\r\n{NEEDLE}"
            ),
        ];
        let bytes = match self.random.random_range(0..texts.len() + 4) {
            place if place < texts.len() => texts[place].clone().into_bytes(),
            _ => {
                let length = self.random.random_range(0..5_000);
                (0..length).map(|_| self.random.random()).collect()
            }
        };
        if let Some(mut stream) = connection(self.to, self.random) {
            let heard = exchange_and_end(&mut stream, &bytes);
            self.judge(&heard, false);
        }
    }

    /// Opens a connection on which the server waits for more, or for somebody to read its answers.
    fn leave_open(&mut self) -> Option<TcpStream> {
        let mut stream = connection(self.to, self.random)?;
        let admin = keys::secret("admin");
        let text = match self.random.random_range(0..5) {
            0 => String::new(),
            1 => format!("GET /recommend?user={NEEDLE} HTTP/1.1\r\nHost: loc"),
            2 => format!(
                "POST /interactions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\
                 Content-Type: application/json\r\nContent-Length: 500000\r\n\r\n\
                 {{\"interactions\":[{{\"user\":\"{NEEDLE}"
            ),
            3 => String::from("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            _ => "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200),
        };
        // The answers of the last kind fill what the kernel keeps for a reader: nobody waits for them.
        stream.set_nonblocking(true).ok()?;
        let _ = stream.write(text.as_bytes());
        Some(stream)
    }

    /// Sends a small body that unpacks to a large one.
    fn explode(&mut self, bomb: &[u8]) {
        let paths = ["/interactions", "/erasures", "/recommend", "/export"];
        let path = paths.choose(self.random).expect("some");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            keys::secret("admin"),
            bomb.len()
        );
        let bytes = [head.as_bytes(), bomb].concat();
        if let Some(mut stream) = connection(self.to, self.random) {
            let heard = exchange(&mut stream, &bytes);
            self.judge(&heard, false);
        }
    }

    /// Opens many connections at once and drops them.
    fn flood(&mut self) {
        let opened = (0..FLOOD).map_while(|_| connection(self.to, self.random));
        drop(opened.collect::<Vec<_>>());
    }
}
