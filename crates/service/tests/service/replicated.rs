//! Several nodes serve one model: the same lists to the bit, the same states of erasures, one chain of receipts,
//! whoever leads.

use std::time::Duration;

use proptest::prelude::*;
use recant_receipt::{Claims, NodeState, ScanMethod};
use recant_service::{StartError, UpdateFeed};
use recant_types::{
    ErasureId, ErasureStatus, ErasureTarget, Interaction, ItemDescription, LightGcn,
    ModelConfiguration, ModelSpecification,
};

use crate::replicas::{Cluster, SYNC_LONGEST, node_name};
use crate::support::{
    Content, ITEMS, PATIENCE, Plain, Row, USERS, assert_illegible, block_on, item_id, user_id,
};

/// A world of people with different tastes.
fn world() -> Vec<Row> {
    let pairs = (0..USERS).flat_map(|user| (0..ITEMS).map(move |item| (user, item)));
    let taken = pairs.filter(|(user, item)| (user * 7 + item * 5 + user * item) % 3 != 0);
    let row = |(user, item)| Row {
        user,
        item,
        quarters: 1 + (3 * user + item) % 7,
        timestamp: None,
    };
    taken.map(row).collect()
}

async fn add(cluster: &Cluster, rows: &[Row]) {
    let interaction = |row: &Row| Interaction {
        user: user_id(row.user),
        item: item_id(row.item),
        feedback: Default::default(),
        weight: row.weight(),
        timestamp: row.timestamp,
    };
    let service = &cluster.node(cluster.leader()).service;
    let added = service.add(rows.iter().map(interaction).collect()).await;
    added.expect("it is accepted");
}

fn pair(user: u8, item: u8) -> ErasureTarget {
    ErasureTarget::Pairs(vec![(user_id(user), item_id(item))])
}

/// What every node holds, by ids.
fn assert_same_content(cluster: &Cluster) {
    let mut all = cluster.running().map(|node| Content::of(&node.store));
    let first = all.next().expect("a node runs");
    all.for_each(|content| assert_eq!(content, first));
}

#[test]
fn every_node_serves_the_same_lists_to_the_bit_and_shows_the_same_states() {
    block_on(async {
        let mut cluster = Cluster::start(3).await;
        add(&cluster, &world()).await;
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        for (user, item) in [(1, 2), (4, 4), (7, 1)] {
            cluster.erase(pair(user, item)).await;
        }
        cluster.erase(ErasureTarget::User(user_id(3))).await;
        add(&cluster, &world()[..9]).await;
        cluster.erase(ErasureTarget::Item(item_id(5))).await;
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        // Somebody new, at a row that was somebody else's or not.
        add(&cluster, &world()[20..]).await;
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        assert_same_content(&cluster);
        assert!(cluster.assert_one_chain().await >= 8);
        assert_eq!(cluster.signers(), 1);
        let leader = cluster.node(0).service.model();
        for node in cluster.running() {
            let model = node.service.model();
            assert_eq!(model.certificate, leader.certificate);
            assert_eq!(
                model.certified.map(|it| (it.version, it.position)),
                leader.certified.map(|it| (it.version, it.position))
            );
        }
        let folder = cluster.folder().to_owned();
        assert_illegible(&folder);
        cluster.stop().await;
    });
}

#[test]
fn a_request_may_wait_for_other_nodes_longer_than_for_a_disk() {
    block_on(async {
        let mut cluster = Cluster::start(2).await;
        add(&cluster, &world()).await;
        cluster.until_certified().await;
        let held = cluster.hold_log().await;
        let service = cluster.node(0).service.clone();
        let target = pair(1, 2);
        let erasing = service.erase(target, None);
        let mut erasing = std::pin::pin!(erasing);
        let waited = tokio::time::timeout(2 * SYNC_LONGEST, &mut erasing).await;
        assert!(
            waited.is_err(),
            "it waits: {:?}",
            waited.map(|it| it.map(drop))
        );
        drop(held);
        let accepted = erasing.await.expect("it is accepted");
        cluster
            .until(accepted.record.id, ErasureStatus::Certified)
            .await;
        cluster.stop().await;
    });
}

