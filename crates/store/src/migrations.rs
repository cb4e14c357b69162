//! The schema version of a store, and how an older one is brought up to date.
//!
//! Each step is a file in the top-level directory `migrations/`. Steps run when a store is opened,
//! on a copy that replaces the store only when all of them are through.

#[path = "../../../migrations/v0001_initial.rs"]
mod v0001_initial;
#[path = "../../../migrations/v0002_sealed.rs"]
mod v0002_sealed;
#[path = "../../../migrations/v0003_feedback_types.rs"]
mod v0003_feedback_types;
#[path = "../../../migrations/v0004_people.rs"]
mod v0004_people;
#[path = "../../../migrations/v0005_restrictions.rs"]
mod v0005_restrictions;

use crate::codec;
use crate::database::Database;
use crate::error::StoreError;
use crate::files::{Files, Generation};
use crate::generation::NextGeneration;
use crate::keyring::CommitWatermark;
use crate::{keys, legacy_watermark};

/// Changes the records of a copy of the store. The first argument is the database of a version that
/// cannot be copied, because it is not sealed.
type Step = fn(Option<&Database>, &NextGeneration<'_>) -> Result<(), StoreError>;

/// The first version whose records are sealed. What there is about erasures lies in it as it does today.
pub(super) const SEALED_VERSION: u32 = 2;

/// One step from a schema version to the next.
pub(super) struct Migration {
    /// What it does, for the log.
    pub(super) name: &'static str,
    /// Changes the records of the copy.
    pub(super) migrate: Step,
}

/// All steps in order: the one at index n leads from version n to version n + 1.
pub(super) const MIGRATIONS: [Migration; 5] = [
    Migration {
        name: "initial",
        migrate: v0001_initial::migrate,
    },
    Migration {
        name: "sealed",
        migrate: v0002_sealed::migrate,
    },
    Migration {
        name: "feedback types",
        migrate: v0003_feedback_types::migrate,
    },
    Migration {
        name: "people",
        migrate: v0004_people::migrate,
    },
    Migration {
        name: "restrictions",
        migrate: v0005_restrictions::migrate,
    },
];

/// The schema version of a database; 0 when it is empty.
pub(super) fn schema_version(database: &Database) -> Result<u32, StoreError> {
    let Some(value) = database.get(&keys::SCHEMA)? else {
        return Ok(0);
    };
    let payload = codec::verify_checksum(&keys::SCHEMA, &value)?;
    let bytes = payload
        .try_into()
        .map_err(|_| StoreError::damaged("no schema version"))?;
    Ok(u32::from_le_bytes(bytes))
}

/// What the current generation is, before anything of it is opened for good.
enum Found {
    /// There is none.
    Nothing,
    /// One whose records are not sealed.
    Plain(Database),
    /// One that can be copied.
    Sealed(Generation),
}

/// Opens the current generation and refuses one that lacks acknowledged commits.
///
/// Before anything is built on it: a new generation replaces the one it was made from, and with
/// its own commit it could make up for the one that is missing.
fn find(files: &Files, known: u32) -> Result<(Found, u32), StoreError> {
    let Some(number) = files.directory.current()? else {
        return Ok((Found::Nothing, 0));
    };
    let database = files.open_database(number)?;
    let version = schema_version(&database)?;
    if version > known {
        return Err(StoreError::FromTheFuture {
            found: version,
            known,
        });
    }
    if version < SEALED_VERSION {
        let acknowledged = legacy_watermark::read(files.directory.path())?
            .unwrap_or(0)
            .max(files.ring.watermark()?.commit);
        let value = database.get(&keys::COMMIT)?;
        let held = value.map_or(Ok(0), |value| {
            codec::read_u64(codec::verify_checksum(&keys::COMMIT, &value)?)
        })?;
        if held < acknowledged {
            return Err(StoreError::Behind { held, acknowledged });
        }
        return Ok((Found::Plain(database), version));
    }
    let codec = codec::Codec::new(&files.ring, number)?;
    let counter = |key: &[u8]| {
        let value = database.get(key)?;
        value.map_or(Ok(0), |value| codec::read_u64(&codec.open(key, &value)?))
    };
    let held = CommitWatermark {
        commit: counter(&keys::COMMIT)?,
        erasures: counter(&keys::ERASURES)?,
    };
    files.ring.check(held.commit)?;
    let known = legacy_watermark::read(files.directory.path())?;
    files
        .ring
        .check_is_newest(held.commit, known.unwrap_or(0))?;
    files.bring_up_watermark(&database, held)?;
    let generation = Generation {
        number,
        database,
        codec,
    };
    Ok((Found::Sealed(generation), version))
}

/// Brings the directory's current generation to the version that `migrations` lead to; makes the
/// first generation when there is none. Refuses a generation that lacks acknowledged commits.
pub(super) fn bring_up_to_date(files: &Files, migrations: &[Migration]) -> Result<(), StoreError> {
    let known = migrations.len() as u32;
    let (current, found) = find(files, known)?;
    if found == known {
        return Ok(());
    }
    if matches!(current, Found::Sealed(_)) {
        files.ring.keep_every_key()?;
    }
    let next = NextGeneration::begin(files)?;
    let plain = match current {
        Found::Nothing => None,
        Found::Plain(database) => Some(database),
        Found::Sealed(generation) => {
            next.copy(&generation, |_, _, _| Ok(()))?;
            None
        }
    };
    for (migration, version) in migrations.iter().zip(1_u32..).skip(found as usize) {
        tracing::info!(version, name = migration.name, "migrating the store");
        (migration.migrate)(plain.as_ref(), &next)?;
        next.put_schema(version)?;
    }
    drop(plain);
    next.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::options::StoreOptions;

    fn fill(_: Option<&Database>, next: &NextGeneration<'_>) -> Result<(), StoreError> {
        next.put(keys::item(7), b"ada")
    }

    fn keep(_: Option<&Database>, _: &NextGeneration<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn rename(_: Option<&Database>, next: &NextGeneration<'_>) -> Result<(), StoreError> {
        for record in next.scan(&[keys::ITEM]).collect::<Vec<_>>() {
            let (key, payload) = record?;
            next.put(key, &payload.to_ascii_uppercase())?;
        }
        Ok(())
    }

    fn fail(before: Option<&Database>, next: &NextGeneration<'_>) -> Result<(), StoreError> {
        rename(before, next)?;
        Err(StoreError::damaged("a step that fails half way"))
    }

    fn steps(migrations: &[Step]) -> Vec<Migration> {
        migrations
            .iter()
            .map(|migrate| Migration {
                name: "test",
                migrate: *migrate,
            })
            .collect()
    }

    fn item(files: &Files) -> (u32, Vec<u8>) {
        let generation = files.open_current().expect("opened");
        let value = generation.database.get(&keys::item(7)).expect("read");
        let payload = generation
            .codec
            .open(&keys::item(7), &value.expect("there"))
            .expect("intact");
        (schema_version(&generation.database).expect("read"), payload)
    }

    #[test]
    fn steps_run_once_and_all_or_nothing() {
        let temporary = tempfile::tempdir().expect("a directory");
        let files = Files::open(temporary.path(), &StoreOptions::default()).expect("new");
        let migrate = |migrations: &[Migration]| bring_up_to_date(&files, migrations);
        migrate(&steps(&[fill, keep])).expect("made");
        assert_eq!(item(&files), (2, b"ada".to_vec()));
        migrate(&steps(&[fill, keep, rename, fail])).expect_err("the last step fails");
        assert_eq!(item(&files), (2, b"ada".to_vec()), "nothing of it is left");
        migrate(&steps(&[fill, keep, rename])).expect("migrated");
        assert_eq!(item(&files), (3, b"ADA".to_vec()));
        migrate(&steps(&[fill, keep, fail])).expect("the third step is behind it already");
        let future = migrate(&steps(&[fill, keep]));
        assert!(
            matches!(
                future,
                Err(StoreError::FromTheFuture { found: 3, known: 2 })
            ),
            "{future:?}"
        );
    }
}
