//! NEON. Codes become signed by turning their highest bit; what that takes from a sum is the same
//! for all items and is given back.

use std::arch::aarch64::{
    vaddq_s32, vdup_n_s32, vdupq_n_s32, vdupq_n_u8, veorq_u8, vget_high_s8, vget_low_s8, vld1q_s32,
    vld1q_u8, vmull_s8, vpaddlq_s16, vpaddq_s32, vreinterpret_s8_s32, vreinterpretq_s8_u8,
    vst1q_s32,
};

use super::layout::{GROUPS, LINE_BYTES, Line, SLOTS, Sums};

/// Bytes of a vector: four items.
const VECTOR_BYTES: usize = 16;

/// Items of a vector.
const VECTOR_ITEMS: usize = 4;

/// What turning the highest bit takes from a code.
const BIAS: i32 = 128;

/// See [`Kernel::add`](super::Kernel::add).
///
/// # Safety
/// The machine must have NEON, and `codes` [`GROUPS`] lines for each word of `query`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn add(codes: &[Line], query: &[u32], sums: &mut Sums, threshold: i32) -> u64 {
    let sign = vdupq_n_u8(0x80);
    for (lines, word) in codes.chunks_exact(GROUPS).zip(query) {
        let taken = word.to_le_bytes().map(|byte| i32::from(byte as i8) * BIAS);
        let taken = vdupq_n_s32(taken.iter().sum());
        let word = vreinterpret_s8_s32(vdup_n_s32(word.cast_signed()));
        for vector in 0..GROUPS * LINE_BYTES / VECTOR_BYTES {
            let line = &lines[vector * VECTOR_BYTES / LINE_BYTES].0;
            let start = vector * VECTOR_BYTES % LINE_BYTES;
            // SAFETY: `start` is at most 48, and 16 bytes are read.
            let bytes = unsafe { vld1q_u8(line.as_ptr().add(start)) };
            let items = vreinterpretq_s8_u8(veorq_u8(bytes, sign));
            let low = vpaddlq_s16(vmull_s8(vget_low_s8(items), word));
            let high = vpaddlq_s16(vmull_s8(vget_high_s8(items), word));
            let products = vaddq_s32(vpaddq_s32(low, high), taken);
            let into = &mut sums[vector * VECTOR_ITEMS..(vector + 1) * VECTOR_ITEMS];
            // SAFETY: `into` is four words.
            unsafe {
                vst1q_s32(
                    into.as_mut_ptr(),
                    vaddq_s32(vld1q_s32(into.as_ptr()), products),
                )
            };
        }
    }
    const { assert!(GROUPS * LINE_BYTES / VECTOR_BYTES * VECTOR_ITEMS == SLOTS) };
    let reaches = sums.iter().enumerate();
    reaches.fold(0, |mask, (slot, sum)| {
        mask | u64::from(*sum >= threshold) << slot
    })
}
