//! How a process is: its memory, its open files, and what it has logged.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::calls::NEEDLE;
use super::keys::SECRET;

/// Resident memory, in MiB.
pub fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a size") / 1_024
}

/// File descriptors, as the server counts its own: those of a process that is not dumpable are for
/// nobody else to see.
pub fn open_files(metrics: &str) -> u64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_open_fds "));
    line.and_then(|line| line.trim().parse::<f64>().ok())
        .expect("a count") as u64
}

/// A log that is read as it grows.
#[derive(Default)]
pub struct Log {
    read: u64,
}

impl Log {
    /// Holds what was logged since the last time to what may stand there.
    pub fn check(&mut self, path: &Path) {
        let mut file = fs::File::open(path).expect("a log");
        file.seek(SeekFrom::Start(self.read)).expect("a file");
        let mut bytes = Vec::new();
        self.read += file.read_to_end(&mut bytes).expect("readable") as u64;
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines() {
            let names = [NEEDLE, SECRET, "usr-", "itm-"];
            let named = names.iter().find(|name| line.contains(**name));
            assert!(named.is_none(), "a line of the log has {named:?}: {line}");
            assert!(!line.contains("panicked"), "{line}");
        }
    }
}
