//! AVX2. Its product of bytes saturates, so bytes are widened first: the even and the odd columns of
//! an item each make one product of pairs.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpgt_epi32,
    _mm256_load_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_movemask_ps,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_srli_epi16, _mm256_storeu_si256,
};

use super::layout::{GROUPS, Line, Sums};

/// Halves of a line: eight items each.
const HALVES: usize = 2;

/// See [`Kernel::add`](super::Kernel::add).
///
/// # Safety
/// The machine must have AVX2, and `codes` [`GROUPS`] lines for each word of `query`.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn add(codes: &[Line], query: &[u32], sums: &mut Sums, threshold: i32) -> u64 {
    const VECTORS: usize = GROUPS * HALVES;
    let from = sums.as_ptr().cast::<__m256i>();
    // SAFETY: `sums` is 64 words, eight vectors of 8.
    let mut sum: [__m256i; VECTORS] =
        std::array::from_fn(|v| unsafe { _mm256_loadu_si256(from.add(v)) });
    let halves = codes.as_ptr().cast::<__m256i>();
    let low_bytes = _mm256_set1_epi16(0x00ff);
    for (step, word) in query.iter().enumerate() {
        let bytes = word.to_le_bytes().map(|byte| i16::from(byte as i8));
        let even = _mm256_set1_epi32(pair(bytes[0], bytes[2]));
        let odd = _mm256_set1_epi32(pair(bytes[1], bytes[3]));
        for (vector, sum) in sum.iter_mut().enumerate() {
            // SAFETY: the caller holds that there are `GROUPS` lines, each of two halves, for each
            // word; a line lies at a multiple of 64.
            let half = unsafe { _mm256_load_si256(halves.add(step * VECTORS + vector)) };
            let products = _mm256_madd_epi16(_mm256_and_si256(half, low_bytes), even);
            *sum = _mm256_add_epi32(*sum, products);
            let products = _mm256_madd_epi16(_mm256_srli_epi16::<8>(half), odd);
            *sum = _mm256_add_epi32(*sum, products);
        }
    }
    let threshold = _mm256_set1_epi32(threshold);
    let into = sums.as_mut_ptr().cast::<__m256i>();
    let mut below = 0_u64;
    for (vector, sum) in sum.into_iter().enumerate() {
        // SAFETY: as when reading.
        unsafe { _mm256_storeu_si256(into.add(vector), sum) };
        let less = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(threshold, sum)));
        below |= u64::from(less as u8) << (8 * vector);
    }
    !below
}

/// Two numbers of 16 bits in one word, the first in the lower half.
fn pair(low: i16, high: i16) -> i32 {
    (i32::from(high) << 16) | i32::from(low.cast_unsigned())
}
