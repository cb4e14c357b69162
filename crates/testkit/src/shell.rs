//! Commands whose surroundings a shell prepares.

use std::process::Command;

/// The same command, begun by a shell script that ends with `exec "$0" "$@"`, so that it takes the shell's place.
pub fn through_shell(command: &Command, script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .arg(command.get_program())
        .args(command.get_args());
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(variable, value),
            None => shell.env_remove(variable),
        };
    }
    shell
}
