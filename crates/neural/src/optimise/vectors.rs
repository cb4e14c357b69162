//! Long vectors of f32: sums in f64, in chunks of fixed size, the same on any number of threads.

use rayon::prelude::*;

/// Values summed by one task.
const CHUNK: usize = 1 << 14;

/// `x · y`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let chunks = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    let sums: Vec<f64> = chunks
        .map(|(a, b)| {
            let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
            products.sum()
        })
        .collect();
    sums.iter().sum()
}

/// `into += scale · what`.
pub(super) fn add_scaled(into: &mut [f32], scale: f64, what: &[f32]) {
    let scale = scale as f32;
    let chunks = into.par_chunks_mut(CHUNK).zip(what.par_chunks(CHUNK));
    chunks.for_each(|(into, what)| {
        let sums = into.iter_mut().zip(what);
        sums.for_each(|(sum, value)| *sum += scale * value);
    });
}

/// `into = scale · into + what`.
pub(super) fn scale_and_add(into: &mut [f32], scale: f64, what: &[f32]) {
    let scale = scale as f32;
    let chunks = into.par_chunks_mut(CHUNK).zip(what.par_chunks(CHUNK));
    chunks.for_each(|(into, what)| {
        let sums = into.iter_mut().zip(what);
        sums.for_each(|(sum, value)| *sum = scale * *sum + value);
    });
}

/// Each value divided by its scale; zero where the scale is.
pub(super) fn divided(values: &[f32], scales: &[f32]) -> Vec<f32> {
    let pairs = values.par_iter().zip(scales);
    pairs
        .map(|(value, scale)| if *scale > 0.0 { value / scale } else { 0.0 })
        .collect()
}
