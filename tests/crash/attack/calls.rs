//! The calls that a server describes, and requests for them: some as they should be, most not.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::keys;
use recant_types::{WEIGHT_MAX, WEIGHT_MIN};

/// In every id that an attacker sends; no log line, metric or problem may contain it.
pub const NEEDLE: &str = "n33dle";

/// Ids of users, and as many of items: few, so that what the server holds does not grow with time.
const POOL: u32 = 30;

/// Bytes that a small body unpacks to.
const BOMB_BYTES: usize = 64 << 20;

/// A call of the description.
pub struct Call {
    method: String,
    template: String,
    /// The role that it takes; `None` when everybody may make it.
    role: Option<String>,
    parameters: Vec<String>,
}

/// A request, whole, and what must be true of its answer.
pub struct Request {
    pub bytes: Vec<u8>,
    /// Its answer has no body.
    pub is_head: bool,
    /// Whoever sends it may not be served.
    pub is_forbidden: bool,
}

/// Every call that `description` names.
pub fn calls(description: &Value) -> Vec<Call> {
    let paths = description["paths"].as_object().expect("paths");
    let mut calls = Vec::new();
    for (template, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let named = operation["parameters"].as_array().into_iter().flatten();
            let role = &operation["security"][0]["api_key"][0];
            calls.push(Call {
                method: method.to_uppercase(),
                template: template.clone(),
                role: role.as_str().map(str::to_owned),
                parameters: named
                    .filter(|parameter| parameter["in"] == "query")
                    .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                    .collect(),
            });
        }
    }
    assert!(calls.len() > 15, "{}", calls.len());
    calls
}

/// Everybody whom attackers may have added under a name of their own.
pub fn everybody() -> Vec<String> {
    (0..POOL)
        .map(|number| format!("{NEEDLE}-u{number}"))
        .collect()
}

/// An id that the server may know.
fn id(random: &mut ChaCha8Rng, of: char) -> String {
    format!("{NEEDLE}-{of}{}", random.random_range(0..POOL))
}

/// A text that is none of those that are asked for, as it stands in a URL.
fn odd_text(random: &mut ChaCha8Rng) -> String {
    let texts = [
        "",
        "%00",
        "%ff%fe",
        "%",
        "+",
        "a+b",
        "null",
        "NaN",
        "0",
        "-1",
        "1e400",
        "18446744073709551616",
        "../../etc/passwd",
        "%2e%2e%2f",
        "true",
        "💧",
        "%F0%9F%92%A7",
        "00000000-0000-0000-0000-000000000000",
        "%0d%0aX-Injected:%20yes",
    ];
    match random.random_range(0..10) {
        0 => NEEDLE.repeat(random.random_range(1..1_000)),
        1 => format!("{NEEDLE}%20{}", random.random::<u64>()),
        _ => (*texts.choose(random).expect("some")).to_owned(),
    }
}

fn value_of(random: &mut ChaCha8Rng, parameter: &str) -> String {
    if random.random_range(0..4) == 0 {
        return odd_text(random);
    }
    match parameter {
        "user" | "users" => id(random, 'u'),
        "item" | "items" | "exclude" | "allow" | "history" => id(random, 'i'),
        "k" | "limit" | "offset" => random.random_range(0..1_100_u32).to_string(),
        "exclude_seen" | "explain" => random.random::<bool>().to_string(),
        "as_of" => String::from("certified"),
        "status" => String::from("certified"),
        _ => odd_text(random),
    }
}

/// A JSON value that fits nothing, or something by chance.
fn odd_value(random: &mut ChaCha8Rng) -> Value {
    match random.random_range(0..14) {
        0 => json!(null),
        1 => json!(true),
        2 => json!([]),
        3 => json!({}),
        4 => json!(0),
        5 => json!(-1),
        6 => json!(i64::MIN),
        7 => json!(u64::MAX),
        8 => json!(1e308),
        9 => json!(5e-324),
        10 => json!(format!("\u{0}{NEEDLE}")),
        11 => json!(format!(".{}", NEEDLE.repeat(random.random_range(1..2_000)))),
        12 => json!({NEEDLE: [NEEDLE, {NEEDLE: 1}]}),
        _ => json!("2024-01-15T12:30:00Z"),
    }
}

