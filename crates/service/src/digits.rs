//! Numbers short enough to be read and pasted.

/// `value` with two significant digits, `round`ed; positive and finite numbers only. What is
/// printed is then exactly what was used.
pub fn two_digits(value: f64, round: fn(f64) -> f64) -> f64 {
    let exponent = 1 - value.log10().floor() as i32;
    // The nearest number to a short decimal one is a whole number divided, or multiplied, by a
    // whole power of ten. Two digits of 0.02 may be 20.000000000000004 thousandths.
    if exponent >= 0 {
        round(value * 10.0f64.powi(exponent) - 1e-9) / 10.0f64.powi(exponent)
    } else {
        round(value / 10.0f64.powi(-exponent) - 1e-9) * 10.0f64.powi(-exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_their_print_says() {
        for (value, expected) in [
            (0.018, "0.018"),
            (0.0546, "0.055"),
            (3.161, "3.2"),
            (271.8, "270"),
            (0.000_123, "0.00012"),
        ] {
            assert_eq!(two_digits(value, f64::round).to_string(), expected);
        }
        assert_eq!(two_digits(0.0201, f64::ceil).to_string(), "0.021");
        for exact in [0.01, 0.02, 0.03, 0.07, 1.1, 2.3, 45.0, 0.0013] {
            assert_eq!(two_digits(exact, f64::ceil), exact);
        }
    }
}
