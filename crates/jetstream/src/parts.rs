//! An entry that is longer than a message lies in several, one behind the other.
//!
//! Each says in a header which part it is, of how many. Parts whose entry was not finished are nobody's: the
//! reader tells of every message but the last part of an entry as of an empty one, which counts for nothing.

use async_nats::{HeaderMap, HeaderValue};
use bytes::{Bytes, BytesMut};

/// The header that says which part of an entry a message is.
const PART: &str = "Recant-Part";

/// Bytes of an entry in one message.
pub(crate) const PART_BYTES: usize = 768 * 1024;

/// Longest entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 64 * PART_BYTES;

/// Which part of an entry a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// From 1 on.
    pub(crate) at: usize,
    pub(crate) of: usize,
}

impl Part {
    /// As a header says it.
    pub(crate) fn header(self) -> (&'static str, HeaderValue) {
        (PART, HeaderValue::from(format!("{}/{}", self.at, self.of)))
    }

    /// What the headers of a message say, if it is a part.
    pub(crate) fn of_message(headers: &HeaderMap) -> Option<Self> {
        let (at, of) = headers.get(PART)?.as_str().split_once('/')?;
        let part = Self {
            at: at.parse().ok()?,
            of: of.parse().ok()?,
        };
        let fits = (1..=part.of).contains(&part.at) && part.of <= ENTRY_BYTES_MAX / PART_BYTES;
        fits.then_some(part)
    }
}

/// The messages that an entry lies in.
pub(crate) fn split(entry: &Bytes) -> Vec<(Option<Part>, Bytes)> {
    if entry.len() <= PART_BYTES {
        return vec![(None, entry.clone())];
    }
    let of = entry.len().div_ceil(PART_BYTES);
    let part = |at: usize| {
        let from = (at - 1) * PART_BYTES;
        let to = entry.len().min(from + PART_BYTES);
        (Some(Part { at, of }), entry.slice(from..to))
    };
    (1..=of).map(part).collect()
}

/// Puts entries together from messages that come in order.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    begun: Option<(Part, BytesMut)>,
}

impl Assembly {
    /// Takes the next message; the entry that it completes, or nothing.
    pub(crate) fn take(&mut self, part: Option<Part>, payload: Bytes) -> Bytes {
        let Some(part) = part else {
            self.begun = None;
            return payload;
        };
        let begun = match self.begun.take() {
            _ if part.at == 1 => Some(BytesMut::from(&payload[..])),
            Some((before, mut bytes)) if before.of == part.of && before.at + 1 == part.at => {
                bytes.extend_from_slice(&payload);
                Some(bytes)
            }
            _ => None,
        };
        match begun {
            Some(bytes) if part.at == part.of => bytes.freeze(),
            begun => {
                self.begun = begun.map(|bytes| (part, bytes));
                Bytes::new()
            }
        }
    }

    /// How many messages before this one have to be taken first.
    pub(crate) fn lacks(&self, part: Option<Part>) -> usize {
        let wanted = part.map_or(0, |part| part.at - 1);
        let is_there = self.begun.as_ref().is_some_and(|(at, _)| at.at == wanted);
        if is_there { 0 } else { wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(assembly: &mut Assembly, messages: &[(Option<Part>, Bytes)]) -> Vec<Bytes> {
        let messages = messages.iter().cloned();
        let entries = messages.map(|(part, payload)| assembly.take(part, payload));
        entries.filter(|entry| !entry.is_empty()).collect()
    }

    #[test]
    fn a_header_says_which_part_it_is_and_anything_else_is_none() {
        let part = Part { at: 2, of: 3 };
        let (name, value) = part.header();
        let mut headers = HeaderMap::new();
        assert_eq!(Part::of_message(&headers), None);
        headers.insert(name, value);
        assert_eq!(Part::of_message(&headers), Some(part));
        for wrong in ["", "1", "0/3", "4/3", "a/3", "1/1000000"] {
            headers.insert(name, wrong);
            assert_eq!(Part::of_message(&headers), None, "{wrong}");
        }
    }

    proptest! {
        /// Entries of any length come out whole and in order, whatever unfinished ones lie between them.
        #[test]
        fn entries_come_out_as_they_went_in(
            entries in prop::collection::vec((1..3 * PART_BYTES, 0..3_usize, any::<u8>()), 1..6),
        ) {
            let mut assembly = Assembly::default();
            let (mut wanted, mut found) = (Vec::new(), Vec::new());
            for (length, unfinished, byte) in entries {
                let entry = Bytes::from(vec![byte; length]);
                let messages = split(&entry);
                let cut = unfinished.min(messages.len() - 1);
                found.extend(taken(&mut assembly, &messages[..cut]));
                found.extend(taken(&mut assembly, &messages));
                wanted.push(entry);
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
