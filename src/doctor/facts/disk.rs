//! The file system that the store is on, and the device below it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use procfs::process::{MountInfo, Process};
use rustix::fs::{StatVfsMountFlags, statvfs};

pub(crate) use super::block::Device;
use recant_store::sync_time;

/// What was seen of the disk.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Disk {
    /// Where the file system is mounted, and what it is; `None` when the system does not show it.
    pub(crate) mount: Option<Mount>,
    /// The device it is on.
    pub(crate) device: Option<Device>,
    /// How much room there is.
    pub(crate) room: Option<Room>,
    /// The room below which writes are refused.
    pub(crate) room_min: u64,
    /// Bytes of the current generation, which a compaction writes once more.
    pub(crate) live_bytes: u64,
    /// How long a sync takes, or why it could not be tried.
    pub(crate) sync: Option<Result<Duration, String>>,
    /// Whether the master key lies on the same file system.
    pub(crate) master_key_here: bool,
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mount {
    /// Its type, `ext4`.
    pub(crate) kind: String,
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// Its options, `name` or `name=value`.
    pub(crate) options: BTreeSet<String>,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Room {
    /// Bytes that are free for us.
    pub(crate) free: u64,
    /// Files that can still be made; `None` where there is no such limit.
    pub(crate) files: Option<u64>,
    /// Whether nothing may be written.
    pub(crate) read_only: bool,
}

impl Disk {
    /// Looks at the disk of the directory `path`, and tries how long it takes for a sync.
    pub(super) fn gather(
        path: &Path,
        room_min: u64,
        live_bytes: u64,
        master_key_here: bool,
    ) -> Self {
        let found = mount_of(path);
        Self {
            device: found.as_ref().and_then(Device::of_mount),
            mount: found.as_ref().map(Mount::from),
            room: room(path),
            room_min,
            live_bytes,
            sync: Some(sync_time(path).map_err(|error| error.to_string())),
            master_key_here,
        }
    }
}

impl From<&MountInfo> for Mount {
    fn from(mount: &MountInfo) -> Self {
        let options = mount.mount_options.iter().chain(&mount.super_options);
        let options = options.map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        });
        Self {
            kind: mount.fs_type.clone(),
            point: mount.mount_point.clone(),
            options: options.collect(),
        }
    }
}

/// The mounted file system that a path is on: of those whose mount point is above it the deepest, and
/// of several at one place the last.
pub(super) fn mount_of(path: &Path) -> Option<MountInfo> {
    let path = fs::canonicalize(path).ok()?;
    let mounts = Process::myself().and_then(|process| process.mountinfo());
    let above = mounts.ok()?.0.into_iter();
    above
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())
}

fn room(path: &Path) -> Option<Room> {
    let stat = statvfs(path).ok()?;
    Some(Room {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        files: (stat.f_files > 0).then_some(stat.f_favail),
        read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}
