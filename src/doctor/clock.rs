//! Whether the clock can be believed: receipts, tombstones and the order of events rest on it.

use super::facts::clock::Clock;
use super::finding::Finding;
use recant_types::UnixMillis;

/// No clock that is right says an earlier time than this program was written at: 2025.
const EARLIEST: UnixMillis = UnixMillis(1_735_689_600_000);
/// 2100.
const LATEST: UnixMillis = UnixMillis(4_102_444_800_000);

/// How far a clock may have been set back without anybody noticing: times that are shown are rounded
/// to the minute.
const BACK_MILLISECONDS_MAX: i64 = 60_000;

/// What there is to say about the clock.
pub(super) fn findings(clock: &Clock) -> Vec<Finding> {
    vec![time(clock), synchronised(clock)]
}

fn time(clock: &Clock) -> Finding {
    const CHECK: &str = "clock.time";
    const SET: &str = "set the clock, and let it be kept right by NTP";
    let now = clock.now.to_rfc3339();
    if clock.now < EARLIEST || clock.now > LATEST {
        return Finding::problem(
            CHECK,
            format!(
                "the clock says {now}: receipts would be dated so, and events be refused or held back"
            ),
            SET,
        );
    }
    match clock.newest {
        Some(newest) if newest.0 > clock.now.0.saturating_add(BACK_MILLISECONDS_MAX) => {
            Finding::problem(
                CHECK,
                format!(
                    "the clock says {now}, and the store noted something at {}: it was set back, or \
                     was fast then; what happens until that time is taken for older than erasures",
                    newest.to_rfc3339()
                ),
                SET,
            )
        }
        Some(_) => Finding::ok(
            CHECK,
            format!("the clock says {now}, later than anything in the store"),
        ),
        None => Finding::ok(CHECK, format!("the clock says {now}")),
    }
}

fn synchronised(clock: &Clock) -> Finding {
    const CHECK: &str = "clock.synchronised";
    match clock.synchronised {
        Some(true) => Finding::ok(CHECK, "the clock is kept right by the network"),
        Some(false) => Finding::warning(
            CHECK,
            "nothing keeps the clock right: times in receipts, and what counts as older than an \
             erasure, drift with it",
            "turn on NTP: `timedatectl set-ntp true`, or chrony",
        ),
        None => Finding::unseen(
            CHECK,
            "whether the clock is kept right is not shown here, as in a container, whose host has the \
             clock",
            "ask `timedatectl` or `chronyc tracking` on the machine itself",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_clock_is_held_against_the_calendar_and_against_the_store() {
        let year = 1_800_000_000_000;
        for (now, newest, expected) in [
            (0, None, Severity::Problem),
            (9_000_000_000_000, None, Severity::Problem),
            (year, None, Severity::Ok),
            (year, Some(year - 1), Severity::Ok),
            (year, Some(year + 30_000), Severity::Ok),
            (year, Some(year + 3_600_000), Severity::Problem),
        ] {
            let clock = Clock {
                now: UnixMillis(now),
                newest: newest.map(UnixMillis),
                synchronised: Some(true),
            };
            assert_eq!(time(&clock).severity, expected, "{now} {newest:?}");
        }
    }

    #[test]
    fn a_clock_that_drifts_is_warned_of_and_one_that_nobody_knows_is_unseen() {
        for (synchronised, expected) in [
            (Some(true), Severity::Ok),
            (Some(false), Severity::Warning),
            (None, Severity::Unseen),
        ] {
            let clock = Clock {
                now: UnixMillis(1_800_000_000_000),
                newest: None,
                synchronised,
            };
            assert_eq!(findings(&clock)[1].severity, expected);
        }
    }
}
