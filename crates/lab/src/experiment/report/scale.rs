//! From values to places in a plot.

/// Room that a logarithmic scale leaves at both ends, as a factor.
const LOG_MARGIN: f64 = 1.25;

/// Room that a linear scale leaves at both ends, as a share.
const LINEAR_MARGIN: f64 = 0.06;

/// Most marks along a logarithmic scale before only some decades are named.
const DECADES_MAX: i32 = 8;

/// A scale over a range of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    is_logarithmic: bool,
    /// Places of both ends.
    start: f64,
    end: f64,
}

impl Scale {
    /// A logarithmic scale that holds every positive value; `None` without any.
    pub(super) fn logarithmic(
        values: impl Iterator<Item = f64>,
        start: f64,
        end: f64,
    ) -> Option<Self> {
        let values = values.filter(|value| *value > 0.0 && value.is_finite());
        let (from, to) = range(values)?;
        Some(Self {
            from: from / LOG_MARGIN,
            to: to * LOG_MARGIN,
            is_logarithmic: true,
            start,
            end,
        })
    }

    /// A linear scale that holds every value, and zero; `None` without any.
    pub(super) fn linear(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Option<Self> {
        let (from, to) = range(values.filter(|value| value.is_finite()))?;
        let (from, to) = (from.min(0.0), to.max(0.0));
        let margin = LINEAR_MARGIN * (to - from).max(1e-12);
        Some(Self {
            from: from - margin,
            to: to + margin,
            is_logarithmic: false,
            start,
            end,
        })
    }

    /// The place of a value; of one outside the range, the nearest end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.is_logarithmic {
            true if value > 0.0 => (value / self.from).ln() / (self.to / self.from).ln(),
            true => 0.0,
            false => (value - self.from) / (self.to - self.from),
        };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// Round values along the scale with their names.
    pub(super) fn marks(&self) -> Vec<(f64, String)> {
        if self.is_logarithmic {
            self.decades()
        } else {
            self.round_steps()
        }
    }

    fn decades(&self) -> Vec<(f64, String)> {
        let (first, last) = (
            self.from.log10().ceil() as i32,
            self.to.log10().floor() as i32,
        );
        let step = ((last - first) / DECADES_MAX + 1).max(1) as usize;
        let named = |power: i32| (10f64.powi(power), power_of_ten(power));
        let marks: Vec<_> = (first..=last).step_by(step).map(named).collect();
        match marks.len() {
            // Within one decade: ones, twos and fives.
            0 | 1 => self.within_a_decade(),
            _ => marks,
        }
    }

    fn within_a_decade(&self) -> Vec<(f64, String)> {
        let below = self.from.log10().floor() as i32;
        let values = (below..=below + 2)
            .flat_map(|power| [1.0, 2.0, 3.0, 5.0].map(|digit| digit * 10f64.powi(power)));
        values
            .filter(|value| (self.from..=self.to).contains(value))
            .map(|value| (value, short(value)))
            .collect()
    }

    fn round_steps(&self) -> Vec<(f64, String)> {
        let step = round_up((self.to - self.from) / 5.0);
        let (first, last) = (
            (self.from / step).ceil() as i64,
            (self.to / step).floor() as i64,
        );
        (first..=last)
            .map(|nth| nth as f64 * step)
            .map(|value| (value, short(value)))
            .collect()
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| {
        let (from, to) = range.unwrap_or((value, value));
        Some((from.min(value), to.max(value)))
    })
}

/// The least of 1, 2, 5 × a power of ten that is not below `value`.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    let candidates = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    candidates
        .into_iter()
        .find(|c| *c >= value)
        .unwrap_or(10.0 * power)
}

fn power_of_ten(power: i32) -> String {
    match power {
        -3..=4 => short(10f64.powi(power)),
        _ => format!("1e{power}"),
    }
}

fn short(value: f64) -> String {
    if value != 0.0 && (value.abs() < 1e-4 || value.abs() >= 1e6) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
            #[test]
            fn places_keep_the_order_and_stay_inside(
                values in prop::collection::vec(1e-9f64..1e6, 1..20),
                is_logarithmic in any::<bool>(),
            ) {
                let all = values.iter().copied();
                let scale = if is_logarithmic {
    Scale::logarithmic(all, 10.0, 90.0)
    } else {
    Scale::linear(all, 10.0, 90.0)
    };
                let scale = scale.expect("there are values");
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let places: Vec<f64> = sorted.iter().map(|value| scale.place(*value)).collect();
                prop_assert!(places.is_sorted());
                prop_assert!(places.iter().all(|place| (10.0..=90.0).contains(place)));
                for (value, _) in scale.marks() {
                    prop_assert!((10.0..=90.0).contains(&scale.place(value)));
                }
            }
        }

    #[test]
    fn marks_have_round_names() {
        let names = |scale: Option<Scale>| -> Vec<String> {
            let marks = scale.expect("there are values").marks();
            marks.into_iter().map(|(_, name)| name).collect()
        };
        let values = [1e-6, 0.5];
        let found = names(Scale::logarithmic(values.into_iter(), 0.0, 1.0));
        assert_eq!(found, ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1"]);
        let found = names(Scale::logarithmic([0.2, 0.6].into_iter(), 0.0, 1.0));
        assert_eq!(found, ["0.2", "0.3", "0.5"]);
        let found = names(Scale::linear([-0.02, 0.03].into_iter(), 0.0, 1.0));
        assert_eq!(found, ["-0.02", "0", "0.02"]);
        assert_eq!(Scale::logarithmic([0.0, -1.0].into_iter(), 0.0, 1.0), None);
    }
}
