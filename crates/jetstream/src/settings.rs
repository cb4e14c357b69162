//! What the log is called and how much of it is kept.

use std::fmt;
use std::time::Duration;

/// Longest name.
const NAME_BYTES_MAX: usize = 32;

/// How many servers may hold a copy: an even number survives no more losses than the odd one below it.
const REPLICAS: [usize; 3] = [1, 3, 5];

/// Least room: some entries of the largest size.
const BYTES_MIN: u64 = 16 * 1024 * 1024;

/// The name of a cluster, which its stream and its subject are called after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogName(String);

impl LogName {
    /// A name of letters, digits, `-` and `_`, 32 at most.
    pub fn new(name: &str) -> Result<Self, InvalidSettings> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain);
        if is_name {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidSettings::Name)
        }
    }

    /// The name of the stream.
    pub fn stream(&self) -> String {
        format!("RECANT_{}", self.0)
    }

    /// The one subject of the stream.
    pub fn subject(&self) -> String {
        format!("recant.{}.log", self.0)
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the stream is made, and how it has to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    pub(crate) name: LogName,
    pub(crate) replicas: usize,
    pub(crate) bytes_max: u64,
    pub(crate) age_max: Duration,
}

impl LogSettings {
    /// `replicas` servers hold the log: 1, 3 or 5, of which the first is for trials. It takes `bytes_max`
    /// bytes, 16 MiB at least, and then no more. Entries are dropped when they are `age_max` old, whole
    /// seconds and one at least: a node that is away for longer has lost its place.
    pub fn new(
        name: LogName,
        replicas: usize,
        bytes_max: u64,
        age_max: Duration,
    ) -> Result<Self, InvalidSettings> {
        if !REPLICAS.contains(&replicas) {
            return Err(InvalidSettings::Replicas(replicas));
        }
        if bytes_max < BYTES_MIN || i64::try_from(bytes_max).is_err() {
            return Err(InvalidSettings::Bytes(bytes_max));
        }
        let is_whole = age_max.subsec_nanos() == 0 && age_max.as_secs() > 0;
        if !is_whole || i64::try_from(age_max.as_nanos()).is_err() {
            return Err(InvalidSettings::Age(age_max));
        }
        Ok(Self {
            name,
            replicas,
            bytes_max,
            age_max,
        })
    }
}

/// Settings that no log can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// The name.
    #[error("the name of a cluster has 1 to 32 letters, digits, - and _")]
    Name,
    /// The number of servers.
    #[error("a log lies on 1, 3 or 5 servers, not on {0}")]
    Replicas(usize),
    /// The room.
    #[error("a log needs at least {BYTES_MIN} bytes, and has {0}")]
    Bytes(u64),
    /// How long.
    #[error("a log is kept for whole seconds, not for {0:?}")]
    Age(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nats_would_read_as_more_than_one_word_are_refused() {
        for name in ["", "a.b", "a b", "a*", "a>", "ä", "$JS", &"x".repeat(33)] {
            assert_eq!(LogName::new(name), Err(InvalidSettings::Name), "{name:?}");
        }
        let name = LogName::new("recant-1_A").expect("a name");
        assert_eq!(name.stream(), "RECANT_recant-1_A");
        assert_eq!(name.subject(), "recant.recant-1_A.log");
    }

    #[test]
    fn settings_that_no_stream_can_have_are_refused() {
        let name = || LogName::new("a").expect("a name");
        let day = Duration::from_secs(86_400);
        assert!(LogSettings::new(name(), 3, BYTES_MIN, day).is_ok());
        for replicas in [0, 2, 4, 7] {
            let refused = LogSettings::new(name(), replicas, BYTES_MIN, day);
            assert_eq!(refused, Err(InvalidSettings::Replicas(replicas)));
        }
        for bytes in [0, BYTES_MIN - 1, u64::MAX] {
            let refused = LogSettings::new(name(), 3, bytes, day);
            assert_eq!(refused, Err(InvalidSettings::Bytes(bytes)));
        }
        for age in [Duration::ZERO, Duration::from_millis(1_500), Duration::MAX] {
            let refused = LogSettings::new(name(), 3, BYTES_MIN, age);
            assert_eq!(refused, Err(InvalidSettings::Age(age)));
        }
    }
}
