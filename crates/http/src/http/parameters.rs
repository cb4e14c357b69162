//! Query strings, read strictly: nothing unknown, nothing twice, nothing half decoded.

use std::ops::RangeInclusive;

use super::problem::{INVALID_QUERY, Problem};
use recant_types::{InvalidId, ItemId, UserId};

/// Parameters that may be given more than once.
const REPEATABLE: [&str; 5] = ["exclude", "allow", "tag", "tags_all", "tags_none"];

/// Longest unknown name that is repeated to the caller.
const SHOWN_NAME_LENGTH_MAX: usize = 24;

/// The parameters of one request, decoded; each can be taken once.
#[derive(Debug)]
pub(super) struct Parameters {
    values: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Splits and decodes `query`; only the `known` names may occur, each once but for those that name
    /// several things.
    pub(super) fn parse(query: Option<&str>, known: &[&'static str]) -> Result<Self, Problem> {
        let mut values: Vec<(&'static str, String)> = Vec::new();
        let parts = query.unwrap_or_default().split('&');
        for (index, part) in parts.enumerate().filter(|(_, part)| !part.is_empty()) {
            let (raw_name, raw_value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(raw_name)
                .and_then(|name| known.iter().copied().find(|known| *known == name))
                .ok_or_else(|| unknown(index, part, known))?;
            let is_second = values.iter().any(|(earlier, _)| *earlier == name);
            if is_second && !REPEATABLE.contains(&name) {
                return Err(invalid(format!("{name} is given twice: give it once")));
            }
            let value = decode(raw_value).ok_or_else(|| {
                invalid(format!(
                    "{name} is not UTF-8 in percent-encoding: write other bytes than letters and \
                     digits as %XX"
                ))
            })?;
            values.push((name, value));
        }
        Ok(Self { values })
    }

    /// Refuses a `+` that is written as it is: some take it for a space and some for itself, and
    /// where an id decides what is erased or whose data are shown nobody may guess.
    pub(super) fn refuse_raw_plus(query: Option<&str>) -> Result<(), Problem> {
        if query.is_some_and(|query| query.contains('+')) {
            let detail = "there is a + in the query: write %2B for a plus sign and %20 for a space";
            return Err(invalid(detail));
        }
        Ok(())
    }

    /// Refuses any parameter at all.
    pub(super) fn refuse(query: Option<&str>) -> Result<(), Problem> {
        Self::parse(query, &[]).map(drop)
    }

    /// Whether a parameter was given and not taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| *known == name)
    }

    /// The text of a parameter, if it was given.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let index = self.values.iter().position(|(known, _)| *known == name)?;
        Some(self.values.swap_remove(index).1)
    }

    /// The texts of a parameter, however often it was given; `None` when it was not.
    fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let given = self.values.extract_if(.., |(known, _)| *known == name);
        let texts: Vec<String> = given.map(|(_, text)| text).collect();
        (!texts.is_empty()).then_some(texts)
    }

    /// `user`, if it was given.
    pub(super) fn user(&mut self) -> Result<Option<UserId>, Problem> {
        self.id("user", UserId::trimmed)
    }

    /// `item`, if it was given.
    pub(super) fn item(&mut self) -> Result<Option<ItemId>, Problem> {
        self.id("item", ItemId::trimmed)
    }

    fn id<T>(
        &mut self,
        name: &str,
        make: impl FnOnce(&str) -> Result<T, InvalidId>,
    ) -> Result<Option<T>, Problem> {
        let made = self.text(name).map(|text| make(&text)).transpose();
        made.map_err(|reason| Problem::invalid_id(&INVALID_QUERY, name, reason))
    }

    /// A whole number within `range`, or `default`.
    pub(super) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => {
                let (least, most) = range.into_inner();
                let detail = format!("{name} must be a whole number from {least} to {most}");
                Err(invalid(detail))
            }
        }
    }

    /// `true` or `false`, or `default`.
    pub(super) fn truth(&mut self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.text(name).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(invalid(format!("{name} must be true or false"))),
        }
    }

    /// Item ids with commas between them; none when the parameter is absent or empty.
    pub(super) fn items(&mut self, name: &str, count_max: usize) -> Result<Vec<ItemId>, Problem> {
        let texts = self.texts(name).unwrap_or_default();
        let given = texts.iter().filter(|text| !text.is_empty());
        let ids: Vec<&str> = given.flat_map(|text| text.split(',')).collect();
        if ids.len() > count_max {
            return Err(invalid(format!("{name} names more than {count_max} items")));
        }
        let items: Result<_, _> = ids.into_iter().map(ItemId::trimmed).collect();
        items.map_err(|reason| Problem::invalid_id(&INVALID_QUERY, name, reason))
    }

    /// Item ids as with [`Parameters::items`]; `None` when the parameter is absent.
    pub(super) fn some_items(
        &mut self,
        name: &str,
        count_max: usize,
    ) -> Result<Option<Vec<ItemId>>, Problem> {
        let given = self.has(name);
        let items = given.then(|| self.items(name, count_max));
        items.transpose()
    }

    /// Tags with commas between them; none when the parameter is absent.
    pub(super) fn tags(&mut self, name: &str, count_max: usize) -> Result<Vec<String>, Problem> {
        let texts = self.texts(name).unwrap_or_default();
        let tags = texts.iter().flat_map(|text| text.split(','));
        let tags: Vec<String> = tags.map(|tag| tag.trim().to_owned()).collect();
        if tags.iter().any(String::is_empty) {
            return Err(invalid(format!("{name} holds an empty tag: leave it out")));
        }
        if tags.len() > count_max {
            return Err(invalid(format!("{name} names more than {count_max} tags")));
        }
        Ok(tags)
    }
}

