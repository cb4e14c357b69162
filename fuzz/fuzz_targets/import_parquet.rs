#![no_main]

use std::panic::set_hook;

// The library panics on some damaged files, and the reader makes an error of that. libFuzzer's hook
// would end the process at once; without it, a panic that nobody catches still does.
libfuzzer_sys::fuzz_target!(
    init: set_hook(Box::new(|_| {})),
    |bytes: &[u8]| {
        recant_testkit::fuzzing::run("import_parquet", bytes);
    }
);
