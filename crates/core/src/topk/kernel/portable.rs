//! Plain loops, the measure of the others.

use super::layout::{GROUP_ITEMS, GROUPS, Line, STEP_COLUMNS, Sums};

/// See [`Kernel::add`](super::Kernel::add).
pub(super) fn add(codes: &[Line], query: &[u32], sums: &mut Sums, threshold: i32) -> u64 {
    for (lines, word) in codes.chunks_exact(GROUPS).zip(query) {
        let query = word.to_le_bytes().map(|byte| i32::from(byte as i8));
        for (line, sums) in lines.iter().zip(sums.chunks_exact_mut(GROUP_ITEMS)) {
            for (sum, codes) in sums.iter_mut().zip(line.0.chunks_exact(STEP_COLUMNS)) {
                for (code, query) in codes.iter().zip(query) {
                    *sum += i32::from(*code) * query;
                }
            }
        }
    }
    let reaches = sums.iter().enumerate();
    reaches.fold(0, |mask, (slot, sum)| {
        mask | u64::from(*sum >= threshold) << slot
    })
}
