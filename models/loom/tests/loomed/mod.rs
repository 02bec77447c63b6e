//! The files that are checked, with loom's atomics in the place of the real ones.

#![expect(dead_code, reason = "each test is about one of them")]

pub mod falcon;
pub mod real;
pub mod relaxed;
