//! What is committed is there after the store is opened again, in the order it was given.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use recant_store::{
    Commit, Entry, INTERACTIONS_PER_CHUNK, Idempotency, LogPosition, Store, StoreError,
    StoreOptions, SyncObserver, Tensor, WriteBatch,
};
use recant_testkit::store::{
    Contents, added, addition, append_once, commit, erasure, erasure_id, header, held, history,
    item, item_id, open, options, user,
};
use recant_types::{ErasureFilter, ErasureStatus, ErasureTarget, Event, UnixMillis};

/// Opens a store, runs `write`, opens it again and runs `check`.
fn across_a_restart(write: impl FnOnce(&Store), check: impl FnOnce(&Store)) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    write(&store);
    let before = Contents::read(&store).expect("readable");
    drop(store);
    let store = open(folder.path());
    assert_eq!(Contents::read(&store).expect("readable"), before);
    check(&store);
}

#[test]
fn a_new_store_is_empty_and_stays_so() {
    across_a_restart(
        |_| {},
        |store| {
            assert_eq!(store.users().expect("readable"), []);
            assert_eq!(store.user(0).expect("readable"), None);
            assert_eq!(store.item(0).expect("readable"), None);
            assert_eq!(store.history(0).expect("readable"), []);
            assert_eq!(store.model_header().expect("readable"), None);
            assert_eq!(store.applied().expect("readable"), LogPosition(0));
            assert_eq!(*store.watch_log().borrow(), LogPosition(0));
        },
    );
}

#[test]
fn users_and_items_are_there_again() {
    across_a_restart(
        |store| {
            commit(store, |batch| {
                for row in [0, 255, 256, u32::MAX] {
                    batch.put_user(row, &user(row));
                    batch.put_item(row, &item(row, (row > 255).then_some("Ünïcode \"title\"")));
                }
            });
            commit(store, |batch| {
                batch.remove_user(255);
                batch.remove_item(256);
                batch.put_user(0, &user(7));
            });
        },
        |store| {
            let rows = [(0, user(7)), (256, user(256)), (u32::MAX, user(u32::MAX))];
            assert_eq!(store.users().expect("readable"), rows);
            assert_eq!(store.user(255).expect("readable"), None);
            let last = item(u32::MAX, Some("Ünïcode \"title\""));
            let items = [(0, item(0, None)), (255, item(255, None)), (u32::MAX, last)];
            assert_eq!(store.items().expect("readable"), items);
            assert_eq!(store.item(256).expect("readable"), None);
        },
    );
}

#[test]
fn a_history_of_several_chunks_shrinks_without_a_rest() {
    let long = history(3 * INTERACTIONS_PER_CHUNK as u32 + 5);
    across_a_restart(
        |store| {
            commit(store, |batch| {
                (6..9).for_each(|row| batch.put_user(row, &user(row)));
                batch.put_history(6, &history(1));
                batch.put_history(7, &long);
                batch.put_history(8, &[held(1, 0.5, Some(i64::MIN)), held(2, 9.0, None)]);
            });
            assert_eq!(store.history(7).expect("readable"), long);
        },
        |store| {
            assert_eq!(store.history(7).expect("readable"), long);
            let exact = history(INTERACTIONS_PER_CHUNK as u32);
            commit(store, |batch| batch.put_history(7, &exact));
            assert_eq!(store.history(7).expect("readable"), exact);
            commit(store, |batch| batch.put_history(7, &history(2)));
            assert_eq!(store.history(7).expect("readable"), history(2));
            assert_eq!(store.history(6).expect("readable"), history(1));
            commit(store, |batch| batch.put_history(7, &[]));
            let mut rows = Vec::new();
            let visited = store.visit_histories(|row, held| rows.push((row, held.len())));
            visited.expect("readable");
            rows.sort_unstable();
            assert_eq!(rows, [(6, 1), (8, 2)]);
        },
    );
}