fn or_odd(random: &mut ChaCha8Rng, value: Value) -> Value {
    if random.random_range(0..12) == 0 {
        odd_value(random)
    } else {
        value
    }
}

fn row(random: &mut ChaCha8Rng) -> Value {
    let (user, item) = (json!(id(random, 'u')), json!(id(random, 'i')));
    let mut row = json!({"user": or_odd(random, user), "item": or_odd(random, item)});
    // Only of those whom `everybody` names.
    let is_known = row["user"]
        .as_str()
        .is_some_and(|user| user.starts_with(NEEDLE));
    if is_known && random.random_range(0..6) == 0 {
        let edges = [WEIGHT_MIN, WEIGHT_MAX];
        row["weight"] = json!(edges.choose(random).expect("some"));
    }
    for name in ["weight", "timestamp", "type"] {
        if random.random_range(0..4) == 0 {
            row[name] = odd_value(random);
        }
    }
    row
}

fn rows(random: &mut ChaCha8Rng, most: usize) -> Value {
    let count = random.random_range(0..most);
    (0..count).map(|_| row(random)).collect()
}

fn ids(random: &mut ChaCha8Rng, of: char, most: usize) -> Value {
    let count = random.random_range(0..most);
    let ids = (0..count).map(|_| {
        let id = json!(id(random, of));
        or_odd(random, id)
    });
    ids.collect()
}

/// A body that some call takes.
fn body(random: &mut ChaCha8Rng) -> Value {
    let mut body = match random.random_range(0..6) {
        0 | 1 => json!({"interactions": rows(random, 40)}),
        2 => json!({
            "users": ids(random, 'u', 4),
            "items": ids(random, 'i', 2),
            "interactions": rows(random, 5),
        }),
        3 => json!({"user": id(random, 'u'), "k": random.random_range(0..1_100)}),
        4 => json!({"history": ids(random, 'i', 20), "k": 5}),
        _ => json!({"users": ids(random, 'u', 300), "k": 3}),
    };
    if random.random_range(0..5) == 0 {
        let names = ["interactions", "users", "items", "user", "k", NEEDLE];
        let name = names.choose(random).expect("some");
        body[*name] = odd_value(random);
    }
    body
}

