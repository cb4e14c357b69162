//! Log lines that cannot be written, since the disk under them is full.

use std::path::Path;

use recant_testkit::shell::through_shell;
use serde_json::json;

use crate::support::{Server, import_and_train};

const RATINGS: &str = "user_id,item_id\nada,a\nada,b\nbob,a\nbob,c\n";

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
        *command = through_shell(command, "exec \"$0\" \"$@\" 2>/dev/full");
    });
    let added = json!({"interactions": [{"user": "ada", "item": "c"}]});
    assert_eq!(server.post("/interactions", &added).status, 202);
    let accepted = server.forget("user=bob");
    let id = accepted["id"].as_str().expect("an id");
    server.until_erasure(id, &["certified"]);
    assert_eq!(server.stop(), Some(0));
}