#[test]
fn of_two_changes_in_one_batch_the_later_one_counts() {
    across_a_restart(
        |store| {
            commit(store, |batch| {
                batch.put_user(1, &user(3));
                batch.put_history(1, &history(4));
                batch.remove_user(1);
                batch.put_user(1, &user(1));
                batch.put_history(1, &history(2 * INTERACTIONS_PER_CHUNK as u32));
                batch.put_history(1, &history(3));
                batch.put_user(2, &user(2));
                batch.put_history(2, &history(3));
                batch.remove_user(2);
                batch.put_tensor_row(Tensor::ItemFactors, 1, &[1.0]);
                batch.remove_tensor(Tensor::ItemFactors);
                batch.put_tensor_row(Tensor::ItemFactors, 2, &[2.0]);
            });
        },
        |store| {
            let contents = Contents::read(store).expect("readable");
            assert_eq!(contents.histories, [(1, history(3))]);
            assert_eq!(contents.users, [(1, user(1))]);
            assert_eq!(contents.factors, [(2, vec![2.0])]);
        },
    );
}

#[test]
fn rows_of_factors_keep_every_bit() {
    let odd = vec![f64::MIN_POSITIVE, -0.0, 1.0 / 3.0, f64::MAX, 5e-324];
    let longest: Vec<f64> = (0..4_090).map(|n| f64::from(n).sqrt()).collect();
    across_a_restart(
        |store| {
            commit(store, |batch| {
                batch.put_tensor_row(Tensor::ItemFactors, 0, &odd);
                batch.put_tensor_row(Tensor::ItemFactors, 1, &longest);
                batch.put_tensor_row(Tensor::ItemFactors, 2, &[]);
                batch.put_tensor_row(Tensor::ItemFactors, 3, &[1.0]);
                batch.remove_tensor_row(Tensor::ItemFactors, 3);
            });
        },
        |store| {
            let mut rows = Vec::new();
            let visited = store.visit_tensor(Tensor::ItemFactors, |_, values| rows.push(values));
            visited.expect("readable");
            let bits = |row: &[f64]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&rows[0]), bits(&odd));
            assert_eq!(rows[1..], [longest.clone(), vec![]]);
        },
    );
}

#[test]
fn the_header_and_the_applied_position_are_the_last_ones_written() {
    across_a_restart(
        |store| {
            for version in 1..=3 {
                commit(store, |batch| {
                    batch.put_model_header(&header(version));
                    batch.set_applied(LogPosition(10 * version));
                });
            }
        },
        |store| {
            assert_eq!(store.model_header().expect("readable"), Some(header(3)));
            assert_eq!(store.applied().expect("readable"), LogPosition(30));
        },
    );
}

#[test]
fn erasures_are_listed_newest_first_page_by_page() {
    let numbers = |store: &Store, status, before: Option<u8>, limit| -> Vec<u64> {
        let filter = ErasureFilter {
            status,
            ..ErasureFilter::default()
        };
        let page = store.erasures(&filter, before.map(erasure_id), limit);
        page.expect("readable").iter().map(|r| r.position).collect()
    };
    across_a_restart(
        |store| {
            for number in 1..=9 {
                let target = ErasureTarget::Item(item_id(1));
                commit(store, |batch| {
                    batch.append(erasure(erasure_id(number), target))
                });
            }
            for number in [2, 5, 8] {
                let record = store.erasure(erasure_id(number)).expect("readable");
                let mut record = record.expect("there");
                record.status = ErasureStatus::Forgotten;
                record.forgotten_at = Some(UnixMillis(7));
                commit(store, |batch| batch.put_erasure(&record));
            }
        },
        |store| {
            assert_eq!(numbers(store, None, None, 4), [9, 8, 7, 6]);
            assert_eq!(numbers(store, None, Some(6), 4), [5, 4, 3, 2]);
            assert_eq!(numbers(store, None, Some(2), 4), [1]);
            assert_eq!(numbers(store, None, Some(1), 4), [] as [u64; 0]);
            assert_eq!(numbers(store, None, None, 0), [] as [u64; 0]);
            let forgotten = Some(ErasureStatus::Forgotten);
            assert_eq!(numbers(store, forgotten, None, 2), [8, 5]);
            assert_eq!(numbers(store, forgotten, Some(5), 2), [2]);
            assert_eq!(
                numbers(store, Some(ErasureStatus::Failed), None, 9),
                [] as [u64; 0]
            );
            assert_eq!(store.erasure(erasure_id(10)).expect("readable"), None);
        },
    );
}

