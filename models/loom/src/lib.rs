//! loom models of hand-made atomic protocols: nothing to link, all of it is in `tests/`.
//!
//! # Method
//!
//! A file that is checked here names its atomics only as `super::sync`. `tests/loomed/` includes that
//! same file with loom's atomics in their place, so that `cargo test` walks through every interleaving,
//! and every stale read that the memory model allows. Each test asserts how many executions that were.

#![deny(missing_docs)]
