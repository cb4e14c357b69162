//! Loops compiled once for each width of vectors, chosen at run time; dot products.

use pulp::{Arch, Simd, WithSimd};

struct Vectorised<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Vectorised<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) -> R {
        (self.0)()
    }
}

/// Runs `work` compiled for the widest vectors this machine has.
///
/// `work` must be marked `#[inline(always)]`, and so must everything it calls. It is taken as
/// `FnMut` on purpose: a closure handed over as `FnOnce` is called through a shim that is not
/// inlined, and would be compiled for the narrowest vectors instead (a sweep takes fifty times as
/// long then).
#[inline(always)]
pub fn vectorised<R>(arch: Arch, work: impl FnMut() -> R) -> R {
    arch.dispatch(Vectorised(work))
}

/// `x · y` with sixteen partial sums. Not fused: the same on every machine, and as fast where there
/// is no fused instruction.
macro_rules! dot {
    ($a:ident, $b:ident, $float:ty) => {{
        const LANES: usize = 16;
        let mut sums: [$float; LANES] = [0.0; LANES];
        let (head_a, head_b) = ($a.chunks_exact(LANES), $b.chunks_exact(LANES));
        let (tail_a, tail_b) = (head_a.remainder(), head_b.remainder());
        for (x, y) in head_a.zip(head_b) {
            for lane in 0..LANES {
                sums[lane] += x[lane] * y[lane];
            }
        }
        let tail: $float = tail_a.iter().zip(tail_b).map(|(x, y)| x * y).sum();
        sums.iter().sum::<$float>() + tail
    }};
}

/// `x · y` in f64, sixteen partial sums.
#[inline(always)]
pub fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    dot!(a, b, f64)
}

/// `x · y` in f32, sixteen partial sums.
#[inline(always)]
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    dot!(a, b, f32)
}

/// `into += scale · what` in f64.
#[inline(always)]
pub fn add_scaled_f64(into: &mut [f64], scale: f64, what: &[f64]) {
    for (sum, value) in into.iter_mut().zip(what) {
        *sum += scale * value;
    }
}
