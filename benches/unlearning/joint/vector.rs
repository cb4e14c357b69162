//! Long vectors, on all threads.

use rayon::prelude::*;
use recant_core::simd::{add_scaled_f64, dot_f64};

/// Values of one parallel task.
const CHUNK: usize = 1 << 15;

/// `a · b`. The same for any number of threads.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let chunks: Vec<f64> = a
        .par_chunks(CHUNK)
        .zip(b.par_chunks(CHUNK))
        .map(|(a, b)| dot_f64(a, b))
        .collect();
    chunks.into_iter().sum()
}

/// `into += scale · what`.
pub fn add_scaled(into: &mut [f64], scale: f64, what: &[f64]) {
    into.par_chunks_mut(CHUNK)
        .zip(what.par_chunks(CHUNK))
        .for_each(|(into, what)| add_scaled_f64(into, scale, what));
}

/// `into = scale · into`.
pub fn scale(into: &mut [f64], scale: f64) {
    into.par_chunks_mut(CHUNK)
        .for_each(|into| into.iter_mut().for_each(|value| *value *= scale));
}

/// `a − b`.
pub fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut result = a.to_vec();
    add_scaled(&mut result, -1.0, b);
    result
}
