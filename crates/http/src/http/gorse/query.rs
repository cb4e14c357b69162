//! Query strings, read leniently: clients send parameters that their server does not know, and leave
//! others empty.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::refusal::Refusal;
use crate::http::parameters::decode;
use recant_service::{K_MAX, OFFSET_MAX};

/// How many rows and items an answer has when the caller does not say.
const N_DEFAULT: usize = 10;

/// Most rows of one page.
const PAGE_MAX: usize = 1_000;

/// The parameters of one request, decoded. Of one that is given twice the first counts, but for
/// categories, of which all do; an empty one is as good as none.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn read(query: &str) -> Result<Self, Refusal> {
        let parts = query.split('&').filter(|part| !part.is_empty());
        let named = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        });
        let read: Option<Vec<_>> = named.collect();
        let flaw = "the query is not UTF-8 in percent-encoding";
        read.map(Self).ok_or_else(|| Refusal::invalid(flaw))
    }

    /// A parameter that says something.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let given = self.0.iter();
        let given = given.filter(move |(known, value)| known == name && !value.is_empty());
        given.map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let flaw = || Refusal::invalid(format!("invalid {name} parameter: give a whole number"));
        text.parse().map_err(|_| flaw())
    }

    /// How many items a list has. None says as little as no number; beyond what one answer may have
    /// the most is taken.
    pub(super) fn length(&self) -> Result<usize, Refusal> {
        self.at_most(K_MAX)
    }

    /// How many rows a page has, likewise.
    pub(super) fn page(&self) -> Result<usize, Refusal> {
        self.at_most(PAGE_MAX)
    }

    fn at_most(&self, most: usize) -> Result<usize, Refusal> {
        let given = self.number("n", N_DEFAULT)?;
        Ok(if given == 0 {
            N_DEFAULT
        } else {
            given.min(most)
        })
    }

    /// How many of the first items of a list are left out.
    pub(super) fn offset(&self) -> Result<usize, Refusal> {
        let offset = self.number("offset", 0)?;
        if offset > OFFSET_MAX {
            let flaw = format!("invalid offset parameter: give at most {OFFSET_MAX}");
            return Err(Refusal::invalid(flaw));
        }
        Ok(offset)
    }

    /// The categories that every item of a list has: the one of the path, or else those named here.
    pub(super) fn categories(&self, of_path: Option<String>) -> Vec<String> {
        match of_path {
            Some(category) => vec![category],
            None => self.texts("category").map(str::to_owned).collect(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Query {
        Query::read(query).expect("a query")
    }

    #[test]
    fn what_nobody_knows_is_passed_over_and_categories_are_repeated() {
        let query = read("Cursor=&category=a&n=3&category=&category=b%20c&n=9&x&cursor=k");
        assert_eq!(query.length().ok(), Some(3));
        assert_eq!(query.text("cursor"), Some("k"));
        assert_eq!(query.categories(None), ["a", "b c"]);
        assert_eq!(query.categories(Some("z".into())), ["z"]);
        assert_eq!(read("").categories(None), [""; 0]);
    }

    #[test]
    fn numbers_have_defaults_and_bounds() {
        let length = |query: &str| read(query).length();
        for (query, expected) in [
            ("", 10),
            ("n=", 10),
            ("n=0", 10),
            ("n=7", 7),
            ("n=99999", 1_000),
        ] {
            assert_eq!(length(query).ok(), Some(expected), "{query}");
        }
        for bad in ["n=-1", "n=ten", "n=1.5"] {
            assert!(length(bad).is_err(), "{bad}");
        }
        assert_eq!(read("offset=10000").offset().ok(), Some(10_000));
        assert!(read("offset=10001").offset().is_err());
        assert!(Query::read("n=%ff").is_err() && Query::read("%zz=1").is_err());
    }
}
