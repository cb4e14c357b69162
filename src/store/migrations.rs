//! The schema version of a store, and how an older one is brought up to date.
//!
//! Each step is a file in the top-level directory `migrations/`. Steps run when a store is opened,
//! on a copy that replaces the store only when all of them are through.

#[path = "../../migrations/v0001_initial.rs"]
mod v0001_initial;

use crate::store::database::Database;
use crate::store::directory::Directory;
use crate::store::generation::NextGeneration;
use crate::store::high_water::HighWater;
use crate::store::{StoreError, codec, keys};

/// Changes the records of a copy of the store.
type Step = fn(&NextGeneration<'_>) -> Result<(), StoreError>;

/// One step from a schema version to the next.
pub(super) struct Migration {
    /// What it does, for the log.
    pub(super) name: &'static str,
    /// Changes the records of the copy.
    pub(super) migrate: Step,
}

/// All steps in order: the one at index n leads from version n to version n + 1.
pub(super) const MIGRATIONS: [Migration; 1] = [Migration {
    name: "initial",
    migrate: v0001_initial::migrate,
}];

/// The schema version of a database; 0 when it is empty.
pub(super) fn schema_version(database: &Database) -> Result<u32, StoreError> {
    let Some(value) = database.get(&keys::SCHEMA)? else {
        return Ok(0);
    };
    let payload = codec::unwrap(&keys::SCHEMA, &value)?;
    let bytes = payload
        .try_into()
        .map_err(|_| StoreError::damaged("no schema version"))?;
    Ok(u32::from_le_bytes(bytes))
}

/// The number of a database's last commit; 0 when it is empty.
fn last_commit(database: &Database) -> Result<u64, StoreError> {
    let value = database.get(&keys::COMMIT)?;
    value.map_or(Ok(0), |value| {
        codec::read_u64(codec::unwrap(&keys::COMMIT, &value)?)
    })
}

/// Brings the directory's current generation to the version that `migrations` lead to; makes the
/// first generation when there is none. Refuses a generation that lacks acknowledged commits.
pub(super) fn bring_up_to_date(
    directory: &Directory,
    cache_bytes: u64,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let known = migrations.len() as u32;
    let current = match directory.current()? {
        Some(number) => Some(Database::open(&directory.generation(number), cache_bytes)?),
        None => None,
    };
    // Before anything is built on it: a new generation replaces the one it was made from, and
    // with its own commit it could make up for the one that is missing.
    if let Some(database) = &current {
        HighWater::open(directory.path(), false)?.check(last_commit(database)?)?;
    }
    let found = current.as_ref().map_or(Ok(0), schema_version)?;
    if found > known {
        return Err(StoreError::FromTheFuture { found, known });
    }
    if found == known {
        return Ok(());
    }
    let next = NextGeneration::begin(directory, cache_bytes)?;
    if let Some(current) = current {
        next.copy(&current, |_, _| Ok(()))?;
    }
    for (migration, version) in migrations.iter().zip(1_u32..).skip(found as usize) {
        tracing::info!(version, name = migration.name, "migrating the store");
        (migration.migrate)(&next)?;
        next.put(keys::SCHEMA.to_vec(), &version.to_le_bytes())?;
    }
    next.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHE_BYTES: u64 = 1 << 20;

    fn fill(generation: &NextGeneration<'_>) -> Result<(), StoreError> {
        generation.put(vec![keys::USER, 0, 0, 0, 7], b"ada")
    }

    fn rename(generation: &NextGeneration<'_>) -> Result<(), StoreError> {
        for record in generation.scan(&[keys::USER]).collect::<Vec<_>>() {
            let (key, payload) = record?;
            generation.put(key, &payload.to_ascii_uppercase())?;
        }
        Ok(())
    }

    fn fail(generation: &NextGeneration<'_>) -> Result<(), StoreError> {
        rename(generation)?;
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

    fn user(directory: &Directory) -> (u32, Vec<u8>) {
        let number = directory.current().expect("readable").expect("there");
        let database = Database::open(&directory.generation(number), CACHE_BYTES).expect("opened");
        let key = [keys::USER, 0, 0, 0, 7];
        let value = database.get(&key).expect("read").expect("there");
        let payload = codec::unwrap(&key, &value).expect("intact").to_vec();
        (schema_version(&database).expect("read"), payload)
    }

    #[test]
    fn steps_run_once_and_all_or_nothing() {
        let temporary = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(temporary.path()).expect("new");
        let migrate =
            |migrations: &[Migration]| bring_up_to_date(&directory, CACHE_BYTES, migrations);
        migrate(&steps(&[fill])).expect("made");
        assert_eq!(user(&directory), (1, b"ada".to_vec()));
        migrate(&steps(&[fill, rename, fail])).expect_err("the last step fails");
        assert_eq!(
            user(&directory),
            (1, b"ada".to_vec()),
            "nothing of it is left"
        );
        migrate(&steps(&[fill, rename])).expect("migrated");
        assert_eq!(user(&directory), (2, b"ADA".to_vec()));
        migrate(&steps(&[fill, fail])).expect("the second step is behind it already");
        let future = migrate(&steps(&[fill]));
        assert!(
            matches!(
                future,
                Err(StoreError::FromTheFuture { found: 2, known: 1 })
            ),
            "{future:?}"
        );
    }
}
