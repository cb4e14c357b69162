#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    recant_testkit::fuzzing::run("drp_signed", bytes);
});