#[test]
fn log_entries_are_read_in_order_and_trimmed_from_the_front() {
    // Longer than one value may be: it is cut into chunks.
    let long = addition(1, 5_000);
    let entries = [addition(0, 1), long, addition(2, 2), addition(1, 1)];
    let at = |range: std::ops::RangeInclusive<u64>| -> Vec<(LogPosition, Entry)> {
        range
            .map(|n| (LogPosition(n), added(entries[n as usize - 1].clone())))
            .collect()
    };
    across_a_restart(
        |store| {
            let first = commit(store, |batch| batch.append(entries[0].clone()));
            assert_eq!(first.positions, [LogPosition(1)]);
            let rest = commit(store, |batch| {
                entries[1..].iter().for_each(|e| batch.append(e.clone()));
            });
            assert_eq!(rest.positions, [2, 3, 4].map(LogPosition));
        },
        |store| {
            let read = |from, limit| store.read_from(LogPosition(from), limit).expect("readable");
            assert_eq!(read(0, 100), at(1..=4));
            assert_eq!(read(2, 1), at(2..=2));
            assert_eq!(read(2, 2), at(2..=3));
            assert_eq!(read(1, 0), []);
            assert_eq!(read(5, 9), []);
            commit(store, |batch| batch.trim_log(LogPosition(2)));
            assert_eq!(read(0, 100), at(3..=4));
            commit(store, |batch| batch.trim_log(LogPosition(4)));
            assert_eq!(read(0, 100), []);
            assert_eq!(*store.watch_log().borrow(), LogPosition(4));
        },
    );
}

#[test]
fn positions_are_not_given_again_after_everything_was_trimmed() {
    across_a_restart(
        |store| {
            commit(store, |batch| batch.append(addition(0, 1)));
            commit(store, |batch| batch.trim_log(LogPosition(1)));
        },
        |store| {
            let next = commit(store, |batch| batch.append(addition(0, 1)));
            assert_eq!(next.positions, [LogPosition(2)]);
        },
    );
}

#[test]
fn a_second_opening_of_the_same_directory_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let clone = store.clone();
    let refused = |why: &str| {
        let second = Store::open(folder.path(), &options());
        assert!(
            matches!(second, Err(StoreError::Locked { .. })),
            "{why}: {second:?}"
        );
    };
    refused("it is open");
    drop(store);
    refused("a clone is open");
    drop(clone);
    open(folder.path());
}

#[test]
fn commits_handed_over_at_once_get_consecutive_positions() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    // More than share one sync, so that there are several groups.
    let commits: Vec<Commit> = (0..2_500)
        .map(|number| {
            let mut batch = WriteBatch::default();
            batch.put_user(number, &user(number));
            batch.append(addition(number, 1));
            store.commit(batch)
        })
        .collect();
    for (number, commit) in (1..).zip(commits) {
        let committed = commit.wait().expect("durable");
        assert_eq!(committed.positions, [LogPosition(number)]);
    }
    assert_eq!(*store.watch_log().borrow(), LogPosition(2_500));
    drop(store);
    let contents = Contents::read(&open(folder.path())).expect("readable");
    assert_eq!(contents.users.len(), 2_500);
    let expected = (0..2_500).map(|n| (LogPosition(u64::from(n) + 1), added(addition(n, 1))));
    assert!(contents.log.into_iter().eq(expected));
}

