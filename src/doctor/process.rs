//! What a crash would leave, how many connections can be open, and the rights of new files.

use super::facts::process::Process;
use super::finding::Finding;

/// Files that a server has open besides connections.
const FILES_BESIDES: u64 = 64;

/// What there is to say about the limits of the process.
pub(super) fn findings(process: &Process) -> Vec<Finding> {
    let mut findings = vec![dumps(process), open_files(process)];
    findings.extend(umask(process));
    findings
}

fn dumps(process: &Process) -> Finding {
    const CHECK: &str = "process.core_dumps";
    let pattern = process.core_pattern.as_deref().unwrap_or("core");
    match process.dumps {
        Some(false) => Finding::ok(
            CHECK,
            "a crash writes no memory to a disk: every recant process forbids itself core dumps",
        ),
        Some(true) => Finding::problem(
            CHECK,
            format!(
                "core dumps could not be forbidden: a crash may hand all memory, ids and keys \
                 included, to {pattern}"
            ),
            "set `ulimit -c 0`, or LimitCORE=0 for the service, and see what the sandbox forbids",
        ),
        None => Finding::unseen(
            CHECK,
            "whether core dumps are off could not be seen",
            "set `ulimit -c 0`, or LimitCORE=0 for the service",
        ),
    }
}

fn open_files(process: &Process) -> Finding {
    const CHECK: &str = "process.open_files";
    let needed = process.connections_max + FILES_BESIDES;
    match process.open_files {
        Some(limit) if limit < needed => Finding::warning(
            CHECK,
            format!(
                "a process started from here may open {limit} files, and server.connections_max allows \
                 {} connections, each of which is one: further ones would fail",
                process.connections_max
            ),
            format!(
                "raise the limit to {needed} (`ulimit -n`, LimitNOFILE), or lower server.connections_max"
            ),
        ),
        Some(limit) => Finding::ok(
            CHECK,
            format!(
                "{limit} files may be open, enough for {} connections",
                process.connections_max
            ),
        ),
        None => Finding::ok(CHECK, "there is no limit to open files"),
    }
}

fn umask(process: &Process) -> Option<Finding> {
    const CHECK: &str = "process.umask";
    let umask = process.umask?;
    Some(match umask & 0o002 {
        0 => Finding::warning(
            CHECK,
            format!(
                "the umask is {umask:04o}: files that you make, such as a configuration, can be \
                 written by everybody"
            ),
            "umask 077",
        ),
        _ => Finding::ok(
            CHECK,
            format!("the umask is {umask:04o}; what recant writes is for its owner alone anyway"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn limits_are_judged_by_what_a_server_needs() {
        let good = Process {
            dumps: Some(false),
            core_pattern: Some(String::from("|/usr/lib/handler")),
            open_files: Some(1 << 16),
            connections_max: 4_096,
            umask: Some(0o022),
        };
        let severities = |process: &Process| {
            findings(process)
                .iter()
                .map(|finding| finding.severity)
                .collect::<Vec<_>>()
        };
        assert_eq!(severities(&good), [Severity::Ok; 3]);
        let bad = Process {
            dumps: Some(true),
            open_files: Some(1_024),
            umask: Some(0),
            ..good
        };
        assert_eq!(
            severities(&bad),
            [Severity::Problem, Severity::Warning, Severity::Warning]
        );
        assert!(findings(&bad)[0].means.contains("/usr/lib/handler"));
    }
}
