//! What is wrong with a directory, a configuration and the machine under them.
//!
//! [`facts`] are gathered first: plain data, read from files of the system and of the store. The other
//! modules say what they mean: functions of facts, one module a subject. A fact that could not be had
//! is `None`, and is said to be unseen.

mod clock;
mod configuration;
mod directory;
mod disk;
pub(crate) mod facts;
mod finding;
mod memory;
mod process;
mod store;

pub(crate) use finding::{Finding, Severity};

use facts::Facts;

/// Everything that there is to say, subject by subject.
pub(crate) fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = configuration::findings(&facts.configuration);
    findings.extend(directory::findings(&facts.directory));
    findings.extend(store::findings(&facts.store, facts.now));
    if let Some(disk) = &facts.disk {
        findings.extend(disk::findings(disk));
    }
    findings.extend(memory::findings(&facts.memory));
    findings.extend(process::findings(&facts.process));
    findings.extend(clock::findings(&facts.clock));
    findings
}