#[test]
fn commits_of_many_threads_are_all_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut positions: Vec<LogPosition> = std::thread::scope(|scope| {
        let write = |of| {
            let store = &store;
            move || -> Vec<LogPosition> {
                let append = |_| commit(store, |batch| batch.append(addition(of, 1))).positions;
                (0..20).flat_map(append).collect()
            }
        };
        let threads: Vec<_> = (0..8).map(|of| scope.spawn(write(of))).collect();
        let joined = threads.into_iter().map(|t| t.join().expect("no panic"));
        joined.flatten().collect()
    });
    positions.sort_unstable();
    assert!(positions.into_iter().eq((1..=160).map(LogPosition)));
    assert_eq!(Contents::read(&store).expect("readable").log.len(), 160);
}

#[test]
fn without_the_room_asked_for_nothing_new_is_taken_but_old_work_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    commit(&open(folder.path()), |batch| batch.append(addition(0, 1)));
    let demanding = StoreOptions {
        free_space_min_bytes: u64::MAX,
        ..options()
    };
    let store = Store::open(folder.path(), &demanding).expect("opens all the same");
    let mut batch = WriteBatch::default();
    batch.append(addition(1, 1));
    batch.put_user(9, &user(9));
    let refused = store.commit(batch).wait();
    assert!(
        matches!(refused, Err(StoreError::NoSpace { .. })),
        "{refused:?}"
    );
    commit(&store, |batch| {
        batch.put_user(1, &user(1));
        batch.set_applied(LogPosition(1));
        batch.trim_log(LogPosition(1));
    });
    drop(store);
    let contents = Contents::read(&open(folder.path())).expect("readable");
    assert_eq!(contents.users, [(1, user(1))]);
    assert_eq!((contents.log, contents.newest), (vec![], LogPosition(1)));
}

fn once(number: u8, key: u8, request: u8) -> WriteBatch {
    let mut batch = WriteBatch::default();
    let target = ErasureTarget::User(user(u32::from(number)));
    let idempotency = Idempotency {
        key: [key; 32],
        request: [request; 32],
    };
    append_once(&mut batch, erasure(erasure_id(number), target), idempotency);
    batch
}

#[test]
fn a_repeated_request_gets_the_first_record_and_appends_nothing() {
    across_a_restart(
        |store| {
            let first = store.commit(once(1, 1, 1)).wait().expect("durable");
            assert_eq!(first.positions, [LogPosition(1)]);
            let again = store.commit(once(2, 1, 1)).wait().expect("known");
            assert_eq!((again.records, again.positions), (first.records, vec![]));
        },
        |store| {
            let first = store.erasure(erasure_id(1)).expect("readable");
            let again = store.commit(once(3, 1, 1)).wait().expect("known");
            assert_eq!(again.records, [first.expect("there")]);
            let other = store.commit(once(4, 2, 1)).wait().expect("another key");
            assert_eq!(other.positions, [LogPosition(2)]);
            assert_eq!(Contents::read(store).expect("readable").log.len(), 2);
        },
    );
}

#[test]
fn a_repeated_request_gets_the_record_as_it_is_by_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut first = store.commit(once(1, 1, 1)).wait().expect("durable");
    let mut record = first.records.pop().expect("a record");
    record.status = ErasureStatus::Certified;
    commit(&store, |batch| batch.put_erasure(&record));
    let again = store.commit(once(2, 1, 1)).wait().expect("known");
    assert_eq!(again.records, [record]);
}

#[test]
fn requests_repeated_within_one_group_are_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    // The writer takes what has gathered while it was busy with the batch before.
    let mut large = WriteBatch::default();
    large.put_user(0, &user(0));
    large.put_history(0, &history(100_000));
    let large = store.commit(large);
    let commits: Vec<Commit> = (1..=50).map(|n| store.commit(once(n, 1, 1))).collect();
    let other = store.commit(once(60, 1, 2));
    let after = store.commit(once(61, 2, 2));
    large.wait().expect("durable");
    for (index, commit) in commits.into_iter().enumerate() {
        let committed = commit.wait().expect("known or new");
        assert_eq!(committed.records[0].id, erasure_id(1));
        assert_eq!(committed.positions.len(), usize::from(index == 0));
    }
    let other = other.wait();
    assert!(
        matches!(other, Err(StoreError::IdempotencyKeyReused)),
        "{other:?}"
    );
    let after = after.wait().expect("not held up by the refused one");
    assert_eq!(after.positions, [LogPosition(2)]);
    assert_eq!(Contents::read(&store).expect("readable").erasures.len(), 2);
}

