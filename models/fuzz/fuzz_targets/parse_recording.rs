//! Fuzz target `parse_recording`: see `models/src/fuzz/mod.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| falconry::fuzz::fuzz("parse_recording", input));
