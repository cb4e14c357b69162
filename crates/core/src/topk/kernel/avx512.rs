//! AVX-512 with VNNI: one instruction multiplies and adds a line.

use std::arch::x86_64::{
    __m512i, _mm512_cmpge_epi32_mask, _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_storeu_si512,
};

use super::layout::{GROUPS, Line, Sums};

/// See [`Kernel::add`](super::Kernel::add). Four sums are under way at once, which covers the
/// latency of the instruction.
///
/// # Safety
/// The machine must have AVX-512 F, BW and VNNI, and `codes` [`GROUPS`] lines for each word of
/// `query`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn add(codes: &[Line], query: &[u32], sums: &mut Sums, threshold: i32) -> u64 {
    let from = sums.as_ptr().cast::<__m512i>();
    // SAFETY: `sums` is 64 words, four vectors of 16.
    let mut sum: [__m512i; GROUPS] =
        std::array::from_fn(|g| unsafe { _mm512_loadu_si512(from.add(g)) });
    let lines = codes.as_ptr().cast::<__m512i>();
    for (step, word) in query.iter().enumerate() {
        let word = _mm512_set1_epi32(word.cast_signed());
        for (group, sum) in sum.iter_mut().enumerate() {
            // SAFETY: the caller holds that there are `GROUPS` lines for each word; a line is 64
            // bytes at a multiple of 64.
            let line = unsafe { _mm512_load_si512(lines.add(step * GROUPS + group)) };
            *sum = _mm512_dpbusd_epi32(*sum, line, word);
        }
    }
    let threshold = _mm512_set1_epi32(threshold);
    let into = sums.as_mut_ptr().cast::<__m512i>();
    let mut mask = 0;
    for (group, sum) in sum.into_iter().enumerate() {
        // SAFETY: as when reading.
        unsafe { _mm512_storeu_si512(into.add(group), sum) };
        mask |= u64::from(_mm512_cmpge_epi32_mask(sum, threshold)) << (16 * group);
    }
    mask
}