#[test]
fn a_key_that_comes_with_another_request_is_refused_and_leaves_nothing() {
    across_a_restart(
        |store| {
            store.commit(once(1, 1, 1)).wait().expect("durable");
        },
        |store| {
            let mut batch = once(2, 1, 2);
            batch.put_user(5, &user(5));
            let refused = store.commit(batch).wait();
            assert!(
                matches!(refused, Err(StoreError::IdempotencyKeyReused)),
                "{refused:?}"
            );
            let contents = Contents::read(store).expect("readable");
            assert_eq!((contents.users, contents.log.len()), (vec![], 1));
        },
    );
}

#[test]
fn a_key_is_free_again_after_a_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let day = 24 * 60 * 60 * 1000;
    let mut batch = WriteBatch::default();
    let event = Event::Erase {
        id: erasure_id(1),
        accepted_at: UnixMillis(UnixMillis::now().0 - day - 1),
        target: ErasureTarget::User(user(1)),
    };
    let idempotency = Idempotency {
        key: [1; 32],
        request: [1; 32],
    };
    append_once(&mut batch, event, idempotency);
    store.commit(batch).wait().expect("durable");
    let new = store.commit(once(2, 1, 2)).wait().expect("the key is free");
    assert_eq!(new.positions, [LogPosition(2)]);
}

/// A commit that fails may leave its entry readable in the database for a moment. Whoever followed
/// such an entry would take the next one, given the same position, for known.
#[test]
fn an_entry_is_read_only_once_it_is_durable() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<OnceLock<Store>> = Arc::default();
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (watched, noted) = (Arc::clone(&store), Arc::clone(&seen));
    let observer = SyncObserver::new(move |_, path| {
        if let Some(store) = watched.get().filter(|_| path.ends_with("db")) {
            let entries = store.read_from(LogPosition(1), 10).expect("readable").len();
            noted.lock().expect("sound").push(entries);
        }
        Ok(())
    });
    let options = StoreOptions {
        sync_observer: Some(observer),
        ..options()
    };
    let opened = Store::open(folder.path(), &options).expect("the store opens");
    store.set(opened.clone()).expect("once");
    commit(&opened, |batch| {
        batch.append(addition(1, 1));
    });
    assert_eq!(
        *seen.lock().expect("sound"),
        [0, 0],
        "read before it was durable"
    );
    assert_eq!(
        opened
            .read_from(LogPosition(1), 10)
            .expect("readable")
            .len(),
        1
    );
}

/// Whoever asks after an answer that never came is told to start again; it must not depend on how far the thread
/// that panicked has got with its end.
#[test]
fn a_store_that_left_a_commit_unanswered_is_closed_by_then() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let broken = Arc::new(AtomicBool::new(false));
        let is_broken = Arc::clone(&broken);
        let observer = SyncObserver::new(move |_, path| {
            let of_keys = path.parent().is_some_and(|folder| folder.ends_with("keys"));
            assert!(
                !of_keys || !is_broken.load(Ordering::Relaxed),
                "a broken disk"
            );
            Ok(())
        });
        let options = StoreOptions {
            sync_observer: Some(observer),
            ..options()
        };
        let store = Store::open(folder.path(), &options).expect("the store opens");
        store.check_open().expect("it is open");
        broken.store(true, Ordering::Relaxed);
        let mut batch = WriteBatch::default();
        batch.append(addition(1, 1));
        let left = store.commit(batch).wait();
        assert!(matches!(left, Err(StoreError::Closed)));
        assert!(matches!(store.check_open(), Err(StoreError::Closed)));
    }
}
