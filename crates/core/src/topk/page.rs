//! Sixty-four items in bytes, with bounds on what the bytes leave out.

use pulp::Arch;

use crate::topk::kernel::{GROUPS, Line, SLOTS, STEP_COLUMNS, place};
use crate::topk::transform::Transform;

/// Parts the later coordinates are split into; the norm of each is one code.
pub(super) const PARTS: usize = STEP_COLUMNS;

/// Largest code of a coordinate.
pub(super) const CODE_MAX: f32 = 127.0;

/// Largest code of the norm of a part, one less than a byte holds for rounding up.
const PART_CODE_MAX: f32 = 254.0;

/// What stands for zero: codes are unsigned.
pub(super) const BIAS: u8 = 128;

/// The share of ‖x‖² that the first pass looks at, at least.
const HEAD_ENERGY: f64 = 0.55;

/// Below this many columns of a tail, a second pass saves nothing.
const TAIL_COLUMNS_MIN: usize = 16;

/// Adding and taking this away rounds a small f32 to a whole number.
const ROUNDER: f32 = 12_582_912.0;

/// Covers the rounding of norms computed in f64.
const UP: f64 = 1.0 + 1e-12;

/// The least f32 that is not below `value`.
pub(super) fn up(value: f64) -> f32 {
    let value = value * UP;
    let rounded = value as f32;
    if f64::from(rounded) < value {
        rounded.next_up()
    } else {
        rounded
    }
}

/// How the coordinates of an item are laid out in steps: the head, one step with the norms of the
/// parts of the tail, the tail. Without a tail there is no step of norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) dim: usize,
    /// Columns of the head: whole steps, or all columns.
    pub(super) head: usize,
}

impl Layout {
    /// The split of `transform`'s coordinates.
    pub(super) fn of(dim: usize, transform: &Transform) -> Self {
        let enough = |head: &usize| transform.energy(*head) >= HEAD_ENERGY;
        let split = (STEP_COLUMNS..dim).step_by(STEP_COLUMNS).find(enough);
        let head = split.filter(|head| dim - head >= TAIL_COLUMNS_MIN);
        Self {
            dim,
            head: head.unwrap_or(dim),
        }
    }

    pub(super) fn has_tail(&self) -> bool {
        self.head < self.dim
    }

    pub(super) fn head_steps(&self) -> usize {
        self.head.div_ceil(STEP_COLUMNS)
    }

    /// The lines of a page that the first pass reads: the head and the norms of the parts.
    pub(super) fn first_pass(&self) -> std::ops::Range<usize> {
        0..(self.head_steps() + usize::from(self.has_tail())) * GROUPS
    }

    /// The lines that the second pass reads: the norms of the parts again, and the tail.
    pub(super) fn second_pass(&self) -> std::ops::Range<usize> {
        self.head_steps() * GROUPS..self.steps() * GROUPS
    }

    fn steps(&self) -> usize {
        self.dim.div_ceil(STEP_COLUMNS) + usize::from(self.has_tail())
    }

    /// The columns of each part of the tail.
    pub(super) fn parts(&self) -> [std::ops::Range<usize>; PARTS] {
        let length = self.dim - self.head;
        std::array::from_fn(|part| {
            self.head + length * part / PARTS..self.head + length * (part + 1) / PARTS
        })
    }

    fn step_of(&self, column: usize) -> usize {
        let after_norms = column >= self.head;
        column / STEP_COLUMNS + usize::from(after_norms)
    }
}

/// One item in the coordinates of the index.
#[derive(Debug, Clone)]
pub(super) struct Coordinates {
    pub(super) row: u32,
    values: Vec<f32>,
    pub(super) norm: f32,
    parts: [f32; PARTS],
    /// The scale from which on every code fits.
    scale_min: f32,
}

impl Coordinates {
    pub(super) fn of(
        arch: Arch,
        row: u32,
        x: &[f32],
        layout: &Layout,
        transform: &Transform,
    ) -> Self {
        let mut values = vec![0.0; transform.room()];
        transform.apply(arch, x, &mut values);
        values.truncate(layout.dim);
        let parts = layout.parts().map(|part| up(norm(&values[part])));
        let largest = values
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let by_part = parts.iter().fold(0.0_f32, |most, part| most.max(*part)) / PART_CODE_MAX;
        Self {
            row,
            norm: up(norm(x)),
            parts,
            scale_min: (largest / CODE_MAX).max(by_part).next_up(),
            values,
        }
    }
}

