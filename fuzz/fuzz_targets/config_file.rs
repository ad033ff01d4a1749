#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marketrank::fuzz::run("config_file", bytes));
