//! API keys of every role, and the configuration that knows them.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What every secret contains; no log line may.
pub const SECRET: &str = "s3cret";

/// The roles there are.
pub const ROLES: [&str; 4] = ["read", "write", "erase", "admin"];

/// The secret of the key with one role.
pub fn secret(role: &str) -> String {
    format!("{SECRET}-of-{role}")
}

/// Writes a configuration with a key for each role, and limits that an attack reaches soon.
pub fn configuration(folder: &Path) -> PathBuf {
    let mut text = String::from(
        "[server]\nheader_timeout_seconds = 2\nrequest_timeout_seconds = 15\n\
         write_timeout_seconds = 3\nkeep_alive_seconds = 10\nbody_bytes_total_max = 33554432\n\
         connections_per_address_max = 100\n\
         [store]\ncache_bytes = 8388608\ncompact_after_seconds = 2\ncompact_after_erasures = 200\n\
         [model]\ndim = 32\n[learning]\nthreads = 1\n",
    );
    for role in ROLES {
        let digest = Sha256::digest(secret(role));
        text.push_str(&format!(
            "[[access.keys]]\nname = \"{role}\"\nsha256 = \"{digest:x}\"\nroles = [\"{role}\"]\n"
        ));
    }
    let path = folder.join("attacked.toml");
    std::fs::write(&path, text).expect("space for it");
    path
}
