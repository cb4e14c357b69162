//! Three nodes on three servers of NATS, all on this machine: what callers wait for, and what they notice of faults.
//!
//! `cargo bench --bench cluster [-- --only accept,kills --dim D --requests N --kills N --seconds S --missed N
//! --join-pairs N --pause-milliseconds N]`, with `RECANT_BENCH_FILE=pairs.csv.gz` on real data; `nats-server` is taken from
//! `RECANT_NATS_SERVER` or the path. `--only` takes names of sections, with commas between them. With
//! `--soak-seconds S` instead: even traffic with a fault a minute, and what is left in the end.

mod accept;
mod caller;
mod catch_up;
mod cluster;
mod data;
mod fault;
mod forget;
mod load;
mod node;
mod outage;
mod reads;
mod report;
mod soak;
mod soak_ledger;
mod stopping;
#[path = "../support/mod.rs"]
mod support;

use cluster::Cluster;
use data::Pairs;
use report::Report;
use support::{argument, text_argument};

/// A section: its name on the command line, and what it measures.
type Section = (&'static str, fn(&mut Cluster, &mut Pairs, &mut Report));

/// In this order: what leaves nodes restarted, or more of the data, comes later; lists are compared first, of models
/// that have both learnt nothing yet.
const SECTIONS: [Section; 11] = [
    ("reads", reads::beside_single),
    ("accept", accept::one_caller),
    ("callers", accept::many_callers),
    ("forgotten", forget::everywhere),
    ("additions", accept::additions),
    ("kills", outage::leader_killed),
    ("host", outage::leader_hangs),
    ("log-leader", outage::log_leader_killed),
    ("hung", forget::one_hung),
    ("catch-up", catch_up::missed),
    ("join", catch_up::join),
];

fn main() {
    let (folder, mut pairs) = data::prepared();
    let Some(mut cluster) = Cluster::start(folder) else {
        return;
    };
    let soak_seconds = argument("--soak-seconds", 0.0);
    if soak_seconds > 0.0 {
        soak::run_for(&mut cluster, &mut pairs, soak_seconds);
        return;
    }
    let only = text_argument("--only");
    let is_chosen = |name: &str| {
        let only = only.as_deref();
        only.is_none_or(|only| only.split(',').any(|one| one == name))
    };
    let mut report = Report::default();
    for (name, section) in SECTIONS {
        if is_chosen(name) {
            section(&mut cluster, &mut pairs, &mut report);
            cluster.until_ready();
        }
    }
    cluster.tell_sizes();
    report.print();
}
