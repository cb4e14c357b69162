//! Spans of time as people write them in a request: `7d`, `12h`, `90m`, `2 weeks`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Longest text that is looked at as a span.
const SPAN_BYTES_MAX: usize = 64;

/// Something is no span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no span of time: write one like 7d, 12h or 90m")]
pub struct InvalidSpan;

/// Reads a span of days, hours, minutes or seconds (`7d`, `1d 12h`, `P7D`); a day has 24 hours, and a
/// month or a year no length of its own.
///
/// ```
/// use std::time::Duration;
/// let week = recant_types::span_of("7d");
/// assert_eq!(week, Ok(Duration::from_secs(7 * 24 * 60 * 60)));
/// assert!(recant_types::span_of("1 month").is_err());
/// ```
pub fn span_of(text: &str) -> Result<Duration, InvalidSpan> {
    if text.len() > SPAN_BYTES_MAX {
        return Err(InvalidSpan);
    }
    let span: Span = text.parse().map_err(|_| InvalidSpan)?;
    let relative = SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(relative).map_err(|_| InvalidSpan)?;
    Duration::try_from(duration).map_err(|_| InvalidSpan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        const HOUR: u64 = 3_600;
        for (text, hours) in [
            ("7d", 168),
            ("7days", 168),
            ("2w", 336),
            ("1d 12h", 36),
            ("P1DT1H", 25),
            ("120m", 2),
        ] {
            let read = span_of(text);
            assert_eq!(read, Ok(Duration::from_secs(hours * HOUR)), "{text}");
        }
        for text in ["", "7", "d", "-1d", "1 month", "1y", "seven days", "1e99d"] {
            assert_eq!(span_of(text), Err(InvalidSpan), "{text}");
        }
        assert_eq!(span_of(&"1d ".repeat(1_000)), Err(InvalidSpan));
    }
}