/// The answer to a query that the call does not take.
pub(super) fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(&INVALID_QUERY, detail)
}

/// A slip like `kk=10` is named. Anything that does not look like a parameter's name is only
/// counted: in `user=tom&jerry` the second part is half of an id whose `&` was not encoded.
fn unknown(index: usize, part: &str, known: &[&'static str]) -> Problem {
    let shown = part.split_once('=').map(|(name, _)| name).filter(|name| {
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        plain && !name.is_empty() && name.len() <= SHOWN_NAME_LENGTH_MAX
    });
    let which = match shown {
        Some(name) => format!("`{name}`"),
        None => format!("number {}", index + 1),
    };
    let takes = match known {
        [] => String::from("takes none"),
        known => format!("takes {}", known.join(", ")),
    };
    invalid(format!(
        "parameter {which} is unknown: this call {takes}; an & inside a value is written %26"
    ))
}

/// Undoes form encoding; `None` for a broken escape or bytes that are not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Parameters, Problem> {
        Parameters::parse(Some(query), &["user", "k", "exclude"])
    }

    #[test]
    fn values_are_decoded_once() {
        let mut parameters = parse("user=a%20b+%C3%A9%252B&k=3").expect("a good query");
        assert_eq!(parameters.text("user").as_deref(), Some("a b é%2B"));
        assert_eq!(parameters.number("k", 1..=5, 1).ok(), Some(3));
        assert_eq!(parameters.text("user"), None, "taken");
    }

    #[test]
    fn ids_are_read_without_the_blanks_around_them() {
        let mut parameters = parse("user=%20u1+&exclude=+a,b%20").expect("a good query");
        let user = parameters.user().expect("an id").expect("given");
        assert_eq!(user.expose(), "u1");
        let items = parameters.items("exclude", 2).expect("two ids");
        let items: Vec<_> = items.iter().map(ItemId::expose).collect();
        assert_eq!(items, ["a", "b"]);
    }

    #[test]
    fn broken_encodings_are_refused() {
        for query in ["user=%ff%fe", "user=%", "user=%4", "user=%zz"] {
            let (code, detail) = (
                "invalid_query",
                parse(query).expect_err("not UTF-8").parts().1.to_owned(),
            );
            assert_eq!(parse(query).expect_err("not UTF-8").parts().0, code);
            assert!(detail.starts_with("user"), "{detail}");
        }
    }

    #[test]
    fn a_slip_is_named_but_half_an_id_is_not() {
        let problem = parse("user=a&kk=3").expect_err("unknown");
        assert!(problem.parts().1.contains("`kk`"), "{problem:?}");
        let problem = parse("user=tom&jerry").expect_err("unknown");
        let detail = problem.parts().1;
        assert!(
            !detail.contains("jerry") && detail.contains("number 2"),
            "{detail}"
        );
    }

    #[test]
    fn the_same_name_twice_is_refused() {
        let problem = parse("k=1&user=a&k=1").expect_err("twice");
        assert!(problem.parts().1.starts_with("k is given twice"));
        assert!(parse("k=1&%6b=1").is_err(), "encoded differently");
        let mut several = parse("exclude=a,b&user=u&exclude=c").expect("a list may be");
        assert_eq!(
            several.items("exclude", 3).map(|items| items.len()).ok(),
            Some(3)
        );
    }

    #[test]
    fn numbers_and_truths_stay_within_what_is_said() {
        for k in [
            "0",
            "1001",
            "-3",
            "ten",
            "1.5",
            "",
            "99999999999999999999999",
        ] {
            let mut parameters = parse(&format!("k={k}")).expect("well-formed");
            let problem = parameters.number("k", 1..=1000, 10).expect_err(k);
            assert!(problem.parts().1.contains("from 1 to 1000"));
        }
        let mut parameters = parse("k=yes").expect("well-formed");
        assert!(parameters.truth("k", true).is_err());
    }

    #[test]
    fn lists_of_items_are_checked_one_by_one() {
        let mut parameters = parse("exclude=a,b").expect("well-formed");
        let items = parameters.items("exclude", 2).expect("two ids");
        assert_eq!(items.len(), 2);
        let mut parameters = parse("exclude=a,,b").expect("well-formed");
        assert!(parameters.items("exclude", 9).is_err(), "an empty id");
        let mut parameters = parse("exclude=").expect("well-formed");
        let none = parameters.some_items("exclude", 9).expect("a list");
        assert_eq!(none.map(|items| items.len()), Some(0));
        let absent = parameters.some_items("exclude", 9).expect("no list");
        assert!(absent.is_none());
        let mut parameters = parse("exclude=a,b,c").expect("well-formed");
        assert!(parameters.items("exclude", 2).is_err(), "too many");
    }
}
