//! Times as clients of gorse write and read them.

use crate::http::scalar::{Scalar, time};
use recant_types::{InvalidTime, TimeRule, UnixMillis, timestamp_of_millis};

/// Go's zero time, which stands for none.
const ZERO: &str = "0001-01-01T00:00:00Z";

/// The same, in seconds since 1970.
const ZERO_SECONDS: i64 = -62_135_596_800;

const SECOND_MILLISECONDS: i64 = 1_000;

/// How long ago a time to the second may be that stands for the present: the rest of its second, and
/// one for the way here.
const PRESENT_MILLISECONDS: i64 = 2 * SECOND_MILLISECONDS;

/// The time that a value says; none where it says nothing, or Go's zero.
pub(super) fn read(value: Scalar, times: &TimeRule) -> Result<Option<i64>, InvalidTime> {
    let said = time(value, times)?;
    Ok(said.filter(|said| *said != ZERO_SECONDS))
}

/// When an event happened of which a client says a time. Most write the present to the second, which
/// happens `now`: else what is sent right after an erasure would lie before it.
pub(super) fn of_event(said: Option<i64>, now: UnixMillis) -> Option<i64> {
    let said = said?;
    let millis = UnixMillis::from_timestamp(said).0;
    let is_to_the_second = millis % SECOND_MILLISECONDS == 0;
    if is_to_the_second && (0..PRESENT_MILLISECONDS).contains(&(now.0 - millis)) {
        return Some(timestamp_of_millis(now.0));
    }
    Some(said)
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
    fn the_present_to_the_second_is_now_and_the_past_stays() {
        let now = UnixMillis(1_700_000_000_900);
        for said in [1_700_000_000, 1_699_999_999] {
            assert_eq!(of_event(Some(said), now), Some(1_700_000_000_900));
        }
        for said in [1_699_999_998, 1_700_000_001, 1_700_000_000_100] {
            assert_eq!(of_event(Some(said), now), Some(said));
        }
        assert_eq!(of_event(None, now), None);
    }
}
