//! What the system allows a process: core dumps, open files, the rights of new files.

use std::fs;

use procfs::process::Process as Procfs;
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

/// What was seen of the limits of this process, which a server started from here would have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Process {
    /// Whether a crash can write memory to a file or hand it to a program, although it is forbidden.
    pub(crate) dumps: Option<bool>,
    /// Where the system puts core dumps.
    pub(crate) core_pattern: Option<String>,
    /// Most files that may be open; `None` for no limit.
    pub(crate) open_files: Option<u64>,
    /// Most connections that the configuration allows.
    pub(crate) connections_max: u64,
    /// The rights that new files are denied.
    pub(crate) umask: Option<u32>,
}

impl Process {
    /// Looks at this process, which has forbidden itself core dumps.
    pub(super) fn gather(connections_max: u64) -> Self {
        let closed = dumpable_behavior().ok();
        let closed = closed.map(|behaviour| behaviour == DumpableBehavior::NotDumpable);
        let limited = getrlimit(Resource::Core).current == Some(0);
        let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").ok();
        let status = Procfs::myself().and_then(|process| process.status());
        Self {
            dumps: closed.map(|closed| !closed || !limited),
            core_pattern: pattern.map(|pattern| pattern.trim().to_owned()),
            open_files: getrlimit(Resource::Nofile).current,
            connections_max,
            umask: status.ok().and_then(|status| status.umask),
        }
    }
}
