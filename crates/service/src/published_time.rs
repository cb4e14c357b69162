//! Times that may be shown: to the minute.
//!
//! How long an erasure takes tells whether what it named existed: a known user's is milliseconds of
//! arithmetic, an unknown one's nothing. So the times of states in records and receipts are cut to
//! whole minutes, as they are made. The time of acceptance, which depends on nothing that is stored,
//! stays exact; it is never after the others. Metrics are exact: they sum over many.

use recant_types::UnixMillis;

const MINUTE_MS: i64 = 60_000;

/// When something happened at `now`, to the minute.
fn to_the_minute(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.div_euclid(MINUTE_MS) * MINUTE_MS)
}

/// When a request of `accepted_at` reached a state at `now`, as it may be shown.
pub(crate) fn published(accepted_at: UnixMillis, now: UnixMillis) -> UnixMillis {
    to_the_minute(now).max(accepted_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_never_before_its_request_and_says_nothing_within_a_minute() {
        let minute = 1_700_000_040_000;
        for (accepted_at, now, shown) in [
            (minute + 1, minute + 2, minute + 1),
            (minute + 1, minute + 59_999, minute + 1),
            (minute + 59_999, minute + 60_001, minute + 60_000),
            (minute, minute, minute),
        ] {
            let shown_at = published(UnixMillis(accepted_at), UnixMillis(now));
            assert_eq!(shown_at, UnixMillis(shown), "{accepted_at} {now}");
        }
    }
}
