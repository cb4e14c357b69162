//! One rule for when something happened, wherever it was said: in a file of any format or in a
//! request.

use crate::date_digits::date_of_digits;
use crate::event::UnixMillis;
use crate::ids::is_null_word;

/// How far ahead of the clock an event may be: a day, so that no time zone and no clock that is
/// somewhat fast is refused.
pub const TIME_AHEAD_MILLISECONDS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// Longest text that is looked at as a time. The longest RFC 3339 time with nanoseconds, an offset
/// and a zone in brackets has fewer bytes.
const TIME_BYTES_MAX: usize = 64;

/// Why something is no time. What was said is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// It is in none of the spellings that are read.
    #[error(
        "is no time that is read: write RFC 3339 or a number since 1970, or name the form with \
         --time-format"
    )]
    Unreadable,
    /// It is not in the form that was named.
    #[error("is not a time of the form that --time-format names")]
    OtherFormat,
    /// It is more than a day ahead of the clock.
    #[error("is more than a day ahead of the clock")]
    Ahead,
}

/// The form of times that the caller named does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no form of a time: write one like %d/%m/%Y %H:%M, with a year, a month and a day, or %s"
)]
pub struct InvalidTimeFormat;

/// How times are read: the clock they must not be ahead of, and a form other than the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeRule {
    latest: UnixMillis,
    format: Option<String>,
}

impl TimeRule {
    /// The usual spellings, and nothing more than a day ahead of `now`.
    pub fn new(now: UnixMillis) -> Self {
        Self {
            latest: UnixMillis(now.0.saturating_add(TIME_AHEAD_MILLISECONDS_MAX)),
            format: None,
        }
    }

    /// The usual spellings, however far ahead: a catalogue may tell of what is to come.
    pub fn of_catalogues() -> Self {
        Self::new(UnixMillis(i64::MAX))
    }

    /// Texts in the form of `strftime` only, UTC where they name no offset.
    pub fn with_format(self, format: &str) -> Result<Self, InvalidTimeFormat> {
        check_format(format)?;
        Ok(Self {
            format: Some(format.to_owned()),
            ..self
        })
    }

    /// The time that a text says, as [`crate::Interaction::timestamp`] keeps it; `None` for a blank
    /// or a word for nothing.
    pub fn text(&self, text: &str) -> Result<Option<i64>, InvalidTime> {
        if let Ok(number) = text.parse::<i64>()
            && self.format.is_none()
        {
            return self.integer(number).map(Some);
        }
        let text = text.trim();
        if text.is_empty() || is_null_word(text) {
            return Ok(None);
        }
        let said = match &self.format {
            Some(format) => parse_as(format, text).ok_or(InvalidTime::OtherFormat)?,
            None => match text.parse::<f64>() {
                Ok(number) => return self.float(number).map(Some),
                Err(_) => parse_text(text).ok_or(InvalidTime::Unreadable)?,
            },
        };
        self.not_ahead(said).map(Some)
    }

    /// The time that a whole number says: a date of 8 or 14 digits, or since 1970 in the unit that
    /// its size tells.
    pub fn integer(&self, number: i64) -> Result<i64, InvalidTime> {
        self.not_ahead(date_of_digits(number).unwrap_or(number))
    }

    /// The time that a number with a fraction says; kept to the millisecond.
    pub fn float(&self, number: f64) -> Result<i64, InvalidTime> {
        // Below it an f64 holds every integer and the conversion is exact enough; above it no unit
        // of time since 1970 has a number that is not in the far future.
        if !number.is_finite() || number.abs() >= i64::MAX as f64 {
            return Err(InvalidTime::Unreadable);
        }
        let whole = number.trunc() as i64;
        let is_seconds = UnixMillis::from_timestamp(whole).0 == whole.saturating_mul(1_000);
        if number.fract() == 0.0 || !is_seconds || date_of_digits(whole).is_some() {
            return self.integer(whole);
        }
        self.not_ahead(timestamp_of_millis((number * 1_000.0).floor() as i64))
    }

    /// A time that is known in milliseconds since 1970.
    pub fn millis(&self, millis: i64) -> Result<i64, InvalidTime> {
        self.not_ahead(timestamp_of_millis(millis))
    }

    fn not_ahead(&self, timestamp: i64) -> Result<i64, InvalidTime> {
        if UnixMillis::from_timestamp(timestamp) <= self.latest {
            Ok(timestamp)
        } else {
            Err(InvalidTime::Ahead)
        }
    }
}

