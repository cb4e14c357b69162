//! What endpoints have still to be told outlives everything that the erasures outlive.

use std::path::Path;

use recant_receipt::WebhookKey;
use recant_store::{MasterKeySource, OutboxEndpoint, Store, restore, rotate_master_key};
use recant_testkit::store::{commit, erasure, open, options, user};
use recant_types::{ErasureId, ErasureStatus, ErasureTarget};

/// What is in the outbox of an endpoint.
type Waiting = Vec<(ErasureId, Option<ErasureStatus>)>;

fn endpoints() -> [OutboxEndpoint; 2] {
    ["shop", "desk"].map(OutboxEndpoint::of)
}

fn outbox(store: &Store) -> [Waiting; 2] {
    endpoints().map(|endpoint| store.outbox(endpoint).expect("readable"))
}

/// Three erasures, of which both endpoints have still to be told; the second endpoint of the last two.
fn prepared(data: &Path) -> (Store, [Waiting; 2]) {
    let store = open(data);
    let [shop, desk] = endpoints();
    let ids: Vec<ErasureId> = (0..3).map(|_| ErasureId::generate()).collect();
    for (row, id) in (0..).zip(&ids) {
        commit(&store, |batch| {
            batch.append(erasure(*id, ErasureTarget::User(user(row))));
            batch.put_outbox(shop, *id, None);
            batch.put_outbox(desk, *id, None);
        });
    }
    commit(&store, |batch| {
        batch.put_outbox(shop, ids[1], Some(ErasureStatus::Erased));
        batch.remove_outbox(desk, ids[0]);
    });
    let expected = [
        vec![
            (ids[0], None),
            (ids[1], Some(ErasureStatus::Erased)),
            (ids[2], None),
        ],
        vec![(ids[1], None), (ids[2], None)],
    ];
    assert_eq!(outbox(&store), expected);
    (store, expected)
}

#[test]
fn it_is_there_after_a_start_a_compaction_and_a_restore() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let (store, expected) = prepared(&data);
    store.compact().expect("compacted");
    assert_eq!(outbox(&store), expected);
    drop(store);
    let store = open(&data);
    assert_eq!(outbox(&store), expected);
    store.backup(&file).expect("backed up");
    let [shop, _] = endpoints();
    let (first, _) = expected[0][0];
    commit(&store, |batch| {
        batch.put_outbox(shop, first, Some(ErasureStatus::Forgotten));
    });
    drop(store);
    restore(&file, &data, &options()).expect("restored");
    // What was told since the backup is not told again.
    let mut now = expected;
    now[0][0].1 = Some(ErasureStatus::Forgotten);
    assert_eq!(outbox(&open(&data)), now);
}

#[test]
fn endpoints_are_listed_and_one_that_is_gone_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, expected) = prepared(folder.path());
    let [shop, desk] = endpoints();
    let listed = store.outbox_endpoints().expect("readable");
    assert_eq!(listed.into_iter().collect::<Vec<_>>().len(), 2);
    commit(&store, |batch| batch.remove_outbox_of(shop));
    assert_eq!(outbox(&store), [vec![], expected[1].clone()]);
    let listed: Vec<_> = store
        .outbox_endpoints()
        .expect("readable")
        .into_iter()
        .collect();
    assert_eq!(listed, [(desk, 2)]);
}

#[test]
fn a_repeated_request_is_noted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let [shop, _] = endpoints();
    let once = recant_store::Idempotency {
        key: [1; 32],
        request: [2; 32],
    };
    let ids: Vec<ErasureId> = (0..2).map(|_| ErasureId::generate()).collect();
    for id in &ids {
        commit(&store, |batch| {
            let event = erasure(*id, ErasureTarget::User(user(1)));
            batch.append_erasure(event, recant_types::Commitment([3; 32]), Some(once), None);
            batch.put_outbox(shop, *id, None);
        });
    }
    assert_eq!(store.outbox(shop).expect("readable"), [(ids[0], None)]);
}

#[test]
fn keys_stay_whatever_becomes_of_the_master_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let public = |name: &str| {
        let key: WebhookKey = open(folder.path()).webhook_key(name).expect("a key");
        key.public()
    };
    let (shop, desk) = (public("shop"), public("desk"));
    assert_ne!(shop, desk);
    rotate_master_key(folder.path(), &options(), &MasterKeySource::Beside).expect("rotated");
    assert_eq!((public("shop"), public("desk")), (shop, desk));
}
