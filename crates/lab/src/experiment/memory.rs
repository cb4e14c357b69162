//! The largest resident memory of this process over a stretch of time, where Linux tells.

/// Starts counting anew. Where that is not possible, the peak is that of the whole process.
pub(super) fn reset_peak() {
    // See proc(5), `clear_refs`: 5 resets VmHWM to the present size.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident memory since [`reset_peak`], in bytes.
pub(super) fn peak_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

fn status_bytes(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_large_allocation_shows_in_the_peak() {
        const BYTES: usize = 64 << 20;
        reset_peak();
        let block = std::hint::black_box(vec![1u8; BYTES]);
        assert!(peak_bytes().expect("Linux tells") >= BYTES as u64);
        assert_eq!(block[BYTES - 1], 1);
    }
}
