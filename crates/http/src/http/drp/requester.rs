//! For which agent an erasure is recorded, and under which id the agent knows it.

use std::fmt;

/// What the requester of such an erasure begins with.
const PREFIX: &str = "drp:";

/// An agent, and its own id of the request if it has one. Neither has a `/` in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Requester<'a> {
    pub(super) agent: &'a str,
    pub(super) request: Option<&'a str>,
}

impl<'a> Requester<'a> {
    /// Reads what the record of an erasure says; `None` when no agent requested it.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        Some(match text.split_once('/') {
            Some((agent, request)) => Self {
                agent,
                request: Some(request),
            },
            None => Self {
                agent: text,
                request: None,
            },
        })
    }
}

impl fmt::Display for Requester<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.agent)?;
        match self.request {
            Some(request) => write!(f, "/{request}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requester_reads_back_from_its_text() {
        for request in [None, Some("r-7.a:b")] {
            let requester = Requester {
                agent: "AA",
                request,
            };
            assert_eq!(Requester::parse(&requester.to_string()), Some(requester));
        }
        assert_eq!(Requester::parse("shop"), None);
    }
}
