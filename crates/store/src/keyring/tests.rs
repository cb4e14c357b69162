use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::format::{HEADER_COPY_AT, WATERMARKS_AT};
use super::*;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::log_key::LogKey;
use crate::seal::SecretKey;
use crate::sync::Syncs;

fn syncs() -> Syncs {
    Syncs::new(None)
}

fn create(directory: &Path) -> KeyRing {
    let ring = KeyRing::create(directory, &MasterKeySource::Beside, &syncs()).expect("made");
    ring.reclaim_unused(&[]).expect("written");
    ring
}

fn open(directory: &Path) -> KeyRing {
    KeyRing::open(directory, &MasterKeySource::Beside, &syncs()).expect("opened")
}

fn bytes(ring: &KeyRing, slot: Slot) -> Option<[u8; 32]> {
    ring.key(slot).expect("readable").map(|key| *key.expose())
}

#[test]
fn a_taken_slot_keeps_its_key_and_a_destroyed_one_is_zeros() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let slots: Vec<Slot> = (0..5).map(|_| ring.take().expect("a spare")).collect();
    let keys: Vec<_> = slots.iter().map(|slot| bytes(&ring, *slot)).collect();
    assert!(keys.iter().all(Option::is_some));
    let watermark = CommitWatermark {
        commit: 7,
        erasures: 2,
    };
    ring.commit(watermark, &slots[..2], None, || ())
        .expect("committed");
    for slot in &slots[..2] {
        assert!(ring.slot_is_empty(*slot).expect("readable"));
        assert_eq!(bytes(&ring, *slot), None);
    }
    drop(ring);
    let ring = open(folder.path());
    assert_eq!(ring.watermark().expect("readable"), watermark);
    ring.reclaim_unused(&slots[2..]).expect("written");
    for (slot, key) in slots.iter().zip(&keys).skip(2) {
        assert_eq!(bytes(&ring, *slot), *key);
    }
    let missing = ring.reclaim_unused(&[Slot(900_000)]);
    assert!(matches!(missing, Err(StoreError::Damaged { .. })));
}

#[test]
fn slots_that_nobody_uses_lose_their_keys_on_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let (kept, lost) = (ring.take().expect("one"), ring.take().expect("two"));
    let (kept_key, lost_key) = (bytes(&ring, kept), bytes(&ring, lost));
    drop(ring);
    let ring = open(folder.path());
    ring.reclaim_unused(&[kept]).expect("written");
    assert_eq!(bytes(&ring, kept), kept_key);
    assert_ne!(bytes(&ring, lost), lost_key);
}

#[test]
fn a_slot_in_use_that_was_zeroed_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let slot = ring.take().expect("a spare");
    ring.commit(CommitWatermark::default(), &[slot], None, || ())
        .expect("committed");
    let refused = ring.reclaim_unused(&[slot]);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })));
}

#[test]
fn more_slots_than_spares_can_be_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let mut slots: Vec<Slot> = (0..3_000).map(|_| ring.take().expect("a spare")).collect();
    ring.commit(CommitWatermark::default(), &slots[..1_500], None, || ())
        .expect("committed");
    slots.drain(..1_500);
    slots.extend((0..2_000).map(|_| ring.take().expect("a spare")));
    slots.sort_unstable();
    let count = slots.len();
    slots.dedup();
    assert_eq!(slots.len(), count, "a slot was given out twice");
    drop(ring);
    open(folder.path())
        .reclaim_unused(&slots)
        .expect("all are there");
}

#[test]
fn the_newest_intact_mark_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let watermark = |commit| CommitWatermark {
        commit,
        erasures: commit / 2,
    };
    for commit in 1..=5 {
        ring.commit(watermark(commit), &[], None, || ())
            .expect("written");
        assert_eq!(ring.watermark().expect("read"), watermark(commit));
    }
    let hit = |at: u64| ring.file.write_all_at(&[7], at + 5).expect("hit");
    hit(WATERMARKS_AT[1]);
    assert_eq!(ring.watermark().expect("one is left"), watermark(4));
    assert!(ring.check(4).is_ok() && ring.check(3).is_err());
    hit(WATERMARKS_AT[0]);
    assert!(ring.watermark().is_err());
}

