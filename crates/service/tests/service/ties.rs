//! Items with equal scores come in one order, whichever of them a service knew first.

use futures_util::TryStreamExt;
use recant_service::{
    Arrangement, BatchQuery, ListKind, ListQuery, RecommendQuery, Selection, Service, Subject,
};
use recant_types::{Interaction, ItemId, UnixMillis};

use crate::support::{PATIENCE, Running, block_on, item_id, user_id};

/// More than one digit, so that the order of bytes is not that of numbers.
const ITEMS: u8 = 12;

/// Adds an event of everybody with each item, one request after the other.
async fn add_in_order(service: &Service, items: impl Iterator<Item = u8>, at: i64) {
    for item in items {
        let event = |user| Interaction {
            user: user_id(user),
            item: item_id(item),
            feedback: Default::default(),
            weight: 1.0,
            timestamp: Some(at),
        };
        let added = service.add((0..3).map(event).collect()).await;
        added.expect("it is accepted");
    }
    assert!(service.catch_up(PATIENCE).await);
}

fn by_bytes(items: impl Iterator<Item = u8>) -> Vec<ItemId> {
    let mut ids: Vec<ItemId> = items.map(item_id).collect();
    ids.sort_by(|a, b| a.expose().as_bytes().cmp(b.expose().as_bytes()));
    ids
}

/// A page of a list for nobody, of all items or of some.
async fn listed(service: &Service, kind: ListKind, allow: Option<Vec<ItemId>>) -> Vec<ItemId> {
    let query = ListQuery {
        kind,
        window: None,
        k: 4,
        offset: 3,
        user: None,
        selection: Selection {
            allow,
            ..Selection::default()
        },
    };
    let list = service.list(query).await.expect("a list");
    list.items.into_iter().map(|listed| listed.item).collect()
}

#[test]
fn equal_counts_come_in_the_order_of_ids_whichever_item_came_first() {
    block_on(async {
        let day_ago = UnixMillis::now().0 / 1_000 - 86_400;
        let orders: [Vec<u8>; 2] = [(0..ITEMS).collect(), (0..ITEMS).rev().collect()];
        for order in orders {
            let folder = tempfile::tempdir().expect("a folder");
            let running = Running::start(folder.path()).await;
            let service = &running.service;
            add_in_order(service, order.into_iter(), day_ago).await;
            let all = by_bytes(0..ITEMS);
            let trending = ListKind::Trending {
                half_life: recant_service::HALF_LIFE_DEFAULT,
            };
            for kind in [ListKind::Popular, trending] {
                assert!(listed(service, kind, None).await == all[3..7]);
                let some = || {
                    Some(
                        (0..ITEMS)
                            .filter(|item| item % 2 == 0)
                            .map(item_id)
                            .collect(),
                    )
                };
                let even = by_bytes((0..ITEMS).filter(|item| item % 2 == 0));
                assert!(listed(service, kind, some()).await == even[3..]);
            }
            let stranger = user_id(99);
            let query = RecommendQuery::new(Subject::User(stranger.clone()), 5);
            let alone = service.recommend(query).await.expect("an answer").items;
            assert!(
                alone
                    .into_iter()
                    .map(|it| it.item)
                    .eq(all[..5].iter().cloned())
            );
            let query = BatchQuery {
                users: vec![stranger],
                k: 5,
                exclude_seen: true,
                offset: 0,
                selection: Selection::default(),
                arrangement: Arrangement::default(),
            };
            let batch = service.recommend_batch(query, |_, answer| answer.items);
            let batch: Vec<_> = batch
                .await
                .expect("an answer")
                .try_collect()
                .await
                .expect("lists");
            let batch = batch.into_iter().flatten().flatten();
            assert!(batch.map(|it| it.item).eq(all[..5].iter().cloned()));
            running.guard.stop().await;
        }
    });
}
