//! Vectors of f32 with sums in f64, and of long ones in chunks of fixed size, the same on any number of
//! threads.

use rayon::prelude::*;

/// Values summed by one task.
const CHUNK: usize = 1 << 14;

/// `x · y`, summed in f64, one after the other: for rows.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// ‖x‖², summed in f64.
pub(crate) fn squared_norm(values: &[f32]) -> f64 {
    dot(values, values)
}

/// ‖x‖, summed in f64.
pub fn norm(values: &[f32]) -> f64 {
    squared_norm(values).sqrt()
}

/// `x · y` in chunks on the threads of rayon: for vectors of all parameters.
pub(crate) fn par_dot(a: &[f32], b: &[f32]) -> f64 {
    let chunks = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    let sums: Vec<f64> = chunks.map(|(a, b)| dot(a, b)).collect();
    sums.iter().sum()
}

/// `into += scale · what`.
pub(crate) fn add_scaled(into: &mut [f32], scale: f64, what: &[f32]) {
    let scale = scale as f32;
    let chunks = into.par_chunks_mut(CHUNK).zip(what.par_chunks(CHUNK));
    chunks.for_each(|(into, what)| {
        let sums = into.iter_mut().zip(what);
        sums.for_each(|(sum, value)| *sum += scale * value);
    });
}

/// `into = scale · into + what`.
pub(crate) fn scale_and_add(into: &mut [f32], scale: f64, what: &[f32]) {
    let scale = scale as f32;
    let chunks = into.par_chunks_mut(CHUNK).zip(what.par_chunks(CHUNK));
    chunks.for_each(|(into, what)| {
        let sums = into.iter_mut().zip(what);
        sums.for_each(|(sum, value)| *sum = scale * *sum + value);
    });
}

/// Each value divided by its scale; zero where the scale is.
pub(crate) fn divided(values: &[f32], scales: &[f32]) -> Vec<f32> {
    let pairs = values.par_iter().zip(scales);
    pairs
        .map(|(value, scale)| if *scale > 0.0 { value / scale } else { 0.0 })
        .collect()
}
