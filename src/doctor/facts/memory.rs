//! Memory: how much there is, where it may be written to, and how much is needed.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::{Current, Meminfo};
use recant_http::Settings;
use recant_store::Contents;
use recant_types::ModelConfiguration;

use super::block::Device;
use super::disk::mount_of;

/// Where control groups are mounted.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Bytes that one number of a model takes: in f64 to learn, in f32 to serve, and once more while a
/// version is made.
const BYTES_PER_FACTOR: u64 = 20;

/// Bytes that an interaction takes, in both orientations and in the snapshot.
const BYTES_PER_INTERACTION: u64 = 48;

/// What was seen of the memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Memory {
    /// Bytes of the machine that a new program could have without swapping.
    pub(crate) available: Option<u64>,
    /// Most bytes that a control group leaves to this command, and so to a server beside it.
    pub(crate) limit: Option<u64>,
    /// Whether the control group forbids swapping.
    pub(crate) swap_forbidden: bool,
    /// Where memory may be written to; `None` when that could not be seen.
    pub(crate) swaps: Option<Vec<Swap>>,
    /// What the store needs; `None` when it could not be looked into.
    pub(crate) need: Option<Need>,
}

/// A place that memory is written to when there is too little of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Swap {
    /// The device or file.
    pub(crate) path: PathBuf,
    /// What becomes of what is written there.
    pub(crate) kind: SwapKind,
}

/// What becomes of memory that is swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwapKind {
    /// It stays in memory, compressed.
    Memory,
    /// It is encrypted first.
    Encrypted,
    /// It is written as it is.
    Plain,
}

/// What a server needs for a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Need {
    /// For what is learnt from and the model.
    pub(crate) model: u64,
    /// For caches that the configuration allows.
    pub(crate) caches: u64,
}

impl Need {
    /// An estimate from what is in a store.
    pub(super) fn of(contents: &Contents, settings: &Settings) -> Self {
        let rows = contents.users + contents.items;
        let model = contents.model.as_ref().map(|header| &header.model);
        let dim = match model {
            Some(ModelConfiguration::Ials(hyper)) => hyper.dim,
            _ => settings.model.dim,
        } as u64;
        let cholesky = match model {
            Some(ModelConfiguration::Neural(_)) => 0,
            _ => (rows * dim * dim * 2).min(settings.learning.cholesky_cache_bytes_max),
        };
        Self {
            model: rows * dim * BYTES_PER_FACTOR + contents.interactions * BYTES_PER_INTERACTION,
            caches: settings.store.cache_bytes + cholesky,
        }
    }
}

impl Memory {
    /// Looks at memory, swap and the control group.
    pub(super) fn gather(need: Option<Need>) -> Self {
        let group = control_group();
        let in_group = |name: &str| fs::read_to_string(group.as_ref()?.join(name)).ok();
        Self {
            available: Meminfo::current().ok().and_then(|info| info.mem_available),
            limit: in_group("memory.max").and_then(|text| text.trim().parse().ok()),
            swap_forbidden: in_group("memory.swap.max").is_some_and(|text| text.trim() == "0"),
            swaps: fs::read_to_string("/proc/swaps")
                .ok()
                .map(|text| swaps(&text)),
            need,
        }
    }
}

/// The folder of this process's control group, of the second version.
fn control_group() -> Option<PathBuf> {
    let groups = procfs::process::Process::myself().and_then(|process| process.cgroups());
    let group = groups
        .ok()?
        .0
        .into_iter()
        .find(|group| group.hierarchy == 0)?;
    let below = group.pathname.trim_start_matches('/').to_owned();
    Some(Path::new(CONTROL_GROUPS).join(below))
}

/// The places in the text of /proc/swaps.
fn swaps(text: &str) -> Vec<Swap> {
    let lines = text.lines().skip(1);
    let paths = lines.filter_map(|line| line.split_whitespace().next());
    // The kernel writes a blank in a name so.
    let paths = paths.map(|path| PathBuf::from(path.replace("\\040", " ")));
    paths
        .map(|path| Swap {
            kind: kind_of(&path),
            path,
        })
        .collect()
}

fn kind_of(path: &Path) -> SwapKind {
    let name = path.file_name().map(|name| name.to_string_lossy());
    if let Some(name) = name.filter(|name| name.starts_with("zram")) {
        let behind = Path::new("/sys/block").join(&*name).join("backing_dev");
        let behind = fs::read_to_string(behind).unwrap_or_default();
        return match behind.trim() {
            "" | "none" => SwapKind::Memory,
            _ => SwapKind::Plain,
        };
    }
    let device = Device::at(path).or_else(|| Device::of_mount(&mount_of(path)?));
    if device.is_some_and(|device| device.encrypted) {
        SwapKind::Encrypted
    } else {
        SwapKind::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swaps_are_read_as_the_kernel_writes_them() {
        let header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert_eq!(swaps(header), []);
        let text = format!("{header}/no\\040such/file                      file\t2097148\t0\t-2\n");
        let expected = Swap {
            path: PathBuf::from("/no such/file"),
            kind: SwapKind::Plain,
        };
        assert_eq!(swaps(&text), [expected]);
    }
}
