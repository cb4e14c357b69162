//! Callers who ask any node, note what was acknowledged, and look at once whether it is true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use recant_replication::{EntryStore, Replica, SubmitError};

use super::test_store::TestStore;

/// The nodes that live, as callers know them.
pub type Living<S> = Arc<Mutex<Vec<(Replica<S>, S)>>>;

/// What was acknowledged.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Items of users who were not asked to be erased.
    pub added: BTreeMap<String, BTreeSet<u64>>,
    /// Users whose erasure was acknowledged.
    pub erased: BTreeSet<String>,
    /// Users whose erasure was asked for, and not answered: they may be there or not.
    pub open: BTreeSet<String>,
}

/// One caller. Its users are its own: nobody adds to one whom it erases.
pub struct Caller<S: EntryStore> {
    pub name: String,
    pub living: Living<S>,
    pub acknowledged: Arc<AtomicU64>,
    pub stop: Arc<AtomicBool>,
}

impl<S: TestStore> Caller<S> {
    /// Adds two items of a user, and erases every other user, again and again.
    pub async fn run(self) -> Ledger {
        let mut ledger = Ledger::default();
        let mut user = 0;
        while !self.stop.load(Ordering::SeqCst) {
            user += 1;
            let name = format!("{}-{user}", self.name);
            for item in [1, 2] {
                let asked = || S::add(&name, item);
                if self.ask(asked, false).await.is_ok() {
                    ledger.added.entry(name.clone()).or_default().insert(item);
                }
            }
            if user % 2 == 0 {
                self.erase(name, &mut ledger).await;
            }
        }
        ledger
    }

    async fn erase(&self, user: String, ledger: &mut Ledger) {
        ledger.added.remove(&user);
        match self.ask(|| S::erase(&user), true).await {
            Ok(()) => {
                self.nobody_who_answers_holds(&user);
                ledger.erased.insert(user);
            }
            Err(()) => {
                ledger.open.insert(user);
            }
        }
    }

    /// Asks one node after the other until one leads; an error when what came of it is open.
    async fn ask(&self, asked: impl Fn() -> S::Asked, erases: bool) -> Result<(), ()> {
        loop {
            let nodes: Vec<_> = {
                let living = self.living.lock().expect("no other holder panicked");
                living.iter().map(|(replica, _)| replica.clone()).collect()
            };
            for replica in nodes {
                let answer = tokio::time::timeout(
                    Duration::from_secs(20),
                    replica.submit(asked(), 64, erases, None, None),
                );
                match answer.await {
                    Ok(Ok(_)) => {
                        self.acknowledged.fetch_add(1, Ordering::SeqCst);
                        return Ok(());
                    }
                    Ok(Err(SubmitError::NotLeading | SubmitError::LogFull)) => {}
                    Ok(Err(SubmitError::Open)) | Err(_) => return Err(()),
                    Ok(Err(SubmitError::Store(_) | SubmitError::TooLong { .. })) => {
                        unreachable!("nothing that is refused was asked")
                    }
                }
            }
            if self.stop.load(Ordering::SeqCst) {
                return Err(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// I3: when an erasure is acknowledged, and ever after, no node that may answer readers holds anything of
    /// it.
    fn nobody_who_answers_holds(&self, user: &str) {
        let living = self.living.lock().expect("no other holder panicked");
        for (replica, store) in living.iter() {
            // First what is held, then whether it may answer: the lease may end between the two, and does not
            // begin again.
            let holds = store.holds(user);
            assert!(
                !(holds && replica.gate().may_answer()),
                "a node that may answer holds what was erased"
            );
        }
    }
}
