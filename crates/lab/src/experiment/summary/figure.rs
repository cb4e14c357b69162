//! Figures as people read them.

use super::spread::Spread;

/// A figure with as many digits as are of interest; a dash where there is none.
pub fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if value.abs() < 1e-3 || value.abs() >= 1e5 => format!("{value:.1e}"),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.4}"),
    }
}

/// A mean, and the range where there are several values.
pub(crate) fn spread(spread: Option<Spread>) -> String {
    let mean = figure(spread.map(|spread| spread.mean));
    match spread {
        Some(spread) if spread.count > 1 && spread.least < spread.largest => {
            let (least, largest) = (figure(Some(spread.least)), figure(Some(spread.largest)));
            format!("{mean} ({least} to {largest})")
        }
        _ => mean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, expected) in [
            (None, "–"),
            (Some(0.0), "0"),
            (Some(1.23456e-7), "1.2e-7"),
            (Some(0.123456), "0.1235"),
            (Some(12.345), "12.3"),
            (Some(1234.5), "1234"),
            (Some(2.5e9), "2.5e9"),
        ] {
            assert_eq!(figure(value), expected);
        }
    }

    #[test]
    fn a_range_is_told_where_there_is_one() {
        assert_eq!(spread(Spread::from_values(&[0.5])), "0.5000");
        assert_eq!(
            spread(Spread::from_values(&[0.5, 0.25])),
            "0.3750 (0.2500 to 0.5000)"
        );
        assert_eq!(spread(Spread::from_values(&[])), "–");
    }
}