/// The bytes of a body, and how they are said to be coded.
fn coded_body(random: &mut ChaCha8Rng) -> (Vec<u8>, &'static str) {
    let mut bytes = match random.random_range(0..12) {
        0 => vec![b'['; 100_000],
        1 => vec![0; random.random_range(0..100_000)],
        2 => b"\xef\xbb\xbf{}".to_vec(),
        3 => (0..random.random_range(0..2_000))
            .map(|_| random.random())
            .collect(),
        4 => rows(random, 200)
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| format!("{row}\n"))
            .collect::<String>()
            .into_bytes(),
        5 => format!("{{\"interactions\":[{}]}}", "{},".repeat(20_000)).into_bytes(),
        _ => body(random).to_string().into_bytes(),
    };
    if random.random_range(0..8) == 0 {
        bytes.truncate(random.random_range(0..=bytes.len()));
    }
    match random.random_range(0..20) {
        0..3 => (packed(&bytes), "gzip"),
        3 => {
            let mut packed = packed(&bytes);
            packed.truncate(random.random_range(0..=packed.len()));
            (packed, "gzip")
        }
        4 => (bytes, "gzip"),
        5 => (bytes, "br"),
        6 => (bytes, "gzip, gzip"),
        _ => (bytes, "identity"),
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A body that is small until it is unpacked.
pub fn bomb() -> Vec<u8> {
    packed(&vec![b' '; BOMB_BYTES])
}

impl Call {
    /// A request for this call, by somebody with one of the roles or with none.
    pub fn request(&self, random: &mut ChaCha8Rng) -> Request {
        let role = *[Some("read"), Some("write"), Some("erase"), Some("admin")]
            .iter()
            .chain([&None])
            .collect::<Vec<_>>()
            .choose(random)
            .expect("some");
        let may = self.role.is_none() || *role == Some("admin") || *role == self.role.as_deref();
        let method = match random.random_range(0..12) {
            0 => *["HEAD", "OPTIONS", "PUT", "PATCH", "ADA"]
                .choose(random)
                .expect("some"),
            _ => self.method.as_str(),
        };
        let mut head = format!("{method} {} HTTP/1.1\r\n", self.target(random));
        head.push_str("Host: localhost\r\nConnection: close\r\n");
        if let Some(role) = role {
            head.push_str(&format!("Authorization: Bearer {}\r\n", keys::secret(role)));
        }
        head.push_str(&odd_headers(random));
        let mut bytes = head.into_bytes();
        if ["POST", "PUT", "PATCH"].contains(&method) || random.random_range(0..8) == 0 {
            with_body(random, &mut bytes);
        } else {
            bytes.extend(b"\r\n");
        }
        Request {
            bytes,
            is_head: method == "HEAD",
            is_forbidden: method == self.method && !may,
        }
    }

    /// The path with its places filled, and a query.
    fn target(&self, random: &mut ChaCha8Rng) -> String {
        let mut target = String::new();
        for (place, part) in self.template.split(['{', '}']).enumerate() {
            match place % 2 {
                0 => target.push_str(part),
                _ if random.random() => target.push_str(&id(random, 'i')),
                _ => target.push_str(&odd_text(random).replace(['/', '?', '#', ' '], "")),
            }
        }
        let mut between = '?';
        for parameter in &self.parameters {
            for _ in 0..random.random_range(0..10_u32).saturating_sub(4) / 2 {
                target.push(between);
                target.push_str(&format!("{parameter}={}", value_of(random, parameter)));
                between = '&';
            }
        }
        if random.random_range(0..15) == 0 {
            target.push_str(&format!("{between}{NEEDLE}={}", odd_text(random)));
        }
        target
    }
}

/// Headers that calls read, with values that they may not like.
fn odd_headers(random: &mut ChaCha8Rng) -> String {
    let mut headers = String::new();
    let mut add = |name: &str, values: &[&str]| {
        if random.random_range(0..6) == 0 {
            let value = values.choose(random).expect("some");
            headers.push_str(&format!("{name}: {value}\r\n"));
        }
    };
    add("Prefer", &["wait=1", "wait=-1", "wait=1e9", NEEDLE, ""]);
    add("Idempotency-Key", &["one", "two", "three", "", NEEDLE]);
    add("Accept", &["application/json", "text/html", "*/*;q=2", ""]);
    add("Range", &["bytes=0-0", "bytes=9-1"]);
    add("Expect", &["100-continue", "the unexpected"]);
    add("X-Request-Id", &[NEEDLE]);
    add("Origin", &["https://elsewhere.example", "null"]);
    add("Cookie", &[NEEDLE]);
    if random.random_range(0..40) == 0 {
        headers.push_str(&format!("X-{NEEDLE}: {}\r\n", NEEDLE.repeat(4_000)));
    }
    if random.random_range(0..40) == 0 {
        headers.push_str(&"X-Many: 1\r\n".repeat(300));
    }
    headers
}

/// Ends a head and appends a body.
fn with_body(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let (body, coding) = coded_body(random);
    let kinds = [
        "application/json",
        "application/json",
        "application/json; charset=utf-8",
        "application/x-ndjson",
        "text/csv",
        "",
    ];
    let kind = kinds.choose(random).expect("some");
    bytes.extend(format!("Content-Type: {kind}\r\n").into_bytes());
    if coding != "identity" {
        bytes.extend(format!("Content-Encoding: {coding}\r\n").into_bytes());
    }
    if random.random_range(0..6) == 0 {
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for part in body.chunks(1_000) {
            bytes.extend(format!("{:x}\r\n", part.len()).into_bytes());
            bytes.extend(part);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
    } else {
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        bytes.extend(body);
    }
}
