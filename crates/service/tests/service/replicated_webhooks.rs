//! Webhooks of several nodes: the one that leads tells, and the next one goes on where it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use recant_service::{
    Deliver, Delivery, StateMessage, WEBHOOK_STATES, WebhookEndpoint, WebhookGuard,
};
use recant_store::OutboxEndpoint;
use recant_types::{ErasureId, ErasureStatus, ErasureTarget, Interaction};

use crate::replicas::Cluster;
use crate::support::{ITEMS, PATIENCE, USERS, block_on, item_id, user_id};

/// What one receiver was sent, by which node, and whether it took it.
#[derive(Default)]
struct Receiver {
    sent: Mutex<Vec<(usize, ErasureId, ErasureStatus, bool)>>,
    refuses: Mutex<bool>,
}

impl Receiver {
    fn refuse(&self, refuses: bool) {
        *self.refuses.lock().expect("sound") = refuses;
    }

    fn sent(&self) -> Vec<(usize, ErasureId, ErasureStatus, bool)> {
        self.sent.lock().expect("sound").clone()
    }

    /// The states that it took of each erasure, in the order in which they came.
    fn taken(&self) -> BTreeMap<ErasureId, Vec<ErasureStatus>> {
        let mut taken: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (_, id, state, _) in self.sent().into_iter().filter(|(.., took)| *took) {
            taken.entry(id).or_default().push(state);
        }
        taken
    }
}

/// The way of one node to the receiver.
struct Way {
    node: usize,
    receiver: Arc<Receiver>,
}

impl Deliver for Way {
    fn deliver(&self, message: &StateMessage) -> Delivery {
        let refuses = *self.receiver.refuses.lock().expect("sound");
        let sent = (self.node, message.record.id, message.state, !refuses);
        self.receiver.sent.lock().expect("sound").push(sent);
        if refuses {
            let reason = "it is refused".to_owned();
            let retry_after = None;
            return Delivery::Failed {
                reason,
                retry_after,
            };
        }
        Delivery::Acknowledged
    }
}

async fn tell(cluster: &Cluster, node: usize, receiver: &Arc<Receiver>) -> WebhookGuard {
    let way = Way {
        node,
        receiver: Arc::clone(receiver),
    };
    let endpoint = WebhookEndpoint {
        name: "crm".to_owned(),
        public_key: String::new(),
        states: WEBHOOK_STATES.to_vec(),
        on_request: false,
        every: Duration::from_millis(5),
        retries: vec![Duration::from_millis(5)],
        give_up_after: Duration::from_secs(3_600),
        waiting_max: 100,
        deliver: Arc::new(way),
    };
    let service = &cluster.node(node).service;
    let started = service.start_webhooks(vec![endpoint]).await;
    started.expect("it begins")
}

async fn add(cluster: &Cluster) {
    let pairs = (0..USERS).flat_map(|user| (0..ITEMS).map(move |item| (user, item)));
    let event = |(user, item)| Interaction {
        user: user_id(user),
        item: item_id(item),
        feedback: Default::default(),
        weight: 1.0,
        timestamp: None,
    };
    let service = &cluster.node(cluster.leader()).service;
    let taken = pairs.filter(|(user, item)| (user + item) % 3 != 0);
    let added = service.add(taken.map(event).collect()).await;
    added.expect("it is accepted");
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "not {what} in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether no node has anything left to tell.
fn outboxes_are_empty(cluster: &Cluster) -> bool {
    let mut all = cluster.running();
    all.all(|node| {
        let waiting = node.store.outbox(OutboxEndpoint::of("crm"));
        waiting.expect("readable").is_empty()
    })
}

#[test]
fn the_leader_alone_tells_and_the_next_one_goes_on_where_it_was() {
    block_on(async {
        let mut cluster = Cluster::start(2).await;
        let receiver = Arc::new(Receiver::default());
        let guards = [
            tell(&cluster, 0, &receiver).await,
            tell(&cluster, 1, &receiver).await,
        ];
        add(&cluster).await;
        let first = cluster.erase(ErasureTarget::User(user_id(1))).await;
        cluster.until(first, ErasureStatus::Certified).await;
        until("told", || outboxes_are_empty(&cluster)).await;
        let before = receiver.sent();
        assert!(before.iter().all(|(node, ..)| *node == 0), "{before:?}");
        assert_eq!(receiver.taken()[&first], WEBHOOK_STATES);

        // Refused for the whole of the first one's time: the second one tells all of it.
        receiver.refuse(true);
        let second = cluster.erase(ErasureTarget::User(user_id(2))).await;
        cluster.until(second, ErasureStatus::Certified).await;
        until("tried", || receiver.sent().len() > before.len()).await;
        cluster.lead(1);
        until("taken over", || {
            receiver.sent().iter().any(|(node, ..)| *node == 1)
        })
        .await;
        receiver.refuse(false);
        let third = cluster.erase(ErasureTarget::User(user_id(3))).await;
        cluster.until(third, ErasureStatus::Certified).await;
        until("told", || outboxes_are_empty(&cluster)).await;
        let taken = receiver.taken();
        assert_eq!(taken.len(), 3);
        assert_eq!(taken[&first], WEBHOOK_STATES, "not told again");
        // What the first one had under way may have come as well.
        for id in [second, third] {
            let mut states = taken[&id].clone();
            assert!(states.is_sorted(), "{states:?}");
            states.dedup();
            assert_eq!(states, WEBHOOK_STATES);
        }
        for guard in guards {
            guard.stop().await;
        }
        cluster.stop().await;
    });
}
