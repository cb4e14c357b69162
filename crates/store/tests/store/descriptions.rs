//! What is said about items: by id, whatever becomes of rows; and as earlier versions wrote it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use recant_store::{ImportSession, Store, restore};
use recant_testkit::store::{
    commit, copy_directory, erasure, history, item, item_id, open, options, user,
};
use recant_types::{DescriptionPatch, ErasureId, ErasureTarget, ItemDescription};

fn described(number: u32, title: &str) -> ItemDescription {
    let mut description = ItemDescription::of(item_id(number));
    description.title = Some(Arc::from(title));
    description
}

fn titles(store: &Store) -> BTreeMap<String, String> {
    let said = store.descriptions().expect("readable").into_iter();
    let title = |said: &ItemDescription| said.title.as_deref().unwrap_or("none").to_owned();
    said.map(|said| (said.id.expose().to_owned(), title(&said)))
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Describe(u32, u8),
    Remove(u32),
    /// A row is written, as earlier versions did when there is a title.
    PutRow(u32, Option<u8>),
    RemoveRow(u32),
    Reopen,
    Compact,
    /// An import that says something about one item and nothing about the others.
    Import(u32, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let item = 0..4_u32;
    prop_oneof![
        3 => (item.clone(), any::<u8>()).prop_map(|(item, title)| Step::Describe(item, title)),
        2 => item.clone().prop_map(Step::Remove),
        3 => (item.clone(), any::<Option<u8>>()).prop_map(|(item, title)| Step::PutRow(item, title)),
        2 => item.clone().prop_map(Step::RemoveRow),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compact),
        1 => (item, any::<u8>()).prop_map(|(item, title)| Step::Import(item, title)),
    ]
}

fn import(data: &Path, item: u32, title: &str) {
    let session = ImportSession::begin(data, &options()).expect("a session");
    let mut writer = session.writer().expect("a writer");
    let patch = DescriptionPatch {
        title: Some(Some(Arc::from(title))),
        ..DescriptionPatch::default()
    };
    let taken = writer.describe(item_id(item).expose(), &patch);
    taken.expect("taken");
    writer.finish().expect("finished");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each item has one description, the last one, wherever it was written and whatever happened
    /// to its row.
    #[test]
    fn the_last_word_about_an_item_counts(steps in prop::collection::vec(step(), 1..25)) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut store = open(&data);
        let mut said: BTreeMap<u32, String> = BTreeMap::new();
        // Whether an item has a description of its own, which a row does not replace.
        let mut own: BTreeMap<u32, bool> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Describe(number, title) => {
                    let title = title.to_string();
                    commit(&store, |batch| batch.put_description(&described(number, &title)));
                    said.insert(number, title);
                    own.insert(number, true);
                }
                Step::Remove(number) => {
                    commit(&store, |batch| batch.remove_description(&item_id(number)));
                    said.remove(&number);
                    own.remove(&number);
                }
                Step::PutRow(number, title) => {
                    let title = title.map(|title| title.to_string());
                    let record = item(number, title.as_deref());
                    commit(&store, |batch| batch.put_item(number, &record));
                    // What the row said before has moved out of it.
                    if let Some(own) = own.get_mut(&number) {
                        *own = true;
                    } else if let Some(title) = title {
                        said.insert(number, title);
                        own.insert(number, false);
                    }
                }
                Step::RemoveRow(number) => {
                    commit(&store, |batch| batch.remove_item(number));
                    if let Some(own) = own.get_mut(&number) {
                        *own = true;
                    }
                }
                Step::Reopen => {
                    drop(store);
                    store = open(&data);
                }
                Step::Compact => drop(store.compact().expect("compacted")),
                Step::Import(number, title) => {
                    drop(store);
                    import(&data, number, &title.to_string());
                    store = open(&data);
                    said.insert(number, title.to_string());
                    own.values_mut().for_each(|own| *own = true);
                    own.insert(number, true);
                }
            }
            let expected: BTreeMap<String, String> = said
                .iter()
                .map(|(number, title)| (item_id(*number).expose().to_owned(), title.clone()))
                .collect();
            prop_assert_eq!(titles(&store), expected);
            for number in 0..4 {
                let one = store.description(&item_id(number)).expect("readable");
                let title = one.and_then(|one| one.title).map(|title| title.to_string());
                prop_assert_eq!(title.as_ref(), said.get(&number));
            }
        }
    }
}

/// A backup brings descriptions back, but not of items that were erased since: of these what was
/// said afterwards stays.
#[test]
fn a_restore_keeps_what_was_said_of_an_erased_item_since_and_nothing_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data);
    commit(&store, |batch| {
        batch.put_item(0, &item(0, Some("in the row")));
        batch.put_item(1, &item(1, Some("in the row")));
        batch.put_user(0, &user(0));
        batch.put_history(0, &history(1));
        (2..6).for_each(|number| batch.put_description(&described(number, "before")));
    });
    store.backup(&file).expect("backed up");
    commit(&store, |batch| {
        batch.put_description(&described(2, "after"));
        batch.put_description(&described(9, "after"));
        for number in [1, 3, 4] {
            let target = ErasureTarget::Item(item_id(number));
            batch.append(erasure(ErasureId::generate(), target));
            batch.remove_description(&item_id(number));
        }
    });
    commit(&store, |batch| {
        batch.put_description(&described(4, "after"))
    });
    drop(store);
    let copy = folder.path().join("copy");
    copy_directory(&data, &copy);
    restore(&file, &data, &options()).expect("restored");
    let expected = [
        ("item-0", "in the row"),
        ("item-2", "before"),
        ("item-4", "after"),
        ("item-5", "before"),
    ];
    let expected = expected.map(|(id, title)| (id.to_owned(), title.to_owned()));
    assert_eq!(titles(&open(&data)), expected.into());
}
