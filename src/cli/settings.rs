//! The flags that every command on a store shares, and the settings they end up in.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use recant_http::{FlagOverride, Settings, Sources, Traces};
use recant_http::{install_logs, install_logs_and_traces};
use recant_store::{CompactionSchedule, MasterKeySource, Store, StoreOptions};
use recant_types::ModelConfiguration;

/// Where the store is and what configures it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StoreArgs {
    /// Directory of the store [default: as configured, or else recant-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file [default: config/default.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl StoreArgs {
    /// The settings of defaults, file, environment and these flags, with `more` flags on top; and
    /// logging set up as they say.
    pub(super) fn settings(&self, more: Vec<FlagOverride>) -> Result<Settings, CliError> {
        let settings = self.load(more)?;
        install_logs(&settings.log).map_err(CliError::usage)?;
        Ok(settings)
    }

    /// The same for a process that serves: traces are sent as well, where the settings say so.
    pub(super) fn serving_settings(
        &self,
        more: Vec<FlagOverride>,
    ) -> Result<(Settings, Traces), CliError> {
        let settings = self.load(more)?;
        let traces = install_logs_and_traces(&settings.log, &settings.telemetry);
        Ok((settings, traces.map_err(CliError::usage)?))
    }

    fn load(&self, more: Vec<FlagOverride>) -> Result<Settings, CliError> {
        self.sources(more)?.load().map_err(CliError::usage)
    }

    /// Where the settings come from, with `more` flags on top.
    pub(super) fn sources(&self, more: Vec<FlagOverride>) -> Result<Sources, CliError> {
        let mut flags = more;
        if let Some(directory) = &self.data_dir {
            let value = directory.to_str().ok_or_else(|| {
                CliError::usage("--data-dir is not valid UTF-8: name another directory")
            })?;
            flags.push(flag("--data-dir", "store.data_dir", value));
        }
        Ok(Sources {
            file: self.config.clone(),
            flags,
            ..Sources::default()
        })
    }
}

/// A setting given by a flag.
pub(super) fn flag(flag: &'static str, key: &'static str, value: &str) -> FlagOverride {
    FlagOverride {
        flag,
        key,
        value: value.to_owned(),
    }
}

/// How the settings want a store opened by a command that is soon done.
pub(super) fn store_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        cache_bytes: settings.store.cache_bytes,
        free_space_min_bytes: settings.store.free_space_min_bytes,
        master_key: master_key(settings),
        tombstone_days: settings.store.tombstone_days,
        sync_longest: settings.store.sync_longest(),
        recovery_copy_max_bytes: settings.store.recovery_copy_max_bytes,
        feedback: settings.feedback.types.clone(),
        ..StoreOptions::default()
    }
}

/// How the settings want a store opened that is served from.
pub(super) fn serving_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        compaction: Some(CompactionSchedule {
            after: settings.store.compact_after(),
            after_erasures: settings.store.compact_after_erasures,
        }),
        ..store_options(settings)
    }
}

/// The model of a store that holds none yet.
pub(super) fn configured_model(settings: &Settings) -> ModelConfiguration {
    match settings.model.neural() {
        Some(specification) => ModelConfiguration::Neural(specification),
        None => settings.model.hyperparameters().into(),
    }
}

/// Where the settings say that the master key is.
pub(super) fn master_key(settings: &Settings) -> MasterKeySource {
    let keys = &settings.keys;
    if !keys.master_file.as_os_str().is_empty() {
        MasterKeySource::File(keys.master_file.clone())
    } else if !keys.master_environment.is_empty() {
        MasterKeySource::Environment(keys.master_environment.clone())
    } else if !keys.master_command.is_empty() {
        MasterKeySource::Command(keys.master_command.clone())
    } else {
        MasterKeySource::Beside
    }
}

/// Opens the store that the settings name.
pub(super) fn open_store(settings: &Settings) -> Result<Store, CliError> {
    Store::open(&settings.store.data_dir, &store_options(settings)).map_err(CliError::failed)
}

/// The same to change what it holds: refuses a directory that belongs to a cluster.
pub(super) fn open_single_store(settings: &Settings) -> Result<Store, CliError> {
    let store = open_store(settings)?;
    store.check_single().map_err(CliError::failed)?;
    Ok(store)
}

/// Threads for arithmetic, as many as the settings say.
pub(super) fn thread_pool(settings: &Settings) -> Result<rayon::ThreadPool, CliError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(settings.learning.threads)
        .build()
        .map_err(CliError::failed)
}
