//! Whether there is memory enough, and whether it stays memory.

use super::facts::memory::{Memory, Swap, SwapKind};
use super::finding::{Finding, bytes};

/// What there is to say about the memory.
pub(super) fn findings(memory: &Memory) -> Vec<Finding> {
    vec![swap(memory), room(memory)]
}

fn swap(memory: &Memory) -> Finding {
    const CHECK: &str = "memory.swap";
    if memory.swap_forbidden {
        return Finding::ok(CHECK, "the control group forbids swapping");
    }
    let Some(swaps) = &memory.swaps else {
        return Finding::unseen(
            CHECK,
            "whether memory is swapped is not shown here",
            "look with `swapon --show` on the machine itself",
        );
    };
    let of_kind = |kind: SwapKind| swaps.iter().filter(move |swap| swap.kind == kind);
    let plain: Vec<&Swap> = of_kind(SwapKind::Plain).collect();
    if let Some(first) = plain.first() {
        return Finding::warning(
            CHECK,
            format!(
                "swap is on, in clear, at {}: when memory is short, ids and keys are written to that \
                 disk, and stay there after they were erased",
                first.path.display()
            ),
            "turn it off (`swapoff -a`, and out of /etc/fstab), or encrypt it with a new key at every \
             start, or set MemorySwapMax=0 for the service; a low vm.swappiness makes it rarer only",
        );
    }
    if of_kind(SwapKind::Encrypted).next().is_some() {
        return Finding::ok(
            CHECK,
            "swap is on and encrypted: see that its key is a new one at every start",
        );
    }
    if swaps.is_empty() {
        return Finding::ok(CHECK, "swap is off");
    }
    Finding::ok(CHECK, "swap is on, and stays in memory, compressed")
}

fn room(memory: &Memory) -> Finding {
    const CHECK: &str = "memory.room";
    let limits = [memory.available, memory.limit];
    let Some(room) = limits.into_iter().flatten().min() else {
        return Finding::unseen(
            CHECK,
            "how much memory there is is not shown here",
            "look with `free` on the machine itself",
        );
    };
    let Some(need) = memory.need else {
        return Finding::unseen(
            CHECK,
            format!(
                "there is room for {}; what the model needs is not known, as no store was looked into",
                bytes(room)
            ),
            "of a running server watch `process_resident_memory_bytes`; else run the command again when \
             there is a store",
        );
    };
    let (model, all) = (need.model, need.model + need.caches);
    let figures = format!(
        "about {} for what is learnt from and the model, and up to {} for caches, where {} can be had",
        bytes(model),
        bytes(need.caches),
        bytes(room)
    );
    if model > room {
        return Finding::problem(
            CHECK,
            format!("the server needs {figures}: it will be killed for want of memory"),
            "give it more memory, or lower model.dim and train again",
        );
    }
    if all > room {
        return Finding::warning(
            CHECK,
            format!("the server may need {figures}: it may be killed when the caches have filled"),
            "give it more memory, or lower learning.cholesky_cache_bytes_max and store.cache_bytes",
        );
    }
    Finding::ok(CHECK, format!("the server needs {figures}"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::facts::memory::Need;
    use super::super::finding::Severity;
    use super::*;

    fn swap_of(kinds: &[SwapKind]) -> Memory {
        let swap = |kind: &SwapKind| Swap {
            path: PathBuf::from("/dev/sdb2"),
            kind: *kind,
        };
        Memory {
            swaps: Some(kinds.iter().map(swap).collect()),
            ..Memory::default()
        }
    }

    #[test]
    fn swap_in_clear_is_warned_of_and_every_other_is_not() {
        use SwapKind::{Encrypted, Memory as InMemory, Plain};
        for (kinds, expected) in [
            (&[][..], Severity::Ok),
            (&[InMemory], Severity::Ok),
            (&[Encrypted], Severity::Ok),
            (&[InMemory, Plain], Severity::Warning),
        ] {
            assert_eq!(swap(&swap_of(kinds)).severity, expected, "{kinds:?}");
        }
        let forbidden = Memory {
            swap_forbidden: true,
            ..swap_of(&[Plain])
        };
        assert_eq!(swap(&forbidden).severity, Severity::Ok);
        assert_eq!(swap(&Memory::default()).severity, Severity::Unseen);
    }

    #[test]
    fn the_least_of_machine_and_control_group_counts() {
        let memory = |available, limit, model, caches| Memory {
            available,
            limit,
            need: Some(Need { model, caches }),
            ..Memory::default()
        };
        for (memory, expected) in [
            (memory(Some(100), None, 50, 40), Severity::Ok),
            (memory(Some(100), Some(80), 50, 40), Severity::Warning),
            (memory(Some(100), Some(40), 50, 40), Severity::Problem),
            (memory(None, None, 50, 40), Severity::Unseen),
        ] {
            assert_eq!(room(&memory).severity, expected, "{memory:?}");
        }
        let unknown = Memory {
            available: Some(100),
            ..Memory::default()
        };
        assert_eq!(room(&unknown).severity, Severity::Unseen);
    }
}