#[test]
fn nothing_is_forgotten_before_it_is_everywhere() {
    block_on(async {
        let mut cluster = Cluster::start(3).await;
        add(&cluster, &world()).await;
        cluster.until_certified().await;
        cluster.withhold(2, true);
        let id = cluster.erase(pair(1, 2)).await;
        for node in cluster.running() {
            assert!(node.service.catch_up(PATIENCE).await);
        }
        // Every node serves a version that has forgotten, and one of them has not said so.
        for node in cluster.running() {
            let record = node
                .service
                .erasure(id)
                .await
                .expect("readable")
                .expect("known");
            assert_eq!(record.status, ErasureStatus::Accepted);
            assert_eq!((record.erased_at, record.model_version_after), (None, None));
            let waited = node.service.wait_forgotten(id, Duration::ZERO).await;
            let status = waited.expect("readable").expect("known").status;
            assert_eq!(status, ErasureStatus::Accepted);
        }
        cluster.withhold(2, false);
        cluster.until(id, ErasureStatus::Certified).await;
        for node in cluster.running() {
            let record = node
                .service
                .erasure(id)
                .await
                .expect("readable")
                .expect("known");
            let after = record.model_version_after.expect("forgotten");
            assert!(node.service.model().version >= after);
            assert!(record.model_version_before < record.model_version_after);
            assert!(record.erased_at <= record.forgotten_at);
        }
        cluster.stop().await;
    });
}

#[test]
fn a_follower_that_was_away_catches_up_and_serves_what_the_others_do() {
    block_on(async {
        let mut cluster = Cluster::start(3).await;
        add(&cluster, &world()[10..]).await;
        cluster.until_certified().await;
        cluster.stop_node(1).await;
        add(&cluster, &world()).await;
        cluster.erase(ErasureTarget::User(user_id(2))).await;
        cluster.until_certified().await;
        cluster.start_node(1).await;
        cluster.assert_equal_lists().await;
        cluster.erase(pair(5, 1)).await;
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        // Away with nothing to catch up.
        cluster.stop_node(2).await;
        cluster.start_node(2).await;
        cluster.assert_equal_lists().await;
        assert_same_content(&cluster);
        cluster.assert_one_chain().await;
        cluster.stop().await;
    });
}

/// How an erasure stands on each node, by its receipt.
fn states(claims: &Claims) -> Vec<NodeState> {
    let nodes = claims.nodes.as_ref().expect("there are several");
    let names: Vec<_> = nodes.iter().map(|it| it.node.clone()).collect();
    assert_eq!(names, (0..3).map(node_name).collect::<Vec<_>>());
    nodes.iter().map(|it| it.state).collect()
}

#[test]
fn what_a_node_that_was_away_owes_stands_in_receipts_until_it_is_settled() {
    let (destroyed, owing) = (NodeState::Destroyed, NodeState::Owing);
    block_on(async {
        let mut cluster = Cluster::start(3).await;
        add(&cluster, &world()).await;
        let whole = cluster.until_certified().await;
        let (claims, owed_by) = cluster.receipt_of(2, whole).await;
        assert_eq!(states(&claims), [destroyed; 3]);
        assert!(owed_by.is_empty());
        let everywhere = ScanMethod::KeySlotsAndRecordsOnEveryNode;
        assert_eq!(claims.scan.method, everywhere);
        cluster.stop_node(1).await;
        let first = cluster.erase(ErasureTarget::User(user_id(2))).await;
        cluster.until(first, ErasureStatus::Certified).await;
        // Who takes over says the same.
        cluster.lead(2);
        let second = cluster.erase(pair(5, 1)).await;
        cluster.until(second, ErasureStatus::Certified).await;
        for id in [first, second] {
            let (claims, owed_by) = cluster.receipt_of(0, id).await;
            assert_eq!(states(&claims), [destroyed, owing, destroyed]);
            assert_eq!(owed_by, [node_name(1)]);
            assert_eq!(claims.scan.method, ScanMethod::KeySlotsAndRecords);
            let record = cluster.node(2).service.erasure(id).await;
            let record = record.expect("readable").expect("known");
            assert_eq!(claims.cluster, record.shared_entry);
        }
        let open = cluster.assert_one_chain().await;
        cluster.start_node(1).await;
        for id in [first, second] {
            cluster.until_closed(id).await;
        }
        // One settlement is for both, and the receipts say what they said.
        let settlements = cluster.node(1).service.settlements().await;
        assert_eq!(settlements.expect("readable").len(), 1);
        assert_eq!(cluster.assert_one_chain().await, open + 1);
        let (claims, _) = cluster.receipt_of(1, first).await;
        assert_eq!(states(&claims), [destroyed, owing, destroyed]);
        // The chain goes on behind the settlement, whoever leads.
        cluster.lead(1);
        let third = cluster.until_certified().await;
        let (claims, _) = cluster.receipt_of(0, third).await;
        assert_eq!(states(&claims), [destroyed; 3]);
        cluster.assert_one_chain().await;
        let folder = cluster.folder().to_owned();
        assert_illegible(&folder);
        cluster.stop().await;
    });
}

