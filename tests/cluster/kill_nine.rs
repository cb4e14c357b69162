//! Nodes and servers of the log that are killed, stopped, wiped and ended, disks that are full or went back, while callers write to any node and
//! read from all. Afterwards every acknowledged addition is there (I2), everything whose erasure was
//! acknowledged is gone and stays gone (I3), whichever node is asked; no state of an erasure went back and no
//! time of it changed (I6); no reader was given a model from before one that was shown to have been forgotten
//! in everywhere (I4, I12); receipts and
//! settlements are one chain, and nobody but lost disks owes anything in the end (I7), and nodes are alike (I9).
//!
//! `cargo test` commits each fault once. `RECANT_KILLS=300 cargo test --test cluster kill_nine::` does more;
//! `RECANT_KILL_SEED` varies them.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::checks::{certified_receipts_but, check_settled, erase_all};
use crate::support::faults::plan;
use crate::support::load::{Client, Load, work};
use crate::support::process::PATIENCE;
use crate::support::{ClusterOptions, ClusterProcesses, number};

/// Callers at the same time.
const CLIENTS: usize = 4;

/// Faults in a usual run.
const FAULTS: u64 = 15;

/// After so many of them it is waited until all is well again.
const RECOVERY: usize = 4;

/// Waits until requests are acknowledged again.
fn go_on(load: &Load) {
    let before = load.acknowledged.load(Ordering::Relaxed);
    let began = Instant::now();
    while load.acknowledged.load(Ordering::Relaxed) < before + 20 {
        if load.stop.load(Ordering::Relaxed) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "no request is acknowledged");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_was_acknowledged_survives_faults_of_nodes_and_of_servers() {
    let seed = number("RECANT_KILL_SEED", 1);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = usize::try_from(number("RECANT_KILLS", FAULTS)).expect("a number");
    let Some(mut cluster) = ClusterProcesses::start(&ClusterOptions::default()) else {
        return;
    };
    // One that joins later.
    cluster.add();
    let callers = cluster.callers();
    let mut clients: Vec<_> = (0..CLIENTS).map(|at| Client::new(at, seed)).collect();
    let load = work(&callers, &mut clients, |load| {
        go_on(load);
        for (at, fault) in plan(count, &mut random).into_iter().enumerate() {
            let acknowledged = load.acknowledged.load(Ordering::Relaxed);
            println!("fault {at} after {acknowledged}: {fault:?}");
            cluster.suffer(fault, &mut random);
            sleep(Duration::from_millis(random.random_range(200..1_000)));
            if at % RECOVERY == RECOVERY - 1 {
                go_on(load);
            }
        }
        cluster.nats.wait_until_ready();
        cluster.until_ready();
        go_on(load);
    });
    for client in &mut clients {
        client.finish(&callers, &load);
    }
    check_settled(&mut cluster, &mut clients);
    erase_all(&callers[2], &clients);
    let caller = cluster.nodes[1].caller();
    let receipts = certified_receipts_but(&caller, cluster.folder(), &cluster.lost_disks);
    println!(
        "{} requests acknowledged, {} open, {} answers compared, {receipts} receipts, version {}",
        load.acknowledged.load(Ordering::Relaxed),
        load.open.load(Ordering::Relaxed),
        load.read.load(Ordering::Relaxed),
        load.floor.load(Ordering::Relaxed),
    );
    cluster.stop_nodes();
}
