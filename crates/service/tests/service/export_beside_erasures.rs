//! An export that is made while erasures are carried out.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Running, block_on};
use recant_types::{ErasureTarget, Interaction, ItemId, UserId};

/// Items that are erased, one after the other, and exports that go on beside that.
const ITEMS: usize = 400;
const EXPORTS: usize = 4;

fn user() -> UserId {
    UserId::new("user").expect("an id")
}

fn item(number: usize) -> ItemId {
    ItemId::new(&format!("{number}")).expect("an id")
}

/// Exports until everything is erased: what was acknowledged before an export began is not in it.
async fn export(running: &Running, acknowledged: &AtomicUsize) {
    loop {
        let before = acknowledged.load(Ordering::SeqCst);
        let held = running.service.export(&user()).await.expect("readable");
        let held: BTreeSet<usize> = (held.iter())
            .map(|held| held.item.expose().parse().expect("a number"))
            .collect();
        let back: Vec<_> = held.range(..before).collect();
        assert!(back.is_empty(), "erased, and exported: {back:?}");
        if before == ITEMS {
            return;
        }
    }
}

#[test]
fn what_was_acknowledged_as_erased_is_in_no_export_that_begins_later() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let running = Running::start(&folder.path().join("data")).await;
        let all = (0..ITEMS).map(|number| Interaction {
            feedback: Default::default(),
            user: user(),
            item: item(number),
            weight: 1.0,
            timestamp: None,
        });
        running.service.add(all.collect()).await.expect("accepted");
        running.until_forgotten().await;
        let acknowledged = AtomicUsize::new(0);
        let erasing = async {
            for number in 0..ITEMS {
                running.erase(ErasureTarget::Item(item(number))).await;
                acknowledged.store(number + 1, Ordering::SeqCst);
            }
        };
        let exporting = [(); EXPORTS].map(|()| export(&running, &acknowledged));
        futures_util::future::join(erasing, futures_util::future::join_all(exporting)).await;
        running.guard.stop().await;
    });
}
