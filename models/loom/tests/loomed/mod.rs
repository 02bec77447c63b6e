//! The files that are checked, with loom's atomics in the place of the real ones.

pub mod falcon;
pub mod real;
pub mod relaxed;
