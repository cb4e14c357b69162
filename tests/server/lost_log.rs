//! Log lines that cannot be written, since the disk under them is full.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Server, import_and_train};

const RATINGS: &str = "user_id,item_id\nada,a\nada,b\nbob,a\nbob,c\n";

/// The same command, with a standard error that takes nothing.
fn unheard(command: &mut Command) {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" \"$@\" 2>/dev/full"])
        .arg(command.get_program())
        .args(command.get_args());
    for (variable, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(variable, value);
        }
    }
    *command = shell;
}

#[test]
fn log_lines_that_nothing_takes_hold_up_nothing() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full here");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, RATINGS, &["--dim", "4"]);
    let server = Server::start_with(&data, |command| {
        command.env("RECANT_LOG", "debug");
        unheard(command);
    });
    let added = json!({"interactions": [{"user": "ada", "item": "c"}]});
    assert_eq!(server.post("/interactions", &added).status, 202);
    let accepted = server.forget("user=bob");
    let id = accepted["id"].as_str().expect("an id");
    server.until_erasure(id, &["certified"]);
    assert_eq!(server.stop(), Some(0));
}