/// A timestamp that [`UnixMillis::from_timestamp`] reads as `millis`, to the second where
/// milliseconds would be taken for another unit: within three years of 1970.
pub fn timestamp_of_millis(millis: i64) -> i64 {
    if millis % 1_000 != 0 && UnixMillis::from_timestamp(millis).0 == millis {
        return millis;
    }
    millis.div_euclid(1_000)
}

/// Milliseconds since 1970 of a text in RFC 3339 or one of its common variants: a blank for the `T`
/// and before the offset, `UTC` or `GMT` for the offset, slashes in the date, no seconds, no time of
/// day, no offset (then it is UTC).
fn parse_text(text: &str) -> Option<i64> {
    let usual = to_rfc3339(text)?;
    if let Ok(time) = usual.parse::<jiff::Timestamp>() {
        return Some(timestamp_of_millis(time.as_millisecond()));
    }
    let civil: jiff::civil::DateTime = usual.parse().ok()?;
    let time = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(timestamp_of_millis(time.timestamp().as_millisecond()))
}

/// The text with a date between hyphens and the offset right after the time of day.
fn to_rfc3339(text: &str) -> Option<String> {
    if text.len() > TIME_BYTES_MAX || !text.is_ascii() {
        return None;
    }
    let mut usual = text.to_owned();
    let bytes = text.as_bytes();
    if bytes.len() >= 10 && bytes[4] == b'/' && bytes[7] == b'/' {
        usual.replace_range(4..5, "-");
        usual.replace_range(7..8, "-");
    }
    for zone in [" UTC", " GMT", " Z", "UTC"] {
        if let Some(rest) = usual.strip_suffix(zone) {
            let rest = rest.trim_end();
            let is_day = rest.len() == "YYYY-MM-DD".len();
            return Some(rest.to_owned() + if is_day { "" } else { "Z" });
        }
    }
    if let Some((time, offset)) = usual.rsplit_once(' ')
        && offset.starts_with(['+', '-'])
    {
        return Some(time.trim_end().to_owned() + offset);
    }
    Some(usual)
}

/// Milliseconds since 1970 of a text in a form of `strftime`.
fn parse_as(format: &str, text: &str) -> Option<i64> {
    let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
    let time = match parsed.to_timestamp() {
        Ok(time) => time,
        Err(_) => {
            let civil = match parsed.to_datetime() {
                Ok(civil) => civil,
                Err(_) => parsed.to_date().ok()?.to_datetime(jiff::civil::Time::MIN),
            };
            civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
        }
    };
    Some(timestamp_of_millis(time.as_millisecond()))
}

