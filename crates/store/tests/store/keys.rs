//! Where a master key may come from.
//!
//! One test alone in its process: a command that is started holds the locks of every open store for
//! a moment.

use std::fs;

use recant_store::{MasterKey, MasterKeySource, Store, StoreError, StoreOptions};
use recant_testkit::store::{Contents, addition, commit, options};

#[test]
fn a_master_key_comes_from_a_file_a_variable_or_a_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, path) = (folder.path().join("data"), folder.path().join("key"));
    fs::write(&path, MasterKey::random().to_text().as_bytes()).expect("written");
    let command = format!("cat '{}'", path.display());
    let with = |master_key: MasterKeySource| StoreOptions {
        master_key,
        ..options()
    };
    for bad in ["exit 3", "echo 12", "head -c 5000 /dev/zero"] {
        let refused = Store::open(&data, &with(MasterKeySource::Command(String::from(bad))));
        assert!(
            matches!(refused, Err(StoreError::MasterKey { .. })),
            "{bad}"
        );
    }
    let missing = MasterKeySource::Environment(String::from("RECANT_NO_SUCH_VARIABLE"));
    let refused = Store::open(&data, &with(missing));
    assert!(
        matches!(refused, Err(StoreError::MasterKey { .. })),
        "{refused:?}"
    );
    let store = Store::open(&data, &with(MasterKeySource::File(path))).expect("made");
    commit(&store, |batch| batch.append(addition(1, 2)));
    let contents = Contents::of(&store).expect("readable");
    drop(store);
    assert!(!data.join("keys").join("master").exists());
    let store = Store::open(&data, &with(MasterKeySource::Command(command))).expect("opened");
    assert_eq!(Contents::of(&store).expect("readable"), contents);
    drop(store);
    let refused = Store::open(&data, &options());
    assert!(
        matches!(refused, Err(StoreError::MasterKey { .. })),
        "{refused:?}"
    );
}
