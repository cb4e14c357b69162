//! What is on the disk, and when it is safe.
//!
//! A store is a directory. Reads go to the database at once; every change is a
//! [`WriteBatch`] handed to [`Store::commit`], which answers when the change
//! survives a power cut. docs/store.md draws files and records.
//!
//! ```
//! use recant_store::ImportSession;
//! use recant_store::{Store, StoreOptions};
//!
//! let directory = tempfile::tempdir()?;
//! let session = ImportSession::begin(directory.path(), &StoreOptions::default())?;
//! let mut writer = session.writer()?;
//! writer.push("ada-0001", "the-blue-boat", 1.0, None)?;
//! writer.set_title("the-blue-boat", "The Blue Boat")?;
//! writer.finish()?; // durable, or nothing of it is there
//! drop(session);
//!
//! let store = Store::open(directory.path(), &StoreOptions::default())?;
//! let item = store.item(0)?.expect("the first item").id;
//! let said = store.description(&item)?.expect("something is said about it");
//! assert_eq!(said.title.as_deref(), Some("The Blue Boat"));
//! assert_eq!(store.history(0)?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unreachable_pub)]

mod backup;
mod batch;
mod changes;
mod codec;
mod compaction;
mod content_digest;
mod current;
mod database;
mod decided;
mod directory;
mod disk;
mod error;
mod fact;
mod failpoint;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod generation;
mod group;
mod guard;
mod hash;
mod import;
mod index;
mod inspect;
mod kept;
mod keyring;
mod keys;
mod legacy_watermark;
mod log;
mod log_entry;
mod log_key;
pub mod metric_names;
mod migrations;
mod observer;
mod options;
mod outbox;
mod persons;
mod position;
mod private;
mod receipt_keys;
mod records;
mod request;
mod seal;
mod sealer;
mod shared;
mod stage;
mod store;
mod sync;
mod tensor;
mod together;
mod transfer;
mod trial;
mod unapplied;
mod wipe;
mod writer;
mod zeroing;

pub use backup::{BackupSummary, Restored, restore};
pub use batch::WriteBatch;
pub use compaction::{Compaction, CompactionState};
pub use content_digest::{ContentDigest, ContentSlice};
pub use decided::{Decided, DecidedError};
pub use error::StoreError;
pub use fact::{CertifiedErasure, Fact, ForgottenErasure, Settlement};
pub use failpoint::{FAILPOINTS, failpoint};
pub use group::{Commit, Deciding, EntryCommit, Pending};
pub use hash::{HashedTypedPair, IdHasher, KeyedHash, Named};
pub use import::{ImportSession, ImportSessionError, ImportTotals, ImportWriter};
pub use inspect::{
    Contents, Current, FileRights, Inspected, Layout, UnfinishedErasures, inspect, layout,
    sync_time,
};
pub use keyring::{MasterKey, MasterKeySource};
pub use log::{Entry, ErasureEntry};
pub use log_entry::LogEntry;
pub use log_key::LogKey;
pub use observer::{Brought, EntryObserver};
pub use options::{CompactionSchedule, StoreOptions};
pub use outbox::OutboxEndpoint;
pub use position::LogPosition;
pub use receipt_keys::{ReceiptKeys, published_receipt_keys};
pub use records::{
    Committed, INTERACTIONS_PER_CHUNK, ItemRecord, LastCertificate, ModelHeader, StoredInteraction,
};
pub use request::{Idempotency, RequestBatch};
pub use sealer::Sealer;
pub use store::{Store, rotate_master_key};
pub use sync::{SyncObserver, SyncStep};
pub use tensor::{SHARED_ROW_VALUES, Tensor};
pub use transfer::{Exported, Imported, import_state};
pub use wipe::wipe;
