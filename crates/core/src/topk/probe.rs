//! A query in bytes, and the whole number that the bytes of an item must reach to stay in question.

use pulp::Arch;

use crate::topk::kernel::STEP_COLUMNS;
use crate::topk::page::{BIAS, CODE_MAX, Layout, Page, norm, up};
use crate::topk::score::LANES;
use crate::topk::transform::{ROUNDOFF, Transform};

/// Largest code of the norm of a part, one less than fits for rounding up.
const PART_CODE_MAX: f32 = 126.0;

/// Covers the rounding of a threshold in f64, in units of whole sums.
const THRESHOLD_MARGIN: f64 = 0.01;

/// A query q, ready for pages.
///
/// With v = R q and y = R x, v = t·w + f and y = s·z + e (w, z whole numbers, t, s scales) the
/// score of x is at most
///
/// first pass: `s·t·(Σ_head w z + Σ_parts ⌈‖v_part‖/t⌉⌈‖y_part‖/s⌉) + ‖v_head‖‖e_head‖ +
/// ‖f_head‖‖s z_head‖ + μ‖q‖‖x‖`
///
/// second pass: `s·t·Σ w z + ‖v‖‖e‖ + ‖f‖‖s z‖ + μ‖q‖‖x‖`
///
/// by Cauchy–Schwarz, on the parts of the tail and on the rests. μ covers the rounding of the
/// transform and of the f32 score itself.
#[derive(Debug)]
pub(super) struct Probe {
    /// ‖q‖(1 + μ): times the norm of an item, a bound on its score.
    pub(super) norm_bound: f64,
    scale: f64,
    first: Pass,
    second: Pass,
    /// μ‖q‖.
    rounding: f64,
}

/// One pass over the codes.
#[derive(Debug)]
struct Pass {
    words: Vec<u32>,
    /// What the bias of the codes adds to each sum.
    bias: f64,
    /// ‖v‖ and ‖f‖ of its columns.
    norm: f64,
    rest: f64,
}

impl Probe {
    /// The probe of a query whose norm is `norm`.
    pub(super) fn of(
        arch: Arch,
        query: &[f32],
        query_norm: f64,
        layout: &Layout,
        transform: &Transform,
    ) -> Self {
        let mut values = vec![0.0; transform.room()];
        transform.apply(arch, query, &mut values);
        let values = &values[..layout.dim];
        let parts = layout.parts().map(|part| up(norm(&values[part])));
        let largest = values
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let by_part = parts.iter().fold(0.0_f32, |most, part| most.max(*part)) / PART_CODE_MAX;
        let scale = (largest / CODE_MAX)
            .max(by_part)
            .max(f32::MIN_POSITIVE)
            .next_up();
        let roundings = (layout.dim.div_ceil(LANES) + 8) as f64;
        let relative = transform.error() + 1.1 * roundings * ROUNDOFF;
        let coded = Coded::of(values, scale);
        let part_codes = parts.map(|part| (f64::from(part) / f64::from(scale)).ceil() as i8);
        Self {
            norm_bound: query_norm * (1.0 + relative),
            scale: f64::from(scale),
            first: Pass::first(layout, &coded, values, part_codes),
            second: Pass::second(layout, &coded, values, part_codes),
            rounding: relative * query_norm,
        }
    }

    /// The words of the first pass: the head, and the norms of the parts if there is a tail.
    pub(super) fn first_words(&self) -> &[u32] {
        &self.first.words
    }

    /// The words of the second pass: they take the norms of the parts away again, and add the tail.
    pub(super) fn second_words(&self) -> &[u32] {
        &self.second.words
    }

    /// What the sum of an item of `page` must reach after the first pass for its score to be
    /// `score`.
    #[inline]
    pub(super) fn first_threshold(&self, page: &Page, score: f32) -> i32 {
        let slack = self.first.norm * f64::from(page.head_rest)
            + self.first.rest * f64::from(page.head_coded);
        self.threshold(page, score, slack, self.first.bias)
    }

    /// The same after the second pass.
    #[inline]
    pub(super) fn second_threshold(&self, page: &Page, score: f32) -> i32 {
        let slack =
            self.second.norm * f64::from(page.rest) + self.second.rest * f64::from(page.coded);
        self.threshold(page, score, slack, self.second.bias)
    }

    #[inline]
    fn threshold(&self, page: &Page, score: f32, slack: f64, bias: f64) -> i32 {
        let slack = slack + self.rounding * f64::from(page.norm);
        let unit = self.scale * f64::from(page.scale);
        let sum = (f64::from(score) - slack) / unit + bias;
        // A cast keeps to the limits of i32; no sum of codes reaches those.
        (sum - THRESHOLD_MARGIN).floor() as i32
    }
}

/// The query's codes and what they leave out.
struct Coded {
    codes: Vec<i8>,
    rest: Vec<f32>,
}