#[test]
fn who_takes_over_goes_on_learning_forgetting_and_certifying_in_the_same_chain() {
    block_on(async {
        let mut cluster = Cluster::start(3).await;
        add(&cluster, &world()).await;
        cluster.until_certified().await;
        let before = cluster.assert_one_chain().await;
        let version = cluster.node(0).service.model().version;
        // Accepted, forgotten by the model, and nobody was told: the one that leads next has to.
        cluster.withhold(2, true);
        let open = cluster.erase(pair(6, 2)).await;
        for node in cluster.running() {
            assert!(node.service.catch_up(PATIENCE).await);
        }
        cluster.stop_node(0).await;
        cluster.withhold(2, false);
        cluster.lead(1);
        cluster.until(open, ErasureStatus::Certified).await;
        let model = cluster.node(1).service.model();
        assert_eq!(model.term, 2);
        assert!(model.version > version);
        add(&cluster, &world()[..12]).await;
        cluster.erase(ErasureTarget::User(user_id(0))).await;
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        // The first one comes back, and follows; then it leads again.
        cluster.start_node(0).await;
        cluster.erase(pair(1, 8)).await;
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        assert_eq!(cluster.signers(), 2);
        cluster.lead(0);
        cluster.erase(ErasureTarget::Item(item_id(7))).await;
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        assert_same_content(&cluster);
        assert!(cluster.assert_one_chain().await > before + 4);
        cluster.stop().await;
    });
}

#[test]
fn what_is_said_about_items_is_seen_on_every_node_at_once() {
    block_on(async {
        let cluster = Cluster::start(3).await;
        let mut said = ItemDescription::of(item_id(1));
        said.title = Some("The first".into());
        let leader = &cluster.node(0).service;
        leader
            .describe(vec![said.clone()])
            .await
            .expect("described");
        for node in cluster.running() {
            let shown = node.service.item(&item_id(1)).expect("it is known");
            assert_eq!(shown.title, said.title);
        }
        let erased = leader.erase_item_for(None, item_id(1), None).await;
        erased.expect("accepted");
        for node in cluster.running() {
            assert!(node.service.item(&item_id(1)).is_none());
        }
        cluster.stop().await;
    });
}

#[test]
fn what_comes_while_a_node_starts_is_not_missed() {
    block_on(async {
        let mut cluster = Cluster::start(3).await;
        add(&cluster, &world()).await;
        cluster.until_certified().await;
        cluster.stop_node(1).await;
        let leader = cluster.node(0).service.clone();
        let asking = tokio::spawn(async move {
            for number in 0..24 {
                let mut said = ItemDescription::of(item_id(number % ITEMS));
                said.title = Some(format!("Title {number}").into());
                leader.describe(vec![said]).await.expect("described");
                let target = pair(number % USERS, number % ITEMS);
                leader.erase(target, None).await.expect("accepted");
            }
        });
        cluster.start_node(1).await;
        asking.await.expect("no panic");
        for item in 0..ITEMS {
            let titles = cluster
                .running()
                .map(|node| node.service.item(&item_id(item)));
            let titles: Vec<_> = titles
                .map(|said| said.and_then(|it| it.title.clone()))
                .collect();
            assert!(titles[0].is_some() && titles.iter().all(|title| *title == titles[0]));
        }
        cluster.until_certified().await;
        cluster.assert_equal_lists().await;
        assert_same_content(&cluster);
        cluster.stop().await;
    });
}

#[test]
fn an_accepted_erasure_is_hidden_from_the_exports_of_every_node() {
    block_on(async {
        let mut cluster = Cluster::start(2).await;
        add(&cluster, &world()).await;
        cluster.until_certified().await;
        let user = user_id(1);
        let item = item_id(2);
        let holds = async |cluster: &Cluster, node: usize| {
            let held = cluster
                .node(node)
                .service
                .export(&user)
                .await
                .expect("readable");
            held.iter().any(|held| held.item == item)
        };
        for node in 0..2 {
            assert!(holds(&cluster, node).await);
        }
        cluster.erase(ErasureTarget::Item(item.clone())).await;
        for node in 0..2 {
            assert!(!holds(&cluster, node).await);
        }
        cluster.until_certified().await;
        for node in 0..2 {
            assert!(!holds(&cluster, node).await);
        }
        cluster.stop().await;
    });
}

#[test]
fn a_neural_model_is_refused_in_so_many_words() {
    block_on(async {
        let specification = ModelSpecification::LightGcn(LightGcn::default());
        let refused = Cluster::start_alone(ModelConfiguration::Neural(specification)).await;
        let error = refused.expect_err("it is refused");
        assert!(matches!(error, StartError::NeuralInCluster), "{error}");
        assert_eq!(
            error.to_string(),
            "neural models cannot be served by a cluster yet: each of their versions changes every row"
        );
    });
}

