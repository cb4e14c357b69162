//! Which nats-server is started.

use std::env;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::servers::is_new_enough;

/// The server that `RECANT_NATS_SERVER` names, or else the one of the path, if it is 2.14 or later. Without
/// one a test says why it is skipped; with `RECANT_NATS_REQUIRED=1` it fails.
///
/// # Panics
///
/// When there is none and one is required.
pub fn nats_server() -> Option<PathBuf> {
    match found() {
        Ok(binary) => Some(binary),
        Err(why) => {
            let is_required = env::var_os("RECANT_NATS_REQUIRED").is_some_and(|it| it == "1");
            assert!(!is_required, "{why}");
            // Not by a macro, whose words a test that passes keeps to itself.
            let _ = writeln!(
                stderr(),
                "\n*** SKIPPED, nothing of NATS was tried: {why} ***\n"
            );
            None
        }
    }
}

fn found() -> Result<PathBuf, String> {
    let named = env::var_os("RECANT_NATS_SERVER").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| PathBuf::from("nats-server"));
    let version = version(&binary)?;
    if is_new_enough(&version) {
        Ok(binary)
    } else {
        let binary = binary.display();
        Err(format!(
            "{binary} is {version}, and 2.14 or later is needed"
        ))
    }
}

fn version(binary: &Path) -> Result<String, String> {
    let told = Command::new(binary).arg("--version").output();
    let told = told.map_err(|error| format!("no {}: {error}", binary.display()))?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let version = told.trim().rsplit(' ').next().unwrap_or_default();
    Ok(version.trim_start_matches('v').to_owned())
}
