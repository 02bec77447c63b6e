//! Fuzz target `redb`: see `models/src/fuzz/mod.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| falconry::fuzz::fuzz("redb", input));
