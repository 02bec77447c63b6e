//! The files that are checked, with loom's atomics in the place of the real ones.

#![expect(dead_code, reason = "each test is about one of them")]

pub mod falcon;
pub mod real;
pub mod relaxed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs `body` in every interleaving, and says how many there were.
pub fn executions(body: impl Fn() + Send + Sync + 'static) -> u64 {
    counted(loom::model::Builder::new(), body)
}

/// The same, in every interleaving with at most so many preemptions: for a body that has more of them
/// than a test can wait for.
pub fn executions_within(preemptions: usize, body: impl Fn() + Send + Sync + 'static) -> u64 {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    counted(builder, body)
}

fn counted(builder: loom::model::Builder, body: impl Fn() + Send + Sync + 'static) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    let each = Arc::clone(&count);
    builder.check(move || {
        each.fetch_add(1, Ordering::Relaxed);
        body();
    });
    count.load(Ordering::Relaxed)
}
