//! The clock, and whether something keeps it right.

use std::path::Path;
use std::process::{Command, Stdio};

use recant_types::UnixMillis;

/// What systemd's own client leaves when it has set the clock.
const SET_BY_SYSTEMD: &str = "/run/systemd/timesync/synchronized";

/// What was seen of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// What it says.
    pub(crate) now: UnixMillis,
    /// The latest time that the store noted of itself.
    pub(crate) newest: Option<UnixMillis>,
    /// Whether it is kept right from outside; `None` when nobody here knows.
    pub(crate) synchronised: Option<bool>,
}

impl Clock {
    /// Looks at the clock.
    pub(super) fn gather(newest: Option<UnixMillis>) -> Self {
        Self {
            now: UnixMillis::now(),
            newest,
            synchronised: synchronised(),
        }
    }
}

fn synchronised() -> Option<bool> {
    if Path::new(SET_BY_SYSTEMD).exists() {
        return Some(true);
    }
    let systemd = said(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
    );
    match systemd.as_deref().map(str::trim) {
        Some("yes") => return Some(true),
        Some("no") => return Some(false),
        _ => {}
    }
    let chrony = said("chronyc", &["-n", "tracking"])?;
    let leap = chrony
        .lines()
        .find(|line| line.starts_with("Leap status"))?;
    Some(!leap.contains("Not synchronised"))
}

/// What a command prints when it succeeds.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
