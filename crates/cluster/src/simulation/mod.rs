//! Many nodes, an engine and a network in one thread, driven by one seed.
//!
//! Everything that may go wrong does: messages are lost, late and doubled, appends are refused, lost, or
//! arrive when nobody waits for them, the engine is silent, nodes crash between any two steps, are
//! stopped for a while, are cut off, and their clocks gain on one another. An onlooker who knows
//! everything checks after each step what the crate promises:
//!
//! | | |
//! | --- | --- |
//! | I1 | what a node has applied is a prefix of the entries that count, without gaps |
//! | I2 | an acknowledged request is in the log, and on the disk of who acknowledged it |
//! | I3 | when an erasure is acknowledged, and ever after, every node that may answer readers has applied it |
//! | I5 | nobody is told "accepted" of an entry that does not count |
//! | I8 | nodes that applied the same entries hold the same |
//! | I12 | no lease outlives what its granter had to give |
//!
//! and when the faults end, that somebody leads and everybody is there again.

mod engine;
mod onlooker;
mod store;
mod world;

/// What a node or its store does wrong, to see that the onlooker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The leader counts a lease as over when it ends on its own clock.
    NoMargin,
    /// A lease counts from the answer, not from the asking.
    LeaseFromAnswer,
    /// A whole lease is granted, whatever is left of the leader's own.
    WholeLease,
    /// An erasure is acknowledged before the others have it.
    AnswerBeforeOthers,
    /// A request is acknowledged as soon as the engine says that it is there.
    BelieveTheEngine,
    /// A store says that it has applied what it only begins to apply.
    SayAppliedEarly,
    /// The store moves its ratchet on before the entry is synced.
    RatchetFirst,
    /// Every node decides again what the leader decided.
    DecideEverywhere,
}

mod tests {
    use super::Mistake;
    use super::world::{Plan, World};

    /// Seeds that `cargo test` tries; `RECANT_SEEDS` tries others, or more.
    const SEEDS: u64 = 500;

    fn seeds() -> u64 {
        let asked = std::env::var("RECANT_SEEDS").ok();
        asked.map_or(SEEDS, |seeds| {
            seeds.parse().expect("RECANT_SEEDS is a number")
        })
    }

    fn all_hold(plan: Plan) {
        for seed in 0..seeds() {
            if let Err(broken) = World::run(seed, plan) {
                panic!("seed {seed} of {plan:?}: {broken}");
            }
        }
    }

    #[test]
    fn what_is_promised_holds_whatever_fails() {
        all_hold(Plan::default());
    }

    /// An engine that lets two appends behind one tail through harms nobody: the second does not count.
    #[test]
    fn what_is_promised_holds_with_an_engine_that_checks_nothing() {
        all_hold(Plan {
            is_engine_lax: true,
            ..Plan::default()
        });
    }

    #[test]
    fn every_deliberate_mistake_is_found_by_some_seed() {
        // With each the seed that found it when this was written, which is tried first.
        for (mistake, known) in [
            (Mistake::NoMargin, 992),
            (Mistake::LeaseFromAnswer, 504),
            (Mistake::WholeLease, 152),
            (Mistake::AnswerBeforeOthers, 0),
            (Mistake::BelieveTheEngine, 2),
            (Mistake::SayAppliedEarly, 0),
            (Mistake::RatchetFirst, 10),
            (Mistake::DecideEverywhere, 0),
        ] {
            let plan = Plan {
                mistake: Some(mistake),
                is_engine_lax: mistake == Mistake::BelieveTheEngine,
            };
            let mut seeds = std::iter::once(known).chain(0..10_000);
            let found = seeds.find(|seed| World::run(*seed, plan).is_err());
            assert!(found.is_some(), "{mistake:?} goes unseen");
        }
    }
}
