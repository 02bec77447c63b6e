//! Panics, foreign frames and computing: what an engine tells the machine it runs on.

use std::panic::UnwindSafe;

/// Runs `f` and catches a panic of it, as [`std::panic::catch_unwind`] does.
///
/// The end of a task at power-off is no panic that a program could handle: it passes through.
#[cfg(feature = "simulate")]
pub fn catch_unwind<R>(f: impl FnOnce() -> R + UnwindSafe) -> std::thread::Result<R> {
    match std::panic::catch_unwind(f) {
        Err(payload) if payload.is::<crate::hook::PowerOff>() => std::panic::resume_unwind(payload),
        result => result,
    }
}

/// Runs `f` and catches a panic of it, as [`std::panic::catch_unwind`] does.
///
/// The end of a task at power-off is no panic that a program could handle: it passes through.
#[cfg(not(feature = "simulate"))]
#[inline(always)]
pub fn catch_unwind<R>(f: impl FnOnce() -> R + UnwindSafe) -> std::thread::Result<R> {
    std::panic::catch_unwind(f)
}

/// Calls code of another language, which no panic may cross: the machine will not unwind this task
/// before `f` returns.
#[cfg(feature = "simulate")]
#[inline]
pub fn foreign<R>(f: impl FnOnce() -> R) -> R {
    struct Frame;
    impl Drop for Frame {
        fn drop(&mut self) {
            if let Some(machine) = crate::hook::current() {
                machine.leave_foreign();
            }
        }
    }
    let _frame = crate::hook::current().map(|machine| {
        machine.enter_foreign();
        Frame
    });
    f()
}

/// Calls code of another language, which no panic may cross: the machine will not unwind this task
/// before `f` returns.
#[cfg(not(feature = "simulate"))]
#[inline(always)]
pub fn foreign<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Says that the caller computes for `ns` nanoseconds. They pass in virtual time; on a real machine
/// the computing itself takes its time, and this does nothing.
#[inline(always)]
pub fn work(ns: u64) {
    #[cfg(feature = "simulate")]
    if let Some(machine) = crate::hook::current() {
        machine.work(ns);
    }
    #[cfg(not(feature = "simulate"))]
    let _ = ns;
}
