//! Times as clients of gorse write and read them.

use crate::http::scalar::{Scalar, time};
use recant_types::{InvalidTime, TimeRule, UnixMillis, timestamp_of_millis};

/// Go's zero time, which stands for none.
const ZERO: &str = "0001-01-01T00:00:00Z";

/// The same, in seconds since 1970.
const ZERO_SECONDS: i64 = -62_135_596_800;

const SECOND_MILLISECONDS: i64 = 1_000;

/// The last millisecond of a second.
const SECOND_END: i64 = SECOND_MILLISECONDS - 1;

/// The time that a value says; none where it says nothing, or Go's zero.
pub(super) fn read(value: Scalar, times: &TimeRule) -> Result<Option<i64>, InvalidTime> {
    let said = time(value, times)?;
    Ok(said.filter(|said| *said != ZERO_SECONDS))
}

/// When an event happened of which a client says a time: the end of its second, when it is to the
/// second, as most clients write the present. Else what is sent right after an erasure would lie
/// before it. The same word is the same time whenever it comes, so that what was erased stays away.
pub(super) fn of_event(said: i64) -> i64 {
    let millis = UnixMillis::from_timestamp(said).0;
    if millis % SECOND_MILLISECONDS == 0 {
        return timestamp_of_millis(millis + SECOND_END);
    }
    said
}

/// The time of an event as it was said: to the second, when it is the end of one.
pub(super) fn shown_of_event(timestamp: Option<i64>) -> String {
    shown(timestamp.map(|timestamp| {
        let millis = UnixMillis::from_timestamp(timestamp).0;
        if millis.rem_euclid(SECOND_MILLISECONDS) == SECOND_END {
            return timestamp_of_millis(millis - SECOND_END);
        }
        timestamp
    }))
}

/// A time in RFC 3339, with a fraction where it has one; Go's zero time for none.
pub(super) fn shown(timestamp: Option<i64>) -> String {
    let Some(timestamp) = timestamp else {
        return ZERO.to_owned();
    };
    let text = UnixMillis::from_timestamp(timestamp).to_rfc3339();
    text.replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_spelling_and_shown_in_one() {
        let rule = TimeRule::of_catalogues();
        for (text, expected) in [
            ("2022-08-07T00:26:46Z", "2022-08-07T00:26:46Z"),
            ("2022-08-07T00:26:46.250+00:00", "2022-08-07T00:26:46.250Z"),
            ("2022-08-07 00:26:46", "2022-08-07T00:26:46Z"),
            ("2022-08-07", "2022-08-07T00:00:00Z"),
            ("2022/08/07 00:26:46", "2022-08-07T00:26:46Z"),
            ("1659832006", "2022-08-07T00:26:46Z"),
            ("", ZERO),
            (ZERO, ZERO),
        ] {
            let said = read(Scalar::Text(text.to_owned()), &rule);
            assert_eq!(shown(said.expect(text)), expected, "{text}");
        }
        assert!(read(Scalar::Text("yesterday".to_owned()), &rule).is_err());
        assert_eq!(read(Scalar::Absent, &rule), Ok(None));
    }

    #[test]
    fn an_event_to_the_second_is_at_the_end_of_it_and_shown_as_it_was_said() {
        for (said, expected) in [
            (1_700_000_000, 1_700_000_000_999),
            (1_700_000_000_000, 1_700_000_000_999),
            (1_700_000_000_100, 1_700_000_000_100),
        ] {
            assert_eq!(of_event(said), expected);
            assert_eq!(shown_of_event(Some(expected)), shown(Some(said)));
        }
        assert_eq!(shown_of_event(None), ZERO);
    }
}