#[test]
fn a_damaged_header_has_a_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let key = bytes(&ring, Special::Hash.slot());
    ring.file.write_all_at(&[1], 20).expect("hit");
    assert_eq!(bytes(&open(folder.path()), Special::Hash.slot()), key);
    ring.file
        .write_all_at(&[1], HEADER_COPY_AT + 20)
        .expect("hit");
    let refused = KeyRing::open(folder.path(), &MasterKeySource::Beside, &syncs());
    assert!(matches!(refused, Err(StoreError::Damaged { .. })));
}

#[test]
fn another_master_key_does_not_open_the_ring() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(create(folder.path()));
    let master = folder.path().join("keys").join("master");
    fs::write(&master, MasterKey::random().to_text().as_bytes()).expect("written");
    let refused = KeyRing::open(folder.path(), &MasterKeySource::Beside, &syncs());
    assert!(matches!(refused, Err(StoreError::MasterKey { .. })));
    fs::remove_file(&master).expect("removed");
    let refused = KeyRing::open(folder.path(), &MasterKeySource::Beside, &syncs());
    assert!(matches!(refused, Err(StoreError::MasterKey { .. })));
}

#[test]
fn a_rotation_changes_every_byte_and_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let slots: Vec<Slot> = (0..3).map(|_| ring.take().expect("a spare")).collect();
    let keys: Vec<_> = slots.iter().map(|slot| bytes(&ring, *slot)).collect();
    let watermark = CommitWatermark {
        commit: 9,
        erasures: 1,
    };
    ring.commit(watermark, &[], None, || ()).expect("committed");
    drop(ring);
    let (beside, path) = (MasterKeySource::Beside, folder.path());
    let before = fs::read(path.join("keys/ring")).expect("readable");
    rotate(path, &beside, &beside, &syncs()).expect("rotated");
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, MasterKey::random().to_text().as_bytes()).expect("written");
    let file = MasterKeySource::File(elsewhere);
    rotate(path, &beside, &file, &syncs()).expect("rotated");
    assert!(KeyRing::open(path, &beside, &syncs()).is_err());
    let ring = KeyRing::open(path, &file, &syncs()).expect("opened");
    ring.reclaim_unused(&slots).expect("all are there");
    assert_eq!(ring.watermark().expect("readable"), watermark);
    for (slot, key) in slots.iter().zip(&keys) {
        assert_eq!(bytes(&ring, *slot), *key);
    }
    let after = fs::read(path.join("keys/ring")).expect("readable");
    let at = slots[0].offset() as usize;
    assert_ne!(before[at..at + 64], after[at..at + 64]);
    let mut names: Vec<_> = fs::read_dir(path.join("keys"))
        .expect("a directory")
        .collect();
    assert_eq!(names.len(), 1, "{:?}", names.pop());
}

#[test]
fn a_rotation_that_was_interrupted_is_finished_or_undone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (keys, beside) = (folder.path().join("keys"), MasterKeySource::Beside);
    let ring = create(folder.path());
    let key = bytes(&ring, Special::Signing.slot());
    drop(ring);
    let aside = |name: &str| fs::read(keys.join(name)).expect("readable");
    let (old_ring, old_master) = (aside("ring"), aside("master"));
    rotate(folder.path(), &beside, &beside, &syncs()).expect("rotated");
    let (new_ring, new_master) = (aside("ring"), aside("master"));
    let put = |name: &str, bytes: &[u8]| fs::write(keys.join(name), bytes).expect("written");
    // Before the rename: the old ring counts, whatever lies beside it.
    put("ring", &old_ring);
    put("master", &old_master);
    put("ring.new", &new_ring);
    put("master.new", &new_master);
    fs::hard_link(keys.join("ring"), keys.join("ring.old")).expect("linked");
    assert_eq!(bytes(&open(folder.path()), Special::Signing.slot()), key);
    assert!(!keys.join("ring.old").exists() && !keys.join("master.new").exists());
    // After it: the new one counts, and the old one is to go.
    put("ring.old", &old_ring);
    put("ring", &new_ring);
    put("master.new", &new_master);
    assert_eq!(bytes(&open(folder.path()), Special::Signing.slot()), key);
    assert_eq!(aside("master"), new_master);
    assert_eq!(fs::read_dir(&keys).expect("a directory").count(), 2);
}

