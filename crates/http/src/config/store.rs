//! The data on the disk, and where the master key is.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidSetting, check_range};

/// Longest time that can be set: a year.
const SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// The data on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Directory of everything that is kept; created when missing.
    pub data_dir: PathBuf,
    /// Memory the store may use for its page cache.
    pub cache_bytes: u64,
    /// Writes are refused while the disk has less room than this.
    pub free_space_min_bytes: u64,
    /// The live data are rewritten, and what was replaced is overwritten, this long after the last
    /// time, when anything changed.
    pub compact_after_seconds: u64,
    /// The same, as soon as so many erasures were accepted since.
    pub compact_after_erasures: u64,
    /// How long an erasure keeps events from before it from coming back.
    pub tombstone_days: u32,
    /// A sync that takes longer makes the server answer 503 instead of letting callers wait.
    pub sync_seconds_max: u64,
    /// Largest database that is copied before it is opened after an unclean stop.
    pub recovery_copy_max_bytes: u64,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("recant-data"),
            cache_bytes: 64 * 1024 * 1024,
            free_space_min_bytes: 64 * 1024 * 1024,
            compact_after_seconds: 900,
            compact_after_erasures: 1_000,
            tombstone_days: 3_650,
            sync_seconds_max: 10,
            recovery_copy_max_bytes: 1024 * 1024 * 1024,
        }
    }
}

impl StoreSettings {
    /// [`Self::compact_after_seconds`] as a duration.
    pub fn compact_after(&self) -> Duration {
        Duration::from_secs(self.compact_after_seconds)
    }

    /// [`Self::sync_seconds_max`] as a duration.
    pub fn sync_longest(&self) -> Duration {
        Duration::from_secs(self.sync_seconds_max)
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        if self.data_dir.as_os_str().is_empty() {
            let problem = "is empty: name a directory";
            return Err(InvalidSetting::new("store.data_dir", problem));
        }
        // Less makes the store thrash; more than a tebibyte is a slip of the unit.
        let cache_range = 1024 * 1024..=1024 * 1024 * 1024 * 1024;
        check_range("store.cache_bytes", self.cache_bytes, cache_range)?;
        for (key, value, most) in [
            (
                "compact_after_seconds",
                self.compact_after_seconds,
                SECONDS_MAX,
            ),
            (
                "compact_after_erasures",
                self.compact_after_erasures,
                1_000_000_000,
            ),
            ("tombstone_days", u64::from(self.tombstone_days), 36_500),
            ("sync_seconds_max", self.sync_seconds_max, 3_600),
        ] {
            check_range(&format!("store.{key}"), value, 1..=most)?;
        }
        Ok(())
    }
}

/// Where the master key is, which wraps all others. At most one place may be named; with none it
/// lies in the store's directory and is made on the first run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MasterKeySettings {
    /// A file; empty for none.
    pub master_file: PathBuf,
    /// The name of an environment variable; empty for none.
    pub master_environment: String,
    /// A shell command that prints it; empty for none.
    pub master_command: String,
}

impl MasterKeySettings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let named = [
            !self.master_file.as_os_str().is_empty(),
            !self.master_environment.is_empty(),
            !self.master_command.is_empty(),
        ];
        match named.into_iter().filter(|named| *named).count() {
            0 | 1 => Ok(()),
            _ => Err(InvalidSetting::new(
                "keys",
                "names more than one place of the master key: leave one of master_file, \
                 master_environment and master_command",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_of_the_master_key_is_enough() {
        let mut keys = MasterKeySettings::default();
        assert_eq!(keys.check(), Ok(()));
        keys.master_command = String::from("true");
        assert_eq!(keys.check(), Ok(()));
        keys.master_file = PathBuf::from("key");
        assert_eq!(keys.check().expect_err("two places").key, "keys");
    }

    #[test]
    fn a_schedule_of_nothing_is_refused() {
        let settings = StoreSettings {
            compact_after_seconds: 0,
            ..StoreSettings::default()
        };
        let error = settings.check().expect_err("all the time");
        assert_eq!(error.key, "store.compact_after_seconds");
    }
}