/// One thing that happens to a cluster.
#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Row>),
    ErasePair(u8, u8),
    EraseUser(u8),
    EraseItem(u8),
    /// A node that runs leads.
    Lead(u8),
    /// A node that does not lead is started again.
    Restart(u8),
    /// The leader ends, another one leads, and it comes back.
    Kill(u8),
    Certified,
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0..USERS, 0..ITEMS, 1..12u8).prop_map(|(user, item, quarters)| Row {
        user,
        item,
        quarters,
        timestamp: None,
    });
    prop_oneof![
        6 => prop::collection::vec(row, 1..12).prop_map(Step::Add),
        4 => (0..USERS, 0..ITEMS).prop_map(|(user, item)| Step::ErasePair(user, item)),
        2 => (0..USERS).prop_map(Step::EraseUser),
        1 => (0..ITEMS).prop_map(Step::EraseItem),
        3 => (0..3u8).prop_map(Step::Lead),
        1 => (0..3u8).prop_map(Step::Restart),
        1 => (0..3u8).prop_map(Step::Kill),
        1 => Just(Step::Certified),
    ]
}

/// The cluster, and what must be left.
struct Machine {
    cluster: Cluster,
    plain: Plain,
    erasures: Vec<ErasureId>,
}

impl Machine {
    async fn take(&mut self, step: &Step) {
        let cluster = &mut self.cluster;
        match step {
            Step::Add(rows) => {
                add(cluster, rows).await;
                self.plain.add(rows);
            }
            Step::ErasePair(user, item) => {
                self.plain.0.remove(&(*user, *item));
                self.erasures.push(cluster.erase(pair(*user, *item)).await);
            }
            Step::EraseUser(user) => {
                self.plain.0.retain(|(held, _), _| held != user);
                let target = ErasureTarget::User(user_id(*user));
                self.erasures.push(cluster.erase(target).await);
            }
            Step::EraseItem(item) => {
                self.plain.0.retain(|(_, held), _| held != item);
                let target = ErasureTarget::Item(item_id(*item));
                self.erasures.push(cluster.erase(target).await);
            }
            Step::Lead(node) => cluster.lead(usize::from(*node)),
            Step::Restart(node) => {
                let node = usize::from(*node);
                if node != cluster.leader() {
                    cluster.stop_node(node).await;
                    cluster.start_node(node).await;
                }
            }
            Step::Kill(next) => {
                let (leader, next) = (cluster.leader(), usize::from(*next));
                let next = if next == leader { (next + 1) % 3 } else { next };
                cluster.stop_node(leader).await;
                cluster.lead(next);
                cluster.start_node(leader).await;
            }
            Step::Certified => drop(cluster.until_certified().await),
        }
        cluster.look_at_states().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whoever_leads_and_whatever_happens_all_nodes_end_with_the_same(
        steps in prop::collection::vec(step(), 1..20),
    ) {
        block_on(async {
            let mut machine = Machine {
                cluster: Cluster::start(3).await,
                plain: Plain::default(),
                erasures: Vec::new(),
            };
            for step in &steps {
                machine.take(step).await;
            }
            let Machine { mut cluster, plain, erasures } = machine;
            cluster.until_certified().await;
            for id in erasures {
                cluster.until(id, ErasureStatus::Certified).await;
            }
            cluster.assert_equal_lists().await;
            assert_same_content(&cluster);
            let model = cluster.node(0).service.model();
            assert_eq!(model.interactions, plain.0.len());
            cluster.assert_one_chain().await;
            cluster.stop().await;
        });
    }
}

/// Whoever reads an update finds nothing in it of people who are not there any more.
#[test]
fn an_image_names_only_those_who_are_there() {
    block_on(async {
        let mut cluster = Cluster::start(2).await;
        add(&cluster, &world()).await;
        cluster.until_certified().await;
        let mut feed: UpdateFeed = cluster.node(0).service.updates(None);
        let image = feed.next().await;
        assert!(image.is_image());
        assert!(image.users.iter().any(|(id, _)| *id == user_id(2)));
        cluster.erase(ErasureTarget::User(user_id(2))).await;
        cluster.until_certified().await;
        let next = feed.next().await;
        assert!(next.users.iter().all(|(id, _)| *id != user_id(2)));
        assert!(next.version() > image.version());
        let image = cluster.node(0).service.updates(None).next().await;
        assert!(image.users.iter().all(|(id, _)| *id != user_id(2)));
        cluster.stop().await;
    });
}
