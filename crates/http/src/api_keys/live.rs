//! The keys of a server, kept up with the file while it runs.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use metrics::gauge;
use tokio::time::{MissedTickBehavior, interval};

use super::allowance::{AddressAllowances, Charge, Rate};
use super::file::{KeyFile, KeyFileError};
use super::record::KeyRecord;
use super::table::KeyTable;
use crate::config::{KeySettings, ServerSettings, Settings};
use crate::http::metric_names::API_KEYS_STALE;

/// How often the file is read: what changed is in force within a second.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// After how many readings the allowances of silent addresses are forgotten: every minute.
const READINGS_BEFORE_FORGETTING: u32 = 120;

/// The keys that are let in. Cloning shares them.
#[derive(Clone)]
pub struct ApiKeys(Arc<Shared>);

struct Shared {
    file: KeyFile,
    configured: Vec<KeySettings>,
    server: ServerSettings,
    table: ArcSwap<KeyTable>,
    addresses: Option<AddressAllowances>,
    seen: Mutex<Seen>,
}

/// What was found in the file.
struct Seen {
    /// What it held when the table was made; `None` when it was not there.
    bytes: Option<Vec<u8>>,
    /// Why it cannot be used since; told once.
    flaw: Option<String>,
}

impl ApiKeys {
    /// The keys of the configuration, and those in the data directory.
    ///
    /// # Errors
    /// When the file there is damaged, can be written by others, or names a key that the configuration
    /// names as well.
    pub fn open(settings: &Settings) -> Result<Self, KeyFileError> {
        let file = KeyFile::of_store(&settings.store.data_dir);
        let bytes = file.bytes()?;
        let records = bytes.as_ref().map_or(Ok(Vec::new()), |b| file.parse(b))?;
        let configured = settings.access.keys.clone();
        if let Some(name) = twice(&configured, &records).next() {
            let name = name.to_owned();
            return Err(KeyFileError::NameConfigured { name });
        }
        let server = settings.server.clone();
        let table = KeyTable::new(&configured, &records, &server, None);
        Ok(Self(Arc::new(Shared {
            file,
            configured,
            addresses: Rate::of(&server, None).map(AddressAllowances::new),
            server,
            table: ArcSwap::from_pointee(table),
            seen: Mutex::new(Seen { bytes, flaw: None }),
        })))
    }

    /// Takes over what changes in the file, for as long as it is polled.
    pub async fn watch(self) {
        let mut readings = interval(READ_INTERVAL);
        readings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = READINGS_BEFORE_FORGETTING;
        loop {
            readings.tick().await;
            let keys = self.clone();
            // The disk may keep a reader waiting.
            let read = tokio::task::spawn_blocking(move || keys.read_again());
            if read.await.is_err() {
                tracing::error!("the file of API keys could not be looked at");
            }
            left -= 1;
            if left == 0 {
                left = READINGS_BEFORE_FORGETTING;
                self.0
                    .addresses
                    .iter()
                    .for_each(AddressAllowances::forget_silent);
            }
        }
    }

    /// The keys as they are now.
    pub(crate) fn current(&self) -> Guard<Arc<KeyTable>> {
        self.0.table.load()
    }

    /// Whether there is a key that opens anything.
    pub fn has_usable(&self) -> bool {
        self.current().has_usable()
    }

    /// Takes one request of an address that called without a key; the time until there is one again
    /// when there is none.
    pub(crate) fn take_of_address(&self, address: IpAddr, charge: Charge) -> Result<(), Duration> {
        let addresses = self.0.addresses.as_ref();
        addresses.map_or(Ok(()), |addresses| addresses.take(address, charge))
    }

    /// Reads the file, and takes over what it says if that changed. One that cannot be used changes
    /// nothing: it lets nobody in, and shuts nobody out.
    fn read_again(&self) {
        let shared = &self.0;
        let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let read = shared.file.bytes().and_then(|bytes| {
            if bytes == seen.bytes {
                return Ok(None);
            }
            let records = bytes.as_ref().map(|bytes| shared.file.parse(bytes));
            let records = records.transpose()?.unwrap_or_default();
            Ok(Some((bytes, records)))
        });
        match read {
            Ok(changed) => {
                if seen.flaw.take().is_some() {
                    tracing::info!("the file of API keys is whole again");
                    gauge!(API_KEYS_STALE).set(0.0);
                }
                if let Some((bytes, records)) = changed {
                    shared.take_over(&records, bytes.is_none());
                    seen.bytes = bytes;
                }
            }
            Err(error) => seen.report(&error),
        }
    }
}

impl Shared {
    fn take_over(&self, records: &[KeyRecord], is_gone: bool) {
        for name in twice(&self.configured, records) {
            tracing::error!(
                name,
                "the configuration has a key of this name: the other opens nothing"
            );
        }
        if is_gone {
            tracing::warn!("the file of API keys is gone, and with it every key that it held");
        }
        let before = self.table.load_full();
        let table = KeyTable::new(&self.configured, records, &self.server, Some(&before));
        if table.is_keyed() && !before.is_keyed() {
            tracing::info!("the first API key was made: from now on a key is needed");
        }
        self.table.store(Arc::new(table));
        tracing::info!(remembered = records.len(), "took over the file of API keys");
    }
}

impl Seen {
    fn report(&mut self, error: &KeyFileError) {
        let flaw = error.to_string();
        if self.flaw.as_ref() != Some(&flaw) {
            tracing::error!(%error, "the API keys from before count on");
            gauge!(API_KEYS_STALE).set(1.0);
            self.flaw = Some(flaw);
        }
    }
}

/// The names that both the configuration and the file give to a key.
fn twice<'a>(
    configured: &'a [KeySettings],
    records: &'a [KeyRecord],
) -> impl Iterator<Item = &'a str> {
    let names: HashSet<&str> = configured.iter().map(|key| key.name.as_str()).collect();
    let made = records.iter().map(|record| record.name.as_str());
    made.filter(move |name| names.contains(name))
}
