//! What a watchdog of the runner may look at from another OS thread: whether the machine still moves.

use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

static STEPS: AtomicU64 = AtomicU64::new(0);
static TASK: AtomicU32 = AtomicU32::new(0);
static CALL: AtomicPtr<&'static str> = AtomicPtr::new(std::ptr::null_mut());

/// A number that grows with every scheduling decision of this process.
pub fn progress() -> u64 {
    STEPS.load(Ordering::Relaxed)
}

/// The task that ran last, and the call of the engine that was announced last, if any.
pub fn last_call() -> (u32, Option<&'static str>) {
    // SAFETY: the pointer is null or comes from a `&'static &'static str`.
    let call = unsafe { CALL.load(Ordering::Acquire).as_ref() };
    (TASK.load(Ordering::Relaxed), call.copied())
}

/// An adapter announces the call of its engine that it makes, so that a call that never comes back
/// can be named: `enter_call(&"begin_write")`.
#[inline]
pub fn enter_call(call: &'static &'static str) {
    CALL.store(std::ptr::from_ref(call).cast_mut(), Ordering::Release);
}

#[inline]
pub(crate) fn step() {
    // One machine a process is the case that matters; a lost increment does not.
    STEPS.store(STEPS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[inline]
pub(crate) fn runs(task: u32) {
    TASK.store(task, Ordering::Relaxed);
}
