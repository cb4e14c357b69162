//! Keys that others than their owner can read are served from, and warned of.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::support::Server;

#[test]
fn keys_that_others_can_read_are_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, master) = (folder.path().join("data"), folder.path().join("master"));
    fs::write(&master, "5".repeat(64)).expect("written");
    fs::set_permissions(&master, Permissions::from_mode(0o600)).expect("ours");
    let start = || {
        Server::start_with(&data, |command| {
            command.env("RECANT__KEYS__MASTER_FILE", &master);
        })
    };
    let warnings = |server: &Server| {
        let logged = server.logged();
        let lines = logged.lines().filter(|line| line.contains("others than"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let server = start();
    assert_eq!(warnings(&server), Vec::<String>::new());
    assert_eq!(server.stop(), Some(0));
    let opened = [
        data.clone(),
        data.join("keys"),
        data.join("keys/ring"),
        master.clone(),
    ];
    for path in &opened {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    }
    let server = start();
    let warned = warnings(&server);
    for path in &opened {
        let named = format!("path={} ", path.display());
        let said = |line: &String| format!("{line} ").contains(&named);
        assert!(warned.iter().any(said), "{named}: {warned:#?}");
    }
    assert_eq!(server.stop(), Some(0));
}
