//! Dates that are written as one number.

/// What numbers of 8 and of 14 digits are when they read as a date: `YYYYMMDD` and
/// `YYYYMMDDhhmmss`.
const DATE_DIGITS: std::ops::RangeInclusive<i64> = 19_000_101..=21_991_231;
const DATE_TIME_DIGITS: std::ops::RangeInclusive<i64> = 19_000_101_000_000..=21_991_231_235_959;

/// The seconds since 1970 of a number whose 8 or 14 digits are a date.
pub(crate) fn date_of_digits(number: i64) -> Option<i64> {
    let (date, clock) = if DATE_TIME_DIGITS.contains(&number) {
        (number / 1_000_000, number % 1_000_000)
    } else if DATE_DIGITS.contains(&number) {
        (number, 0)
    } else {
        return None;
    };
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    let (hour, minute, second) = (clock / 10_000, clock / 100 % 100, clock % 100);
    let time = jiff::civil::DateTime::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
        0,
    );
    let time = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_second())
}

/// Milliseconds since 1970 of the 14 digits that a source once gave as a timestamp.
pub(crate) fn millis_of_date_digits(number: i64) -> Option<i64> {
    DATE_TIME_DIGITS.contains(&number).then_some(())?;
    Some(date_of_digits(number)? * 1_000)
}
