//! Sums of products of bytes, 64 items at a time: the one place of the crate with `unsafe`.
//!
//! The codes of a page lie in lines of 64 bytes. Step s of a page is [`GROUPS`] lines; line g of it
//! holds four columns of each of 16 items, item after item. A step of the query is its four bytes
//! in one word. All paths compute the same integers, so which of them runs cannot be seen in a
//! result.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod layout;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

pub(super) use layout::{GROUPS, Line, SLOTS, STEP_COLUMNS, Sums, place};

/// A way of computing that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Path);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Kernel {
    /// The fastest one.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// All that this machine has, fastest first; the portable one is last.
    pub fn available() -> &'static [Self] {
        static AVAILABLE: std::sync::OnceLock<Vec<Kernel>> = std::sync::OnceLock::new();
        AVAILABLE.get_or_init(detect)
    }

    /// What it computes with.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => "AVX-512 VNNI",
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Path::Neon => "NEON",
            Path::Portable => "portable",
        }
    }

    /// Adds to each sum the products of its item's codes, unsigned, with the query's bytes, signed,
    /// over all steps of `codes`. Bit i of the answer says whether sum i is at least `threshold`.
    ///
    /// # Panics
    /// When `codes` does not have `GROUPS` lines for each word of `query`.
    #[inline]
    pub fn add(self, codes: &[Line], query: &[u32], sums: &mut Sums, threshold: i32) -> u64 {
        assert_eq!(codes.len(), GROUPS * query.len(), "a step for each word");
        match self.0 {
            // SAFETY: this path is only made by `detect`, which found the instructions; the
            // lengths were compared above.
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => unsafe { avx512::add(codes, query, sums, threshold) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => unsafe { avx2::add(codes, query, sums, threshold) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Path::Neon => unsafe { neon::add(codes, query, sums, threshold) },
            Path::Portable => portable::add(codes, query, sums, threshold),
        }
    }
}

fn detect() -> Vec<Kernel> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        if wide && is_x86_feature_detected!("avx512vnni") {
            found.push(Kernel(Path::Avx512));
        }
        if is_x86_feature_detected!("avx2") {
            found.push(Kernel(Path::Avx2));
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        found.push(Kernel(Path::Neon));
    }
    found.push(Kernel(Path::Portable));
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_the_definition(codes: &[Line], query: &[u32], sums: &mut Sums) {
        for (slot, sum) in sums.iter_mut().enumerate() {
            for (step, word) in query.iter().enumerate() {
                for (column, byte) in word.to_le_bytes().into_iter().enumerate() {
                    let (line, at) = place(slot, column);
                    let code = codes[step * GROUPS + line].0[at];
                    *sum += i32::from(code) * i32::from(byte as i8);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_path_computes_the_same_integers(
            steps in 0_usize..40,
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(255), Just(0)], 257),
            query in prop::collection::vec(prop_oneof![any::<u32>(), Just(0x8080_8080), Just(0x7f7f_7f7f)], 40),
            start in -1_000_000_i32..1_000_000,
            threshold in prop_oneof![-3_000_000_i32..3_000_000, Just(i32::MIN), Just(i32::MAX)],
        ) {
            let codes: Vec<Line> = (0..steps * GROUPS)
                .map(|line| Line(std::array::from_fn(|at| bytes[(line * 64 + at * 3) % 257])))
                .collect();
            let query = &query[..steps];
            let mut expected: Sums = std::array::from_fn(|slot| start + slot as i32);
            let begin = expected;
            by_the_definition(&codes, query, &mut expected);
            let reaches = expected.iter().enumerate();
            let mask = reaches.fold(0, |mask, (slot, sum)| mask | u64::from(*sum >= threshold) << slot);
            for kernel in Kernel::available() {
                let mut sums = begin;
                let found = kernel.add(&codes, query, &mut sums, threshold);
                prop_assert_eq!(sums, expected, "{}", kernel.name());
                prop_assert_eq!(found, mask, "{}", kernel.name());
            }
        }
    }

    #[test]
    #[should_panic(expected = "a step for each word")]
    fn lengths_that_do_not_fit_are_refused() {
        Kernel::best().add(&[Line::ZERO; GROUPS], &[1, 2], &mut [0; SLOTS], 0);
    }

    #[test]
    fn the_portable_path_is_always_there() {
        let last = Kernel::available().last().expect("one path at least");
        assert_eq!(last.name(), "portable");
    }
}
