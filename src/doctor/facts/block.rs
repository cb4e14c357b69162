//! Block devices, as the kernel shows them under /sys.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use procfs::process::MountInfo;

/// Where the kernel shows block devices by their numbers.
const BY_NUMBER: &str = "/sys/dev/block";

/// How deep one device may rest on others.
const DEPTH_MAX: usize = 8;

/// A device that holds files or swapped memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Device {
    /// Its name, `vda1`.
    pub(crate) name: String,
    /// Whether it has turning platters; `None` when the kernel does not say.
    pub(crate) rotational: Option<bool>,
    /// Whether the kernel believes that it has a cache which a loss of power empties.
    pub(crate) volatile_cache: Option<bool>,
    /// Whether it, or what it rests on, is encrypted by the kernel.
    pub(crate) encrypted: bool,
}

impl Device {
    /// The device that a mounted file system is on; `None` when it is on none, as with tmpfs.
    pub(super) fn of_mount(mount: &MountInfo) -> Option<Self> {
        // File systems over several devices have numbers of their own.
        let own = PathBuf::from(BY_NUMBER).join(&mount.majmin);
        let source = mount.mount_source.as_deref().map(Path::new);
        let named = || Self::at(source.filter(|source| source.starts_with("/dev"))?);
        Self::of_entry(&own).or_else(named)
    }

    /// The device with this file under /dev.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let number = fs::metadata(path).ok()?.rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        Self::of_entry(&PathBuf::from(BY_NUMBER).join(format!("{major}:{minor}")))
    }

    fn of_entry(entry: &Path) -> Option<Self> {
        let entry = fs::canonicalize(entry).ok()?;
        let queue = queue(&entry)?;
        let text = |name: &str| fs::read_to_string(queue.join(name)).ok();
        Some(Self {
            name: entry.file_name()?.to_string_lossy().into_owned(),
            rotational: text("rotational").map(|text| text.trim() == "1"),
            volatile_cache: text("write_cache").map(|text| text.trim() == "write back"),
            encrypted: is_encrypted(&entry, 0),
        })
    }
}

/// Where a device's queue is: a partition has that of its disk.
fn queue(entry: &Path) -> Option<PathBuf> {
    let places = [Some(entry), entry.parent()];
    let queues = places.into_iter().flatten().map(|path| path.join("queue"));
    queues.into_iter().find(|path| path.is_dir())
}

/// Whether the device mapper encrypts this device or every one below it.
fn is_encrypted(entry: &Path, depth: usize) -> bool {
    let uuid = fs::read_to_string(entry.join("dm/uuid")).unwrap_or_default();
    if uuid.starts_with("CRYPT-") {
        return true;
    }
    let Ok(below) = fs::read_dir(entry.join("slaves")) else {
        return false;
    };
    let mut below = below.flatten().map(|entry| entry.path()).peekable();
    depth < DEPTH_MAX
        && below.peek().is_some()
        && below.all(|device| fs::canonicalize(device).is_ok_and(|d| is_encrypted(&d, depth + 1)))
}