impl Coded {
    fn of(values: &[f32], scale: f32) -> Self {
        let code = |value: &f32| (value / scale).round_ties_even() as i8;
        let codes: Vec<i8> = values.iter().map(code).collect();
        let rest = values.iter().zip(&codes);
        let rest = rest
            .map(|(value, code)| up_away(f64::from(*value) - f64::from(*code) * f64::from(scale)));
        Self {
            rest: rest.collect(),
            codes,
        }
    }
}

/// A value as f32, not nearer to zero.
fn up_away(value: f64) -> f32 {
    up(value.abs())
}

impl Pass {
    fn first(layout: &Layout, coded: &Coded, values: &[f32], parts: [i8; STEP_COLUMNS]) -> Self {
        let mut words = words(&coded.codes[..layout.head]);
        if layout.has_tail() {
            words.push(word(&parts));
        }
        Self {
            words,
            bias: bias(&coded.codes[..layout.head]),
            norm: norm(&values[..layout.head]) * (1.0 + 1e-12),
            rest: norm(&coded.rest[..layout.head]) * (1.0 + 1e-12),
        }
    }

    fn second(layout: &Layout, coded: &Coded, values: &[f32], parts: [i8; STEP_COLUMNS]) -> Self {
        let mut second = Vec::new();
        if layout.has_tail() {
            second.push(word(&parts.map(|part| -part)));
            second.extend(words(&coded.codes[layout.head..]));
        }
        Self {
            words: second,
            bias: bias(&coded.codes),
            norm: norm(values) * (1.0 + 1e-12),
            rest: norm(&coded.rest) * (1.0 + 1e-12),
        }
    }
}

fn words(codes: &[i8]) -> Vec<u32> {
    codes.chunks(STEP_COLUMNS).map(word).collect()
}

fn word(codes: &[i8]) -> u32 {
    let mut bytes = [0; STEP_COLUMNS];
    for (byte, code) in bytes.iter_mut().zip(codes) {
        *byte = code.cast_unsigned();
    }
    u32::from_le_bytes(bytes)
}

fn bias(codes: &[i8]) -> f64 {
    let sum: i64 = codes.iter().map(|code| i64::from(*code)).sum();
    sum as f64 * f64::from(BIAS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topk::kernel::{Kernel, SLOTS, Sums};
    use crate::topk::page::Coordinates;
    use crate::topk::rows::PagedRows;
    use crate::topk::score::score;

    /// Sums of a page after both passes.
    fn sums(layout: &Layout, page: &Page, probe: &Probe) -> [Sums; 2] {
        let kernel = Kernel::best();
        let mut first = [0; SLOTS];
        kernel.add(
            &page.codes[layout.first_pass()],
            probe.first_words(),
            &mut first,
            0,
        );
        let mut second = first;
        if !probe.second_words().is_empty() {
            kernel.add(
                &page.codes[layout.second_pass()],
                probe.second_words(),
                &mut second,
                0,
            );
        }
        [first, second]
    }

    proptest! {
        /// The bounds themselves: an item is never left out by its own score, and stays in question
        /// for scores that are little above it only.
        #[test]
        fn no_item_is_left_out_by_its_own_score(
            dim in prop_oneof![1_usize..12, 60_usize..130],
            values in prop::collection::vec(-1.0_f32..1.0, 512),
            decay in prop_oneof![Just(0.0_f32), Just(1.0), Just(3.0)],
            scale in prop_oneof![Just(1.0_f32), Just(1e-8), Just(1e8)],
        ) {
            let value = |row: usize, column: usize| {
                let value = values[(row * 131 + column * 17 + row * row) % 512];
                value / (1.0 + column as f32).powf(decay) * if row < 3 { scale } else { 1.0 }
            };
            let fill = |row: usize, into: &mut [f32]| {
                into.iter_mut().enumerate().for_each(|(column, x)| *x = value(row, column));
            };
            let rows = PagedRows::from_rows(SLOTS, dim, fill);
            let arch = Arch::new();
            let transform = Transform::of(&rows, |_| true);
            let layout = Layout::of(dim, &transform);
            let items: Vec<Coordinates> = (0..SLOTS as u32)
                .map(|row| Coordinates::of(arch, row, rows.row(row), &layout, &transform))
                .collect();
            let page = Page::of(&layout, &items);
            let query: Vec<f32> = (0..dim).map(|column| value(99, column) * scale).collect();
            let query_norm = norm(&query);
            prop_assume!(query_norm > 1e-9);
            let probe = Probe::of(arch, &query, query_norm, &layout, &transform);
            let [first, second] = sums(&layout, &page, &probe);
            for (slot, item) in items.iter().enumerate() {
                let score = score(arch, &query, rows.row(item.row));
                prop_assert!(first[slot] >= probe.first_threshold(&page, score));
                prop_assert!(second[slot] >= probe.second_threshold(&page, score));
                let norms = probe.norm_bound * f64::from(item.norm);
                prop_assert!(f64::from(score).abs() <= norms);
                let above = score + 0.15 * (query_norm * f64::from(page.norm)) as f32;
                prop_assert!(second[slot] < probe.second_threshold(&page, above));
            }
        }
    }
}
