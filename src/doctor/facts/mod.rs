//! What can be seen of a store, its configuration and the machine: read, not judged.

mod block;
pub(crate) mod clock;
pub(crate) mod configuration;
pub(crate) mod directory;
pub(crate) mod disk;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod store;

use recant_store::{Inspected, StoreOptions};
use recant_types::UnixMillis;

use clock::Clock;
use configuration::Configuration;
use directory::Directory;
use disk::Disk;
use memory::{Memory, Need};
use process::Process;
use store::StoreFacts;

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The time that all of it is judged at.
    pub(crate) now: UnixMillis,
    pub(crate) configuration: Configuration,
    pub(crate) directory: Directory,
    pub(crate) store: StoreFacts,
    /// `None` when there is no directory.
    pub(crate) disk: Option<Disk>,
    pub(crate) memory: Memory,
    pub(crate) process: Process,
    pub(crate) clock: Clock,
}

impl Facts {
    /// Looks at everything. In the store's directory a probe file is written and removed, and nothing
    /// else.
    pub(crate) fn gather(configuration: Configuration, options: &StoreOptions) -> Self {
        let settings = &configuration.settings;
        let data_dir = settings.store.data_dir.clone();
        let directory = Directory::gather(&data_dir);
        let store = StoreFacts::gather(&directory, options);
        let disk = directory.is_there().then(|| {
            let layout = directory.layout.as_ref();
            let live_bytes = layout.map_or(0, |layout| layout.live_bytes);
            let keys_beside = configuration.master.is_beside(&data_dir);
            Disk::gather(
                &data_dir,
                settings.store.free_space_min_bytes,
                live_bytes,
                keys_beside,
            )
        });
        let contents = match &store {
            StoreFacts::Seen(Inspected::Contents(contents)) => Some(contents.as_ref()),
            _ => None,
        };
        let newest = contents.and_then(|contents| contents.newest);
        let memory = Memory::gather(contents.map(|contents| Need::of(contents, settings)));
        let process = Process::gather(settings.server.connections_max);
        Self {
            now: UnixMillis::now(),
            memory,
            process,
            clock: Clock::gather(newest),
            directory,
            store,
            disk,
            configuration,
        }
    }
}
