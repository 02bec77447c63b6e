//! Memory that two own (`sim/seam/src/thread/half.rs`): what the first to leave did is seen by the second,
//! which frees it once.

#![expect(clippy::duplicate_mod, reason = "a file is checked as it is, and with weaker orders")]

mod loomed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::cell::UnsafeCell;
use loomed::executions;

/// A job whose result is written by one half and read by the other; freeing it reads it too.
struct Job {
    result: UnsafeCell<u32>,
    freed: Arc<AtomicU64>,
}

// SAFETY: loom reports whoever touches the cell while another does.
unsafe impl Sync for Job {}

impl Job {
    fn new(freed: &Arc<AtomicU64>) -> Job {
        Job { result: UnsafeCell::new(0), freed: Arc::clone(freed) }
    }

    fn put(&self) {
        // SAFETY: as above.
        self.result.with_mut(|result| unsafe { *result = 7 });
    }

    fn result(&self) -> u32 {
        // SAFETY: as above.
        self.result.with(|result| unsafe { *result })
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        assert_eq!(self.result(), 7, "freed before the work was done");
        self.freed.fetch_add(1, Ordering::Relaxed);
    }
}

macro_rules! models {
    ($half:path) => {{
        use $half as half;
        /// One works and leaves; the other looks for the result, as a join does, and leaves.
        fn join() {
            let freed = Arc::new(AtomicU64::new(0));
            let (run, take) = half::Half::pair(Job::new(&freed));
            let take = take.widen(|both| both);
            let worker = loom::thread::spawn(move || {
                run.put();
                drop(run);
            });
            if take.is_alone() {
                assert_eq!(take.result(), 7);
            }
            drop(take);
            worker.join().expect("the worker does not panic");
            assert_eq!(freed.load(Ordering::Relaxed), 1, "freed as often as there are jobs");
        }
        join as fn()
    }};
}

#[test]
fn the_second_to_leave_sees_all_and_frees_once() {
    assert_eq!(executions(models!(loomed::real::half)), 7);
}

#[test]
fn the_model_notices_an_order_that_is_too_weak() {
    let weak = catch_unwind(AssertUnwindSafe(|| executions(models!(loomed::relaxed::half))));
    let payload = weak.expect_err("without any order the second to leave need not see the result");
    let message = payload.downcast_ref::<String>().map_or("", String::as_str);
    assert!(message.contains("Causality violation"), "{message}");
}
