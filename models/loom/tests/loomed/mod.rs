//! The files that are checked, with loom's atomics in the place of the real ones.

#![expect(dead_code, reason = "each test is about one of them")]

pub mod falcon;
pub mod real;
pub mod relaxed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs `body` in every interleaving, and says how many there were.
pub fn executions(body: impl Fn() + Send + Sync + 'static) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        body();
    });
    count.load(Ordering::Relaxed)
}
