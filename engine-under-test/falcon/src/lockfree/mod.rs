//! Protocols between threads that are made by hand, each checked in every interleaving.
//!
//! A file here names locks, atomics and cells only as `super::sync`. `models/loom/` includes the same
//! files with loom's types in that place, and walks through all that can happen.

pub(crate) mod bucket;
pub(crate) mod frame;
pub(crate) mod hand_over;

/// What the protocols are made of; in their loom models it is another one.
mod sync {
    pub(crate) use falconry_seam::sync::atomic::{AtomicU8, AtomicU64, Ordering};
    pub(crate) use falconry_seam::sync::{Arc, Mutex, MutexGuard, PoisonError};
    pub(crate) use falconry_seam::thread::{self, Thread};
}
