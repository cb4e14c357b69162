//! The keys that count at one moment.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use subtle::ConstantTimeEq;

use super::allowance::{Charge, KeyAllowances, Rate};
use super::record::{KeyRecord, KeyStatus, is_over};
use crate::config::{KeySettings, Role, ServerSettings};

/// One key, known by its digest.
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: Arc<str>,
    digest: [u8; 32],
    roles: Vec<Role>,
    expires_at: Option<Timestamp>,
    allowances: Option<Arc<KeyAllowances>>,
}

impl Key {
    /// Whether the holder has this role, by itself or as `admin`.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&Role::Admin) || self.roles.contains(&role)
    }

    /// Takes one request from an allowance; the time until there is one again when there is none.
    pub(crate) fn take(&self, charge: Charge) -> Result<(), Duration> {
        let allowances = self.allowances.as_ref();
        allowances.map_or(Ok(()), |allowances| allowances.take(charge))
    }
}

/// Every key that counts. Made anew whenever one is made or revoked.
pub(crate) struct KeyTable {
    keys: Vec<Key>,
    /// Whether a key is needed at all.
    is_keyed: bool,
}

impl KeyTable {
    /// The keys of the configuration and of the file. Allowances go on where those of `before` were.
    /// Once there was a key, one is needed for as long as the process lives, whatever becomes of it;
    /// and for as long as the file remembers it.
    pub(super) fn new(
        configured: &[KeySettings],
        records: &[KeyRecord],
        server: &ServerSettings,
        before: Option<&Self>,
    ) -> Self {
        let active = |record: &&KeyRecord| {
            record.status() == KeyStatus::Active
                && configured.iter().all(|key| key.name != record.name)
        };
        let made = records.iter().filter(active);
        let made = made.map(|record| (record.as_settings(), record.expires_at));
        let configured = configured.iter().map(|key| (key.clone(), None));
        let all = configured.chain(made).map(|(settings, expires_at)| Key {
            name: Arc::from(settings.name.as_str()),
            digest: settings.digest().expect("digests were checked on loading"),
            allowances: Rate::of(server, settings.requests_per_second_max)
                .map(|rate| allowances_at(rate, &settings.name, before)),
            roles: settings.roles,
            expires_at,
        });
        let keys: Vec<Key> = all.collect();
        let was_keyed = before.is_some_and(Self::is_keyed);
        Self {
            is_keyed: was_keyed || !keys.is_empty() || !records.is_empty(),
            keys,
        }
    }

    /// Whether a key is needed. It is, too, when all there were are revoked or expired.
    pub(crate) fn is_keyed(&self) -> bool {
        self.is_keyed
    }

    /// Whether anybody can be let in.
    pub(super) fn has_usable(&self) -> bool {
        self.keys.iter().any(|key| !is_over(key.expires_at))
    }

    /// The key of this name, if it is one of ours and not over.
    pub(crate) fn named(&self, name: &str) -> Option<&Key> {
        let mut keys = self.keys.iter();
        keys.find(|key| &*key.name == name && !is_over(key.expires_at))
    }

    /// The key of this digest, if it is one of ours and not over. Every digest is compared, each in
    /// constant time, so the time taken tells nothing about them.
    pub(crate) fn find(&self, digest: &[u8]) -> Option<&Key> {
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.digest.ct_eq(digest)) {
                found = Some(key);
            }
        }
        found.filter(|key| !is_over(key.expires_at))
    }
}

/// What the key of this name has left, if its rate is still the same; else the whole.
fn allowances_at(rate: Rate, name: &str, before: Option<&KeyTable>) -> Arc<KeyAllowances> {
    let keys = before.into_iter().flat_map(|table| &table.keys);
    let own = keys.filter(|key| &*key.name == name);
    let mut kept = own.filter_map(|key| key.allowances.as_ref());
    let kept = kept.find(|kept| kept.rate == rate);
    kept.map_or_else(|| Arc::new(KeyAllowances::new(rate)), Arc::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, digit: &str) -> KeyRecord {
        KeyRecord {
            name: name.to_owned(),
            sha256: digit.repeat(64),
            roles: vec![Role::Read],
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            requests_per_second_max: None,
        }
    }

    fn table(records: &[KeyRecord], before: Option<&KeyTable>) -> KeyTable {
        let server = ServerSettings {
            requests_per_second_max: 1,
            requests_burst_max: 1_000,
            ..ServerSettings::default()
        };
        KeyTable::new(&[], records, &server, before)
    }

    #[test]
    fn what_is_revoked_or_expired_opens_nothing_and_keeps_the_door_shut() {
        let expired = KeyRecord {
            expires_at: Some(Timestamp::UNIX_EPOCH),
            ..record("expired", "1")
        };
        let revoked = KeyRecord {
            revoked_at: Some(Timestamp::UNIX_EPOCH),
            ..record("revoked", "2")
        };
        let table_of = |records: &[KeyRecord]| table(records, None);
        assert!(!table_of(&[]).is_keyed());
        for over in [expired, revoked] {
            let digest = over.as_settings().digest().expect("hexadecimal");
            let shut = table_of(&[over]);
            assert!(shut.is_keyed() && !shut.has_usable());
            assert!(shut.find(&digest).is_none());
        }
        let open = table_of(&[record("active", "3")]);
        assert!(open.is_keyed() && open.has_usable() && open.find(&[0x33; 32]).is_some());
        // The file may even be gone.
        assert!(table(&[], Some(&open)).is_keyed());
    }

    #[test]
    fn a_change_of_the_file_fills_no_allowance() {
        let first = table(&[record("a", "1"), record("b", "2")], None);
        let key = |table: &KeyTable, digit: u8| {
            let key = table.find(&[digit; 32]).expect("there");
            Arc::clone(key.allowances.as_ref().expect("a rate"))
        };
        while key(&first, 0x11).take(Charge::Usual).is_ok() {}
        let changed = KeyRecord {
            requests_per_second_max: Some(2),
            ..record("b", "2")
        };
        let second = table(&[record("a", "1"), changed, record("c", "3")], Some(&first));
        assert!(Arc::ptr_eq(&key(&first, 0x11), &key(&second, 0x11)));
        assert!(!Arc::ptr_eq(&key(&first, 0x22), &key(&second, 0x22)));
        assert!(key(&second, 0x33).take(Charge::Usual).is_ok());
    }
}