fn log_key(epoch: u64) -> LogKey {
    LogKey::new(0, epoch, Zeroizing::new([epoch as u8; 32]))
}

fn held_log_key(ring: &KeyRing) -> Option<(u64, [u8; 32])> {
    let key = ring.log_key().expect("readable");
    key.map(|key| (key.epoch(), *key.expose()))
}

#[test]
fn the_key_of_the_log_is_overwritten_with_the_next_one_and_outlives_a_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    assert_eq!(held_log_key(&ring), None);
    ring.put_log_key(&log_key(1)).expect("written");
    let raw = || fs::read(folder.path().join("keys/ring")).expect("readable");
    let at = Special::LogKey.slot().offset() as usize;
    let slots = |bytes: &[u8]| bytes[at..at + 128].to_vec();
    let before = slots(&raw());
    assert_eq!(
        at / 512,
        (at + 127) / 512,
        "two sectors: a torn write would tear them"
    );
    let watermark = CommitWatermark {
        commit: 3,
        erasures: 1,
    };
    ring.commit(watermark, &[], Some(&log_key(9)), || ())
        .expect("committed");
    let after = raw();
    assert!(!after.windows(32).any(|window| before[..32] == *window));
    assert_eq!(held_log_key(&ring), Some((9, [9; 32])));
    drop(ring);
    let beside = MasterKeySource::Beside;
    rotate(folder.path(), &beside, &beside, &syncs()).expect("rotated");
    assert_ne!(slots(&raw()), slots(&after));
    let ring = open(folder.path());
    assert_eq!(held_log_key(&ring), Some((9, [9; 32])));
    // A key without its number says nothing.
    ring.destroy(Special::LogEpoch).expect("destroyed");
    assert!(matches!(ring.log_key(), Err(StoreError::Damaged { .. })));
    ring.destroy_log_key().expect("destroyed");
    assert_eq!(held_log_key(&ring), None);
    assert_eq!(slots(&raw()), [0; 128]);
}

#[test]
fn a_key_to_come_is_kept_until_its_series_begins_and_is_nowhere_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let ring = create(folder.path());
    let kept = |ring: &KeyRing| {
        let key = ring.log_key_to_come().expect("readable");
        key.map(|key| *key.expose())
    };
    let key = |byte: u8| SecretKey::from_bytes(Zeroizing::new([byte; 32]));
    ring.put_log_key(&log_key(1)).expect("written");
    assert_eq!(kept(&ring), None);
    ring.keep_log_key_to_come(&key(40)).expect("kept");
    ring.keep_log_key_to_come(&key(50))
        .expect("kept in its place");
    // The series goes on meanwhile.
    ring.put_log_key(&log_key(2)).expect("written");
    drop(ring);
    let beside = MasterKeySource::Beside;
    rotate(folder.path(), &beside, &beside, &syncs()).expect("rotated");
    let ring = open(folder.path());
    assert_eq!(kept(&ring), Some([50; 32]));
    let raw = || fs::read(folder.path().join("keys/ring")).expect("readable");
    let at = Special::LogKeyToCome.slot().offset() as usize;
    let first = Special::LogKey.slot().offset() as usize;
    assert_eq!(first / 512, (at + 63) / 512, "a torn write would tear them");
    let before = raw()[at..at + 64].to_vec();

    // The third key of the series that begins: what was kept would lead to it, and to those before.
    let third = LogKey::new(1, 5, Zeroizing::new([60; 32]));
    let watermark = CommitWatermark {
        commit: 3,
        erasures: 1,
    };
    ring.commit(watermark, &[], Some(&third), || ())
        .expect("committed");
    assert_eq!(kept(&ring), None);
    assert!(!raw().windows(32).any(|window| before[..32] == *window));
    let held = ring.log_key().expect("readable").expect("a key");
    assert_eq!((held.series(), held.epoch()), (1, 5));

    ring.keep_log_key_to_come(&key(70)).expect("kept");
    ring.destroy_log_key().expect("destroyed");
    assert_eq!((kept(&ring), held_log_key(&ring)), (None, None));
    assert_eq!(raw()[first..first + 192], [0; 192]);
}