/// ‖x‖ in f64.
pub(super) fn norm(x: &[f32]) -> f64 {
    x.iter()
        .map(|value| f64::from(*value).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Up to [`SLOTS`] items: coordinate y is `scale` · (code − [`BIAS`]) and a rest. The bounds hold
/// for every item of the page.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) rows: [u32; SLOTS],
    /// Bit i says whether slot i holds an item.
    pub(super) occupied: u64,
    pub(super) codes: Box<[Line]>,
    pub(super) scale: f32,
    /// Of ‖x‖.
    pub(super) norm: f32,
    /// Of the norm of the rest, in the head and in all.
    pub(super) head_rest: f32,
    pub(super) rest: f32,
    /// Of the norm of what the codes say, in the head and in all.
    pub(super) head_coded: f32,
    pub(super) coded: f32,
}

impl Page {
    /// A page of these items, at most [`SLOTS`], with a scale that fits them all.
    pub(super) fn of(layout: &Layout, items: &[Coordinates]) -> Self {
        let slots = items.iter().enumerate();
        Self::with_slots(layout, slots)
    }

    /// A page with the items at the given slots.
    pub(super) fn with_slots<'a>(
        layout: &Layout,
        items: impl Iterator<Item = (usize, &'a Coordinates)> + Clone,
    ) -> Self {
        let scales = items.clone().map(|(_, item)| item.scale_min);
        let mut page = Self {
            rows: [0; SLOTS],
            occupied: 0,
            codes: vec![Line::ZERO; layout.steps() * GROUPS].into_boxed_slice(),
            scale: scales.fold(f32::MIN_POSITIVE, f32::max),
            norm: 0.0,
            head_rest: 0.0,
            rest: 0.0,
            head_coded: 0.0,
            coded: 0.0,
        };
        for (slot, item) in items {
            let fits = page.try_set(layout, slot, item);
            debug_assert!(fits, "the scale is that of the largest");
        }
        page
    }

    /// Puts an item into a slot unless the page's scale is too fine for it.
    pub(super) fn try_set(&mut self, layout: &Layout, slot: usize, item: &Coordinates) -> bool {
        if item.scale_min > self.scale {
            return false;
        }
        let (rest, coded) = self.encode(layout, slot, item, 0..layout.head);
        let (tail_rest, tail_coded) = self.encode(layout, slot, item, layout.head..layout.dim);
        if layout.has_tail() {
            for (part, norm) in item.parts.into_iter().enumerate() {
                let code = (f64::from(norm) / f64::from(self.scale) * UP).ceil();
                *self.code(layout.head_steps(), slot, part) = code as u8;
            }
        }
        let raise = |bound: &mut f32, square: f64| *bound = bound.max(up(square.sqrt()));
        raise(&mut self.head_rest, rest);
        raise(&mut self.head_coded, coded);
        raise(&mut self.rest, rest + tail_rest);
        raise(&mut self.coded, coded + tail_coded);
        self.norm = self.norm.max(item.norm);
        self.rows[slot] = item.row;
        self.occupied |= 1 << slot;
        true
    }

    /// Writes the codes of some columns; the squared norms of the rest and of what was coded.
    fn encode(
        &mut self,
        layout: &Layout,
        slot: usize,
        item: &Coordinates,
        columns: std::ops::Range<usize>,
    ) -> (f64, f64) {
        let (mut rest, mut coded) = (0.0_f64, 0.0_f64);
        let inverse = self.scale.recip();
        for column in columns {
            let value = item.values[column];
            let rounded = (value * inverse + ROUNDER) - ROUNDER;
            let code = rounded.clamp(-CODE_MAX, CODE_MAX);
            let shown = f64::from(code) * f64::from(self.scale);
            rest += (f64::from(value) - shown).powi(2);
            coded += shown.powi(2);
            let step = layout.step_of(column);
            *self.code(step, slot, column % STEP_COLUMNS) = (code as i32 + i32::from(BIAS)) as u8;
        }
        (rest, coded)
    }

    fn code(&mut self, step: usize, slot: usize, column: usize) -> &mut u8 {
        let (line, at) = place(slot, column);
        &mut self.codes[step * GROUPS + line].0[at]
    }

    /// Empties a slot. The bounds stay: they hold for fewer items too.
    pub(super) fn vacate(&mut self, slot: usize) {
        self.occupied &= !(1 << slot);
    }

    /// The slots that hold items, with their rows.
    pub(super) fn items(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let occupied = self.occupied;
        let held = (0..SLOTS).filter(move |slot| occupied >> slot & 1 == 1);
        held.map(|slot| (slot, self.rows[slot]))
    }
}
