//! What the process does so that memory and mistakes tell nobody's id.

use std::any::Any;
use std::io::Write;
use std::panic::PanicHookInfo;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Turns core dumps off and keeps panics from telling more than where they happened. To be called
/// first thing in a process.
pub(super) fn harden() {
    forbid_core_dumps();
    std::panic::set_hook(Box::new(report_panic));
}

/// A core dump holds everything that the memory held, ids and keys included. The limit keeps
/// the kernel from writing one to a file. Not being dumpable keeps it from piping one to a
/// program, which no limit does, and other processes of the same user from reading the memory.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = setrlimit(Resource::Core, none);
    let closed = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if limited.is_err() || closed.is_err() {
        complain("core dumps could not be turned off: a crash may write memory to the disk");
    }
}

/// Says where a panic happened, and no more about why than [`impersonal_message`].
fn report_panic(panic: &PanicHookInfo<'_>) {
    let location = panic
        .location()
        .map_or_else(String::new, ToString::to_string);
    let message = impersonal_message(panic.payload());
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if tracing::dispatcher::has_been_set() {
        tracing::error!(location, thread, message, "a panic");
    } else {
        complain(&format!("a panic at {location}: {message}"));
    }
}

/// The message of a panic when it is a literal of the source. One that was put together at run time
/// may hold an id.
fn impersonal_message(payload: &(dyn Any + Send)) -> &'static str {
    let literal = payload.downcast_ref::<&'static str>();
    literal
        .copied()
        .unwrap_or("its message is left out: it may be personal")
}

fn complain(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "recant: {message}");
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn only_literals_are_shown() {
        let literal = catch_unwind(|| panic!("a mistake")).expect_err("a panic");
        assert_eq!(impersonal_message(&*literal), "a mistake");
        let id = String::from("needle");
        let put_together = catch_unwind(|| panic!("no row for {id}")).expect_err("a panic");
        assert!(!impersonal_message(&*put_together).contains("needle"));
        let unwrapped =
            catch_unwind(|| "needle".parse::<u8>().map_err(|_| "needle").expect("a row"));
        let unwrapped = unwrapped.expect_err("a panic");
        assert!(!impersonal_message(&*unwrapped).contains("needle"));
    }
}
