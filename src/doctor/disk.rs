//! Whether the disk keeps what it was given, lets go of what was overwritten, and has room.

use std::time::Duration;

use super::facts::disk::{Device, Disk, Mount, Room};
use super::finding::{Finding, bytes, counted};

/// No device writes anything in less: a sync that took less reached none.
const SYNC_SHORTEST: Duration = Duration::from_micros(10);

/// Everything that is acknowledged waits for two syncs.
const SYNC_LONG: Duration = Duration::from_millis(50);

/// Files that a compaction, a recovery and a rotation need between them, with a margin.
const FILES_FEW: u64 = 100;

/// How a file system treats what is overwritten and what is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It writes in place, and a sync reaches the device.
    InPlace,
    /// It writes new bytes beside old ones.
    CopyOnWrite,
    /// It lies over another one.
    Overlay,
    /// It is somebody else's.
    Remote,
    /// It is memory.
    Memory,
    /// It is not known here.
    Unknown,
}

fn kind_of(name: &str) -> Kind {
    match name {
        "ext2" | "ext3" | "ext4" | "xfs" | "jfs" | "vfat" | "exfat" => Kind::InPlace,
        "btrfs" | "zfs" | "bcachefs" | "f2fs" | "nilfs2" | "ubifs" => Kind::CopyOnWrite,
        "overlay" | "aufs" => Kind::Overlay,
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "virtiofs" | "ceph" | "glusterfs" | "lustre"
        | "gpfs" => Kind::Remote,
        "tmpfs" | "ramfs" => Kind::Memory,
        name if name.starts_with("fuse") => Kind::Remote,
        _ => Kind::Unknown,
    }
}

/// What there is to say about the disk.
pub(super) fn findings(disk: &Disk) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &disk.mount {
        Some(mount) => {
            findings.push(file_system(mount, disk.master_key_here));
            findings.extend(data_journal(mount));
        }
        None => findings.push(Finding::unseen(
            "disk.file_system",
            "which file system the store is on is not shown here, so whether overwriting reaches \
             what was erased is unknown",
            "look with `findmnt --target DIR`; ext4 and XFS with default options are known to be good",
        )),
    }
    findings.extend(sync(disk));
    findings.extend(device(disk));
    findings.extend(room(disk));
    findings
}

fn file_system(mount: &Mount, master_key_here: bool) -> Finding {
    const CHECK: &str = "disk.file_system";
    let (name, point) = (mount.kind.as_str(), mount.point.display());
    match kind_of(name) {
        Kind::InPlace => Finding::ok(
            CHECK,
            format!("{name} at {point} writes in place: a key that is overwritten is gone"),
        ),
        Kind::CopyOnWrite => {
            let means = format!(
                "{name} at {point} writes beside what it replaces: zeros over a destroyed key leave \
                 the old bytes on the disk until the space is used again, and in every snapshot"
            );
            let mend = "keep the data on ext4 or XFS without snapshots; failing that keep the master \
                        key off this disk (section [keys], then `recant keys rotate`), for old bytes \
                        are sealed under it, and let snapshots expire";
            // With the master key in the same place nothing protects those bytes.
            if !master_key_here {
                return Finding::warning(CHECK, means, mend);
            }
            Finding::problem(
                CHECK,
                format!("{means}; and the master key that opens them lies on the same disk"),
                mend,
            )
        }
        Kind::Overlay => Finding::warning(
            CHECK,
            format!(
                "{name} at {point} is the layer of a container: it goes with the container, and what \
                 is below it decides whether overwriting reaches old bytes"
            ),
            "mount a volume on ext4 or XFS for the data directory",
        ),
        Kind::Remote => Finding::warning(
            CHECK,
            format!(
                "{name} at {point} is served by another system: whether a sync survives a power cut \
                 there, and whether overwriting reaches old bytes, is decided by its disk"
            ),
            "keep the data on a local disk with ext4 or XFS, or ask whoever runs the other system for \
             both promises; run this command there",
        ),
        Kind::Memory => Finding::problem(
            CHECK,
            format!(
                "{name} at {point} is memory: everything that was acknowledged is gone when the \
                 machine stops"
            ),
            "name a data directory on a disk",
        ),
        Kind::Unknown => Finding::warning(
            CHECK,
            format!(
                "{name} at {point} is not known here: whether overwriting reaches old bytes is unknown"
            ),
            "keep the data on ext4 or XFS, whose default options are known to be good",
        ),
    }
}

fn data_journal(mount: &Mount) -> Option<Finding> {
    mount.options.contains("data=journal").then(|| {
        Finding::warning(
            "disk.journal",
            "the file system is mounted with data=journal: what is overwritten stays in the journal \
             until that is written over",
            "mount it with data=ordered, the default",
        )
    })
}

