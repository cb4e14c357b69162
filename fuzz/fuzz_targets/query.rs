#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    recant::fuzzing::run("query", bytes);
});
