//! Callers of nodes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

/// One caller, with connections of its own.
#[derive(Clone)]
pub struct Caller(Agent);

/// What was answered.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The text.
    pub body: String,
}

impl Answer {
    /// A text of the answer, which is JSON.
    pub fn text(&self, name: &str) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        Some(body[name].as_str()?.to_owned())
    }
}

impl Caller {
    /// One who waits for an answer so long.
    pub fn patient(patience: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(patience));
        Self(config.build().into())
    }

    /// One who looks whether somebody is there.
    pub fn quick() -> Self {
        Self::patient(Duration::from_secs(1))
    }

    /// Gets a page.
    pub fn get(&self, url: &str, target: &str) -> Result<Answer, ureq::Error> {
        let mut answer = self.0.get(format!("{url}{target}")).call()?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: answer.body_mut().read_to_string()?,
        })
    }

    /// Erases a pair; `headers` are added.
    pub fn erase(
        &self,
        url: &str,
        (user, item): &(String, String),
        headers: &[(&str, &str)],
    ) -> Result<Answer, ureq::Error> {
        let target = format!("{url}/interactions?user={user}&item={item}");
        let mut request = self.0.delete(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.call()?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: answer.body_mut().read_to_string()?,
        })
    }

    /// Adds pairs.
    pub fn add(&self, url: &str, pairs: &[(String, String)]) -> Result<Answer, ureq::Error> {
        let rows = pairs
            .iter()
            .map(|(user, item)| json!({"user": user, "item": item}));
        let body = json!({"interactions": rows.collect::<Vec<_>>()});
        let mut answer = self
            .0
            .post(format!("{url}/interactions"))
            .send_json(&body)?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: answer.body_mut().read_to_string()?,
        })
    }
}

/// A caller who does next to nothing with what is answered, so that the server is what is measured.
pub struct Reader {
    address: SocketAddr,
    connection: BufReader<TcpStream>,
    head: String,
    body: Vec<u8>,
}

impl Reader {
    /// Connects.
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        Ok(Self {
            address,
            connection: BufReader::new(connection),
            head: String::new(),
            body: Vec::new(),
        })
    }

    /// Asks for a list; the status.
    pub fn recommend(&mut self, user: &str) -> std::io::Result<u16> {
        let host = self.address;
        let request = format!("GET /recommend?k=10&user={user} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        self.connection.get_mut().write_all(request.as_bytes())?;
        self.head.clear();
        while !self.head.ends_with("\r\n\r\n") {
            if self.connection.read_line(&mut self.head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut lines = self.head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok()).unwrap_or(0);
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        self.body.resize(length, 0);
        self.connection.read_exact(&mut self.body)?;
        Ok(status)
    }
}
