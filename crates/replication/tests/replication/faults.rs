//! What is promised, while nodes and servers fail in turn.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use recant_jetstream::testing::wait_for;
use recant_replication::SubmitError;

use super::caller::{Caller, Ledger};
use super::cluster::Cluster;
use super::kept_file::KeptFile;
use super::node::TestNode;
use super::real_store::RealStore;
use super::test_store::{Held, TestStore};

/// Faults that `cargo test` makes; `RECANT_KILLS` asks for more.
const FAULTS: usize = 12;

/// What fails.
#[derive(Debug, Clone, Copy)]
enum Fault {
    LeaderKilled,
    FollowerKilled,
    LeaderCutOff,
    FollowerCutOff,
    LogLeaderKilled,
    LogLeaderSuspended,
    LogKilledWhole,
}

const KINDS: [Fault; 7] = [
    Fault::LeaderKilled,
    Fault::FollowerCutOff,
    Fault::FollowerKilled,
    Fault::LogLeaderKilled,
    Fault::LeaderCutOff,
    Fault::LogKilledWhole,
    Fault::LogLeaderSuspended,
];

fn make<S: TestStore>(fault: Fault, cluster: &mut Cluster<S>, random: &mut StdRng) {
    let leader = cluster.leader().unwrap_or_default();
    let follower = (leader + random.random_range(1..3)) % 3;
    match fault {
        Fault::LeaderKilled => cluster.kill_node(leader),
        Fault::FollowerKilled => cluster.kill_node(follower),
        Fault::LeaderCutOff => cluster.cut_off(leader, true),
        Fault::FollowerCutOff => cluster.cut_off(follower, true),
        Fault::LogLeaderKilled | Fault::LogLeaderSuspended => {
            let at = cluster.nats.leader_of("RECANT_kills");
            let server = cluster.nats.server(at);
            if matches!(fault, Fault::LogLeaderKilled) {
                server.kill();
            } else {
                server.suspend();
            }
        }
        Fault::LogKilledWhole => {
            cluster.nats.kill_all();
            cluster.nats.start_again();
        }
    }
}

fn mend<S: TestStore>(cluster: &mut Cluster<S>) {
    for at in 0..cluster.nats.count() {
        let server = cluster.nats.server(at);
        if server.pid().is_some() && !server.is_up() {
            server.resume();
        }
    }
    cluster.nats.start_again();
    for node in 0..cluster.nodes.len() {
        cluster.cut_off(node, false);
        if cluster.nodes[node].life.is_none() {
            cluster.start_node(node);
        }
    }
}

#[test]
fn what_was_acknowledged_holds_whatever_fails() {
    holds_whatever_fails::<KeptFile>(FAULTS);
}

/// The same with stores as the service has them, keys, tombstones and all.
#[test]
fn what_stores_acknowledged_holds_whatever_fails() {
    holds_whatever_fails::<RealStore>(FAULTS);
}

fn holds_whatever_fails<S: TestStore>(faults: usize) {
    let Some(mut cluster) = Cluster::<S>::start() else {
        return;
    };
    let asked = std::env::var("RECANT_KILLS").ok();
    let faults = asked.map_or(faults, |it| it.parse().expect("RECANT_KILLS is a number"));
    let mut random = StdRng::seed_from_u64(17);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let (acknowledged, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let callers: Vec<_> = ["p", "q", "r", "s"]
        .into_iter()
        .map(|name| {
            let caller = Caller {
                name: name.to_owned(),
                living: cluster.living.clone(),
                acknowledged: acknowledged.clone(),
                stop: stop.clone(),
            };
            runtime.spawn(caller.run())
        })
        .collect();
    cluster.wait_until_whole();
    let goes_on = |acknowledged: &Arc<AtomicU64>| {
        let before = acknowledged.load(Ordering::SeqCst);
        wait_for("requests are acknowledged", || {
            (acknowledged.load(Ordering::SeqCst) > before + 20).then_some(())
        });
    };
    for at in 0..faults {
        let fault = KINDS[at % KINDS.len()];
        println!("fault {at}: {fault:?}");
        make(fault, &mut cluster, &mut random);
        goes_on(&acknowledged);
        mend(&mut cluster);
        goes_on(&acknowledged);
    }
    cluster.wait_until_whole();
    stop.store(true, Ordering::SeqCst);
    let ledgers = callers.into_iter().map(|caller| {
        let ledger = runtime.block_on(caller);
        ledger.expect("no caller saw what it must not")
    });
    let ledgers: Vec<Ledger> = ledgers.collect();
    what_is_held_is_what_was_acknowledged(&cluster, &ledgers);
}

fn what_is_held_is_what_was_acknowledged<S: TestStore>(cluster: &Cluster<S>, ledgers: &[Ledger]) {
    wait_for("all nodes stand alike", || {
        let held = cluster.nodes.iter().map(|node| held_of(node));
        let held: Vec<_> = held.collect();
        held.iter().all(|it| *it == held[0]).then_some(())
    });
    let held = held_of(&cluster.nodes[0]);
    for ledger in ledgers {
        for (user, items) in &ledger.added {
            let held = held.get(user);
            // One whose answer was lost may be there too.
            let are_there = held.is_some_and(|held| held.is_superset(items));
            assert!(are_there, "{user} was acknowledged");
        }
        for user in &ledger.erased {
            assert!(!held.contains_key(user), "{user} was erased");
        }
        assert!(
            ledger.erased.len() > ledger.open.len(),
            "{}",
            ledger.open.len()
        );
    }
}

fn held_of<S: TestStore>(node: &TestNode<S>) -> Held {
    node.life.as_ref().expect("it lives").store.held()
}

/// What the store refuses is refused alone, and nothing of it is in the log.
#[test]
fn a_refusal_of_the_store_reaches_who_asked_and_nobody_else() {
    let Some(cluster) = Cluster::<KeptFile>::start() else {
        return;
    };
    cluster.wait_until_whole();
    let leader = cluster.leader().expect("one leads");
    let follower = (leader + 1) % 3;
    let life = |at: usize| cluster.nodes[at].life.as_ref().expect("it lives");
    let ask = |item| KeptFile::add("u", item);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        let replica = &life(leader).replica;
        let (bad, good) = tokio::join!(
            replica.submit(ask(0), 64, false, None, None),
            replica.submit(ask(5), 64, false, None, None)
        );
        assert!(matches!(bad, Err(SubmitError::Store(_))));
        let number = good.expect("it is taken");
        assert!(number > 0 && life(leader).store.holds("u"));
        let elsewhere = life(follower)
            .replica
            .submit(ask(6), 64, false, None, None)
            .await;
        assert!(matches!(elsewhere, Err(SubmitError::NotLeading)));
    });
    wait_for("all hold it", || {
        let five = BTreeSet::from([5]);
        let hold = (0..3).all(|at| held_of(&cluster.nodes[at]).get("u") == Some(&five));
        hold.then_some(())
    });
}
