//! Which log a stream holds, and which one it continues.

use std::fmt;
use std::str::FromStr;

use recant_cluster::Incarnation;
use uuid::Uuid;

/// Which log a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) incarnation: Incarnation,
    pub(crate) continues: Option<Continues>,
}

/// A place in a log that is no more, after which another one goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continues {
    /// Which log that was.
    pub incarnation: Incarnation,
    /// The entry that the first one follows.
    pub number: u64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

impl fmt::Display for Continues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.incarnation.0, self.number, self.hash)
    }
}

impl FromStr for Continues {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(());
        let (incarnation, number, hash) = (next()?, next()?, next()?);
        Ok(Self {
            incarnation: Incarnation(Uuid::try_parse(incarnation).map_err(|_| ())?),
            number: number.parse().map_err(|_| ())?,
            hash: hash.to_owned(),
        })
    }
}
