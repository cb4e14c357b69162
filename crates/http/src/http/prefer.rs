//! The `Prefer` header (RFC 7240), as far as it asks to wait.

use std::time::Duration;

use axum::http::HeaderMap;

/// Longest wait granted; a caller who asks for more gets this much.
const WAIT_SECONDS_MAX: u64 = 60;

/// The wait of `Prefer: wait=S`, capped. The first one counts; a preference that is not understood
/// is ignored, as the RFC has it.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter();
    let preferences = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let seconds = preferences.filter_map(wait_seconds).next()?;
    Some(Duration::from_secs(seconds.min(WAIT_SECONDS_MAX)))
}

/// The seconds of one preference, if it is a `wait`.
fn wait_seconds(preference: &str) -> Option<u64> {
    let token = preference.split(';').next()?;
    let (name, value) = token.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("wait") {
        return None;
    }
    let digits = value.trim().trim_matches('"');
    // Longer than any sensible number is still a wish to wait long.
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().expect("a header"));
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_found_among_other_preferences() {
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&["wait=5"]), Some(5));
        assert_eq!(seconds(&["respond-async, Wait = 7 ; x=y"]), Some(7));
        assert_eq!(seconds(&["return=minimal", "wait=\"9\""]), Some(9));
        assert_eq!(seconds(&["wait=0"]), Some(0));
    }

    #[test]
    fn a_wait_is_capped_and_nonsense_is_ignored() {
        assert_eq!(seconds(&["wait=61"]), Some(60));
        assert_eq!(seconds(&["wait=99999999999999999999999"]), Some(60));
        for nonsense in ["wait", "wait=", "wait=-1", "wait=1.5", "waits=3"] {
            assert_eq!(seconds(&[nonsense]), None, "{nonsense}");
        }
    }
}
