//! What is in the store, where that can be looked at.

use recant_store::{Current, Inspected, MasterKeySource, StoreError, StoreOptions, inspect};

use super::directory::Directory;

/// What was seen of the store.
#[derive(Debug)]
pub(crate) enum StoreFacts {
    /// There is none yet, or its files are not in order, which is a subject of its own.
    Nothing,
    /// A server has it open.
    InUse,
    /// The variable that has its master key is not set here, which says nothing about the server's.
    NoMasterKey,
    /// It was looked into.
    Seen(Inspected),
    /// It could not be opened.
    Refused(StoreError),
}

impl StoreFacts {
    /// Looks into the store of a directory, when no server has it open.
    pub(crate) fn gather(directory: &Directory, options: &StoreOptions) -> Self {
        let Ok(layout) = &directory.layout else {
            return Self::Nothing;
        };
        if layout.in_use {
            return Self::InUse;
        }
        let Current::Generation(number) = layout.current else {
            return Self::Nothing;
        };
        if !layout.generations.contains(&number) || !layout.has_key_ring {
            return Self::Nothing;
        }
        if let MasterKeySource::Environment(name) = &options.master_key
            && std::env::var_os(name).is_none_or(|value| value.is_empty())
        {
            return Self::NoMasterKey;
        }
        match inspect(&directory.path, options, &std::env::temp_dir()) {
            Ok(seen) => Self::Seen(seen),
            // A server was started just now.
            Err(StoreError::Locked { .. }) => Self::InUse,
            Err(error) => Self::Refused(error),
        }
    }
}