/// Whether a moment written in the form reads back from it, to the day.
fn check_format(format: &str) -> Result<(), InvalidTimeFormat> {
    let moment = jiff::Timestamp::from_second(1_700_000_000).map_err(|_| InvalidTimeFormat)?;
    let zoned = moment.to_zoned(jiff::tz::TimeZone::UTC);
    let written = jiff::fmt::strtime::BrokenDownTime::from(&zoned)
        .to_string(format)
        .map_err(|_| InvalidTimeFormat)?;
    let read = parse_as(format, &written).ok_or(InvalidTimeFormat)?;
    let off = (UnixMillis::from_timestamp(read).0 - 1_700_000_000_000).abs();
    if off < TIME_AHEAD_MILLISECONDS_MAX {
        Ok(())
    } else {
        Err(InvalidTimeFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-15T12:30:00Z
    const MOMENT: i64 = 1_705_321_800;

    fn rule() -> TimeRule {
        TimeRule::new(UnixMillis(1_800_000_000_000))
    }

    fn millis(text: &str) -> Result<i64, InvalidTime> {
        let time = rule().text(text)?;
        Ok(UnixMillis::from_timestamp(time.expect("a time")).0)
    }

    #[test]
    fn a_moment_is_the_same_in_every_spelling() {
        for text in [
            "2024-01-15T12:30:00Z",
            "2024-01-15t12:30:00z",
            "2024-01-15 12:30:00",
            "2024-01-15T12:30",
            "2024-01-15 12:30:00 UTC",
            "2024-01-15 12:30:00UTC",
            "2024-01-15 12:30:00.000 GMT",
            "2024-01-15 12:30:00 +0000",
            "2024-01-15 13:30:00 +01:00",
            "2024-01-15 07:30:00 -0500",
            "2024-01-15T13:30:00+01:00",
            "2024-01-15 13:30:00+01",
            "2024/01/15 12:30:00",
            "2024/01/15 12:30:00 UTC",
            "20240115123000",
            "20240115123000.0",
            "1705321800",
            " 1705321800 ",
            "1705321800.0",
            "1.7053218e9",
            "1705321800000",
            "1705321800000000",
            "1705321800000000000",
        ] {
            assert_eq!(millis(text), Ok(MOMENT * 1_000), "{text}");
        }
        for day in ["2024-01-15", "2024/01/15", "20240115", "2024-01-15 UTC"] {
            let midnight = MOMENT - 12 * 3_600 - 30 * 60;
            assert_eq!(millis(day), Ok(midnight * 1_000), "{day}");
        }
    }

    #[test]
    fn numbers_keep_their_unit_and_fractions_their_milliseconds() {
        assert_eq!(rule().text("881250949"), Ok(Some(881_250_949)));
        assert_eq!(rule().text("-5"), Ok(Some(-5)));
        assert_eq!(millis("1705321800.75"), Ok(MOMENT * 1_000 + 750));
        assert_eq!(millis("1705321800123.4"), Ok(MOMENT * 1_000 + 123));
        assert_eq!(millis("2024-01-15T12:30:00.123Z"), Ok(MOMENT * 1_000 + 123));
        assert_eq!(millis("1970-01-02"), Ok(86_400_000));
        assert_eq!(millis("1960-01-01T00:00:00Z"), Ok(-315_619_200_000));
    }

    #[test]
    fn what_is_no_time_is_refused_and_nothing_is_none() {
        for bad in [
            "yesterday",
            "inf",
            "1e300",
            "2023-13-01",
            "12:30",
            "06/24/2022 21:20",
            "2022-06-24 21:20:00 PST",
            "2022-06-24 21:20:00 plus",
            "ünter",
        ] {
            assert_eq!(millis(bad), Err(InvalidTime::Unreadable), "{bad}");
        }
        for nothing in ["", "  ", "NaN", "null", "\\N", "NaT"] {
            assert_eq!(rule().text(nothing), Ok(None), "{nothing}");
        }
    }

    #[test]
    fn a_time_may_be_a_day_ahead_of_the_clock_and_no_more() {
        let rule = TimeRule::new(UnixMillis(MOMENT * 1_000));
        assert!(rule.integer(MOMENT + 86_400).is_ok());
        assert_eq!(rule.integer(MOMENT + 86_401), Err(InvalidTime::Ahead));
        assert_eq!(rule.text("2024-01-17"), Err(InvalidTime::Ahead));
        assert_eq!(rule.text("20240117123000"), Err(InvalidTime::Ahead));
        assert_eq!(rule.float(9e12), Err(InvalidTime::Ahead));
        assert_eq!(rule.integer(4_102_444_800), Err(InvalidTime::Ahead));
    }

    #[test]
    fn a_form_that_is_named_is_the_only_one() {
        let rule = rule().with_format("%m/%d/%Y %H:%M").expect("a form");
        assert_eq!(rule.text("01/15/2024 12:30"), Ok(Some(MOMENT)));
        assert_eq!(rule.text("1705321800"), Err(InvalidTime::OtherFormat));
        assert_eq!(rule.text("2024-01-15"), Err(InvalidTime::OtherFormat));
        assert_eq!(rule.text("01/15/2124 12:30"), Err(InvalidTime::Ahead));
        assert_eq!(rule.text(" "), Ok(None));
        let dates = TimeRule::new(UnixMillis(i64::MAX)).with_format("%d.%m.%Y");
        let midnight = dates.expect("a form").text("15.01.2024");
        assert_eq!(midnight, Ok(Some(MOMENT - 12 * 3_600 - 30 * 60)));
        for form in ["%H:%M", "today", "%Y-%m", "%"] {
            let named = TimeRule::new(UnixMillis(0)).with_format(form);
            assert_eq!(named, Err(InvalidTimeFormat), "{form}");
        }
    }

    #[test]
    fn what_is_kept_means_the_same_when_it_is_read_again() {
        for millis in [0, 1_705_321_800_123, 1_705_321_800_000, -315_619_200_000] {
            let kept = timestamp_of_millis(millis);
            assert_eq!(UnixMillis::from_timestamp(kept), UnixMillis(millis));
        }
    }
}