fn sync(disk: &Disk) -> Vec<Finding> {
    const CHECK: &str = "disk.sync";
    let took = match &disk.sync {
        Some(Ok(took)) => *took,
        Some(Err(reason)) => {
            return vec![Finding::unseen(
                CHECK,
                format!("no file could be written to try a sync ({reason})"),
                "run the command as the user that the server runs as",
            )];
        }
        None => return Vec::new(),
    };
    let barriers = ["nobarrier", "barrier=0"];
    let ignored = disk.mount.as_ref().and_then(|mount| {
        let given = |option: &&&str| mount.options.contains(**option);
        barriers.iter().find(given).copied()
    });
    if let Some(option) = ignored {
        return vec![Finding::problem(
            CHECK,
            format!(
                "the file system is mounted with {option}: a sync does not reach past the cache of \
                 the device, and a power cut loses what was acknowledged, erasures among it"
            ),
            format!("mount it without {option}"),
        )];
    }
    let is_memory = disk
        .mount
        .as_ref()
        .is_some_and(|mount| kind_of(&mount.kind) == Kind::Memory);
    if took < SYNC_SHORTEST && !is_memory {
        return vec![Finding::problem(
            CHECK,
            format!(
                "a sync took {took:.0?}, which is less than any device needs: somebody between here \
                 and the disk says that it is done when it is not, and a power cut loses what was \
                 acknowledged"
            ),
            "look for a cache mode like `unsafe` of a virtual disk, for libeatmydata, and for a file \
             system that ignores fdatasync",
        )];
    }
    if took > SYNC_LONG {
        return vec![Finding::warning(
            CHECK,
            format!(
                "a sync took {took:.1?}: everything that is acknowledged waits for two, so for {:.1?}",
                took * 2
            ),
            "see what else writes to the disk; disks over a network and burst credits that are used \
             up are the usual reasons",
        )];
    }
    vec![Finding::ok(
        CHECK,
        format!("a sync took {took:.1?}, as long as one does that reaches a device"),
    )]
}

fn device(disk: &Disk) -> Vec<Finding> {
    let Some(device) = &disk.device else {
        return Vec::new();
    };
    let mut findings = vec![cache(device)];
    if device.rotational == Some(false) {
        findings.push(wear_levelling(device, disk.master_key_here));
    }
    findings
}

fn cache(device: &Device) -> Finding {
    const CHECK: &str = "disk.write_cache";
    let name = &device.name;
    match device.volatile_cache {
        Some(true) => Finding::ok(
            CHECK,
            format!(
                "{name} has a cache that a power cut empties, and is told to empty it at every sync"
            ),
        ),
        Some(false) => Finding::ok(
            CHECK,
            format!(
                "{name} is taken to write through, or to have a cache that survives a power cut: if \
                 somebody told the kernel so by hand, make sure that it is true"
            ),
        ),
        None => Finding::unseen(
            CHECK,
            format!("whether {name} has a cache that a power cut empties is not shown here"),
            "see /sys/block/NAME/queue/write_cache on the machine itself",
        ),
    }
}

fn wear_levelling(device: &Device, master_key_here: bool) -> Finding {
    const CHECK: &str = "disk.wear_levelling";
    let name = &device.name;
    if device.encrypted || !master_key_here {
        let why = if device.encrypted {
            "the disk is encrypted"
        } else {
            "the master key is elsewhere"
        };
        return Finding::ok(
            CHECK,
            format!(
                "{name} has no turning platters, so a cell that was overwritten may be kept by the \
                 drive for a while; {why}, so it is of no use to who opens the drive"
            ),
        );
    }
    Finding::warning(
        CHECK,
        format!(
            "{name} has no turning platters: the drive may keep a cell that was overwritten, and with \
             it a destroyed key, which the master key on the same disk opens"
        ),
        "keep the master key off this disk (section [keys], then `recant keys rotate`), or encrypt the \
         disk; `fstrim` lets the drive reclaim such cells sooner",
    )
}

fn room(disk: &Disk) -> Vec<Finding> {
    const CHECK: &str = "disk.room";
    let Some(room) = disk.room else {
        return vec![Finding::unseen(
            CHECK,
            "how much room is left is not shown here",
            "look with `df`",
        )];
    };
    if room.read_only {
        return vec![Finding::problem(
            CHECK,
            "the file system is mounted read-only: nothing can be accepted, erasures neither",
            "mount it for writing; if nobody asked for that, the kernel did after an error: see dmesg",
        )];
    }
    let mut findings = vec![bytes_left(disk, room)];
    if let Some(files) = room.files.filter(|files| *files < FILES_FEW) {
        findings.push(Finding::problem(
            "disk.files",
            format!(
                "the file system has room for {} more",
                counted(files, "file")
            ),
            "remove small files from it, or make it anew with more inodes",
        ));
    }
    findings
}

