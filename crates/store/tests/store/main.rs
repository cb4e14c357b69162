//! The store through its public interface, on real files.
//!
//! One binary for all of them: linking is what a test costs most.

mod backup;
mod commits;
mod crashes;
mod damage;
mod damage_everywhere;
mod decided;
mod descriptions;
mod entries;
mod facts;
mod feedback;
mod import;
mod intact;
mod keys;
mod migrations;
mod model_rows;
mod outbox;
mod people;
mod property;
mod restrictions;
mod sealed;
mod transfer;