fn bytes_left(disk: &Disk, Room { free, .. }: Room) -> Finding {
    const CHECK: &str = "disk.room";
    let (least, copy) = (disk.room_min, disk.live_bytes);
    if free < least {
        return Finding::problem(
            CHECK,
            format!(
                "{} are free, less than store.free_space_min_bytes ({}): writes are answered 507, \
                 erasures too",
                bytes(free),
                bytes(least)
            ),
            "enlarge the disk, or remove what else is on it, old backups first",
        );
    }
    if free < least.saturating_add(copy) {
        return Finding::warning(
            CHECK,
            format!(
                "{} are free, and a compaction writes the live data, {}, once more: without it what \
                 was erased stays in the files as ciphertext",
                bytes(free),
                bytes(copy)
            ),
            "enlarge the disk, or remove what else is on it, old backups first",
        );
    }
    Finding::ok(
        CHECK,
        format!(
            "{} are free; a compaction needs {} of them for a while",
            bytes(free),
            bytes(copy)
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::super::finding::Severity;
    use super::*;

    fn mount(kind: &str, options: &[&str]) -> Mount {
        Mount {
            kind: String::from(kind),
            point: PathBuf::from("/data"),
            options: options
                .iter()
                .copied()
                .map(String::from)
                .collect::<BTreeSet<_>>(),
        }
    }

    /// A disk that nothing is wrong with.
    fn good() -> Disk {
        Disk {
            mount: Some(mount("ext4", &["rw", "relatime"])),
            device: Some(Device {
                name: String::from("sda1"),
                rotational: Some(true),
                volatile_cache: Some(true),
                encrypted: false,
            }),
            room: Some(Room {
                free: 10 << 30,
                files: Some(1_000_000),
                read_only: false,
            }),
            room_min: 64 << 20,
            live_bytes: 1 << 30,
            sync: Some(Ok(Duration::from_micros(900))),
            master_key_here: false,
        }
    }

    fn severity(disk: &Disk, check: &str) -> Severity {
        let findings = findings(disk);
        let found = findings.iter().find(|finding| finding.check == check);
        found.expect(check).severity
    }

    #[test]
    fn nothing_is_said_against_a_good_disk() {
        for finding in findings(&good()) {
            assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
            assert_eq!(finding.mend, None);
        }
    }

    #[test]
    fn a_file_system_is_judged_by_what_it_does_with_old_bytes() {
        use Severity::{Ok, Problem, Warning};
        for (kind, elsewhere, beside) in [
            ("ext4", Ok, Ok),
            ("xfs", Ok, Ok),
            ("btrfs", Warning, Problem),
            ("zfs", Warning, Problem),
            ("bcachefs", Warning, Problem),
            ("f2fs", Warning, Problem),
            ("overlay", Warning, Warning),
            ("nfs4", Warning, Warning),
            ("cifs", Warning, Warning),
            ("fuse.sshfs", Warning, Warning),
            ("tmpfs", Problem, Problem),
            ("newfs", Warning, Warning),
        ] {
            let mut disk = good();
            disk.mount = Some(mount(kind, &[]));
            assert_eq!(severity(&disk, "disk.file_system"), elsewhere, "{kind}");
            disk.master_key_here = true;
            assert_eq!(severity(&disk, "disk.file_system"), beside, "{kind}");
        }
    }

    #[test]
    fn a_sync_that_is_not_honoured_is_a_problem() {
        for option in ["nobarrier", "barrier=0"] {
            let mut disk = good();
            disk.mount = Some(mount("ext4", &["rw", option]));
            assert_eq!(severity(&disk, "disk.sync"), Severity::Problem, "{option}");
        }
        for (microseconds, expected) in [
            (2, Severity::Problem),
            (12, Severity::Ok),
            (9_000, Severity::Ok),
            (90_000, Severity::Warning),
        ] {
            let mut disk = good();
            disk.sync = Some(Ok(Duration::from_micros(microseconds)));
            assert_eq!(severity(&disk, "disk.sync"), expected, "{microseconds} µs");
        }
        let mut disk = good();
        disk.sync = Some(Err(String::from("permission denied")));
        assert_eq!(severity(&disk, "disk.sync"), Severity::Unseen);
    }

    #[test]
    fn a_flash_drive_is_good_enough_when_the_master_key_is_elsewhere() {
        let flash = |encrypted| Device {
            rotational: Some(false),
            encrypted,
            ..good().device.expect("one")
        };
        for (encrypted, master_key_here, expected) in [
            (false, false, Severity::Ok),
            (true, true, Severity::Ok),
            (false, true, Severity::Warning),
        ] {
            let disk = Disk {
                device: Some(flash(encrypted)),
                master_key_here,
                ..good()
            };
            assert_eq!(severity(&disk, "disk.wear_levelling"), expected);
        }
    }

    #[test]
    fn room_is_held_against_what_is_refused_below_and_what_a_compaction_needs() {
        for (free, expected) in [
            (1 << 20, Severity::Problem),
            (500 << 20, Severity::Warning),
            (3 << 30, Severity::Ok),
        ] {
            let mut disk = good();
            disk.room = Some(Room {
                free,
                files: None,
                read_only: false,
            });
            assert_eq!(severity(&disk, "disk.room"), expected, "{free}");
        }
        let mut disk = good();
        disk.room = Some(Room {
            free: 10 << 30,
            files: Some(3),
            read_only: false,
        });
        assert_eq!(severity(&disk, "disk.files"), Severity::Problem);
        disk.room = Some(Room {
            read_only: true,
            ..disk.room.expect("set")
        });
        assert_eq!(severity(&disk, "disk.room"), Severity::Problem);
    }
}
